/* cpu/pool.c: threads that share out jobs. See cpu/pool.h.
 *
 * A piece of work is a round. `ticket` holds its number and its next job; whoever moves that forward
 * by compare-and-exchange has the jobs in between. The fields of a round are written while the ticket
 * says CLOSED, and a thread has read those of the right round if its exchange succeeds: the ticket
 * then still is what it was before they were read. `inside` counts the workers that may hold a job;
 * the caller takes jobs until there are none and then waits for that to be 0. */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "base/mem.h"
#include "base/sys.h"
#include "cpu/flush.h"
#include "cpu/pool.h"

/* The gaps between the kernels of a decode step are a few microseconds. Figures: docs/SPEED.md. */
static const double SPIN_MS = 0.05;

enum {
    STACK_BYTES = 256 << 10, /* kernels keep what is large in scratch memory */
    SHARE = 4,               /* runs of jobs per thread: enough to even out, each long enough */
};
static const uint32_t CLOSED = UINT32_MAX;

typedef struct Worker {
    Pool *pool;
    int index;
    pthread_t thread;
} Worker;

struct Pool {
    _Alignas(64) _Atomic uint64_t ticket; /* round << 32 | next job */
    _Alignas(64) atomic_int inside;
    _Atomic(PartFn) fn; /* the round's: written while the ticket is CLOSED */
    _Atomic(const void *) args;
    atomic_int jobs, chunk, team;

    _Alignas(64) pthread_mutex_t lock;
    pthread_cond_t work, done;
    atomic_bool asleep, awaited; /* some worker waits for `work`; the caller waits for `done` */
    atomic_bool closing;

    int threads, started; /* wanted, the caller among them; running, without it */
    bool spins;
    unsigned forks; /* of the process when they were started */
    Worker worker[];
};

/* --- forks ------------------------------------------------------------------------------------- */

/* A child has none of its parent's threads, and locks in whatever state they were. */
static atomic_uint forks;

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static bool watched;

static void watch_forks(void)
{
    watched = pthread_atfork(NULL, NULL, count_fork) == 0;
}

/* --- waiting ----------------------------------------------------------------------------------- */

typedef struct Spin {
    double end;
    unsigned turns;
} Spin;

static Spin spin_begin(const Pool *p)
{
    return (Spin){.end = p->spins ? now_ms() + SPIN_MS : 0};
}

/* Waits a moment; false when it has been long enough. */
static bool spin(Spin *s)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
    return ++s->turns % 16 || now_ms() < s->end;
}

static uint64_t ticket_of(uint32_t round, uint32_t job)
{
    return (uint64_t)round << 32 | job;
}

/* Whether a round is open that this worker has not been in; then it is `*seen`. */
static bool round_open(Pool *p, uint32_t *seen)
{
    uint64_t t = atomic_load(&p->ticket);
    if ((uint32_t)t == CLOSED || (uint32_t)(t >> 32) == *seen)
        return false;
    *seen = (uint32_t)(t >> 32);
    return true;
}

/* false: the pool is closing. */
static bool wait_for_round(Pool *p, uint32_t *seen)
{
    Spin s = spin_begin(p);
    do {
        if (atomic_load(&p->closing))
            return false;
        if (round_open(p, seen))
            return true;
    } while (spin(&s));
    pthread_mutex_lock(&p->lock);
    for (;;) {
        atomic_store(&p->asleep, true); /* before the last look: who opens a round looks after it */
        if (atomic_load(&p->closing) || round_open(p, seen))
            break;
        pthread_cond_wait(&p->work, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return !atomic_load(&p->closing);
}

static void wake_workers(Pool *p)
{
    if (!atomic_load(&p->asleep))
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->asleep, false);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void wait_for_workers(Pool *p)
{
    Spin s = spin_begin(p);
    do
        if (atomic_load(&p->inside) == 0)
            return;
    while (spin(&s));
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->awaited, true);
    while (atomic_load(&p->inside) > 0)
        pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->awaited, false);
    pthread_mutex_unlock(&p->lock);
}

static void leave(Pool *p)
{
    if (atomic_fetch_sub(&p->inside, 1) != 1 || !atomic_load(&p->awaited))
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

/* --- a round ----------------------------------------------------------------------------------- */

/* Takes the next run of jobs; false: there is none, or the round is over. */
static bool take(Part *part)
{
    uint64_t t = atomic_load(&part->pool->ticket);
    for (;;) {
        uint32_t job = (uint32_t)t, jobs = (uint32_t)part->jobs, chunk = (uint32_t)part->chunk;
        if ((uint32_t)(t >> 32) != part->round || job >= jobs)
            return false;
        uint32_t end = jobs - job < chunk ? jobs : job + chunk;
        if (atomic_compare_exchange_weak(&part->pool->ticket, &t, ticket_of(part->round, end))) {
            part->job = (int)job;
            part->end = (int)end;
            return true;
        }
    }
}

int part_next(Part *part)
{
    if (part->job == part->end && (!part->pool || !take(part)))
        return -1;
    return part->job++;
}

static void work_in(Pool *p, int thread, uint32_t round)
{
    Part part = {.thread = thread,
                 .round = round,
                 .jobs = atomic_load(&p->jobs),
                 .chunk = atomic_load(&p->chunk),
                 .pool = p};
    PartFn fn = atomic_load(&p->fn);
    const void *args = atomic_load(&p->args);
    if (thread < atomic_load(&p->team) && take(&part))
        fn(args, &part);
}

static void *worker_main(void *arg)
{
    const Worker *w = arg;
    uint32_t seen = 0;
    flush_on();
    while (wait_for_round(w->pool, &seen)) {
        atomic_fetch_add(&w->pool->inside, 1);
        work_in(w->pool, w->index, seen);
        leave(w->pool);
    }
    return NULL;
}

/* --- starting and stopping --------------------------------------------------------------------- */

static bool init_locks(Pool *p)
{
    if (pthread_mutex_init(&p->lock, NULL))
        return false;
    if (pthread_cond_init(&p->work, NULL) == 0) {
        if (pthread_cond_init(&p->done, NULL) == 0)
            return true;
        pthread_cond_destroy(&p->work);
    }
    pthread_mutex_destroy(&p->lock);
    return false;
}

Pool *pool_new(int threads)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    int workers = watched && threads > 1 ? threads - 1 : 0; /* a child must know that it has none */
    Pool *p = mem_calloc(1, sizeof *p + (size_t)workers * sizeof *p->worker);
    if (!p)
        return NULL;
    if (!init_locks(p)) {
        mem_free(p);
        return NULL;
    }
    p->threads = workers + 1;
    p->spins = p->threads <= cpus_usable(); /* else who spins is in the way of who works */
    p->forks = atomic_load(&forks);
    return p;
}

/* Signals are for the program's own threads, but for those that a thread's own work raises (weights in a
 * file that was cut short): blocked, they would end the program without its handler. */
static sigset_t foreign_signals(void)
{
    static const int OWN[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        sigdelset(&set, OWN[i]);
    return set;
}

/* A thread's part of thread-local memory lies on its stack. */
static int add_tls(struct dl_phdr_info *info, size_t size, void *bytes)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS)
            *(size_t *)bytes += info->dlpi_phdr[i].p_memsz + info->dlpi_phdr[i].p_align;
    return 0;
}

static size_t stack_bytes(void)
{
    size_t bytes = STACK_BYTES, page = 4096;
    dl_iterate_phdr(add_tls, &bytes);
    return (bytes + page - 1) / page * page;
}

/* What libraries bring along later may have more thread-local memory than was counted. */
static bool start(Worker *w, const pthread_attr_t *attr)
{
    int error = pthread_create(&w->thread, attr, worker_main, w);
    if (error == EINVAL)
        error = pthread_create(&w->thread, NULL, worker_main, w);
    return error == 0;
}

static void start_workers(Pool *p)
{
    sigset_t blocked = foreign_signals(), before;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr))
        return;
    pthread_attr_setstacksize(&attr, stack_bytes());
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    while (p->started < p->threads - 1) {
        Worker *w = &p->worker[p->started];
        *w = (Worker){.pool = p, .index = p->started + 1};
        if (!start(w, &attr))
            break;
        p->started++;
    }
    p->threads = p->started + 1;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}

/* Makes the workers that are wanted and not there. */
static void ready(Pool *p)
{
    unsigned now = atomic_load(&forks);
    if (p->forks != now) {
        p->forks = now;
        p->started = 0;
        atomic_store(&p->inside, 0);
        atomic_store(&p->asleep, false);
        atomic_store(&p->awaited, false);
        uint32_t round = (uint32_t)(atomic_load(&p->ticket) >> 32);
        atomic_store(&p->ticket, ticket_of(round, CLOSED));
        init_locks(p);
    }
    if (p->started < p->threads - 1)
        start_workers(p);
}

void pool_free(Pool *p)
{
    if (!p)
        return;
    if (p->forks == atomic_load(&forks)) {
        pthread_mutex_lock(&p->lock);
        atomic_store(&p->closing, true);
        pthread_cond_broadcast(&p->work);
        pthread_mutex_unlock(&p->lock);
        for (int i = 0; i < p->started; i++)
            pthread_join(p->worker[i].thread, NULL);
        pthread_mutex_destroy(&p->lock);
        pthread_cond_destroy(&p->work);
        pthread_cond_destroy(&p->done);
    }
    mem_free(p);
}

/* --- work -------------------------------------------------------------------------------------- */

static void open_round(Pool *p, int team, int jobs, int chunk, PartFn fn, const void *args)
{
    uint32_t round = (uint32_t)(atomic_load(&p->ticket) >> 32) + 1;
    atomic_store(&p->ticket, ticket_of(round, CLOSED));
    atomic_store(&p->fn, fn);
    atomic_store(&p->args, args);
    atomic_store(&p->jobs, jobs);
    atomic_store(&p->chunk, chunk);
    atomic_store(&p->team, team);
    atomic_store(&p->ticket, ticket_of(round, 0));
    wake_workers(p);
}

void pool_run(Pool *p, int team, int jobs, int chunk, PartFn fn, const void *args)
{
    if (jobs <= 0)
        return;
    Flush flush = flush_on();
    if (team > 1 && jobs > chunk)
        ready(p);
    if (team > 1 && jobs > chunk && p->started > 0) {
        open_round(p, team, jobs, chunk, fn, args);
        work_in(p, 0, (uint32_t)(atomic_load(&p->ticket) >> 32));
        wait_for_workers(p);
    } else {
        fn(args, &(Part){.end = jobs, .jobs = jobs, .chunk = chunk});
    }
    flush_off(flush);
}

typedef struct Each {
    EachFn fn;
    const void *args;
} Each;

static void each_part(const void *args, Part *part)
{
    const Each *each = args;
    for (int i; (i = part_next(part)) >= 0;)
        each->fn(each->args, i);
}

void pool_each(Pool *p, int team, int n, EachFn fn, const void *args)
{
    pool_run(p, team, n, 1 + (n - 1) / (SHARE * (team > 1 ? team : 1)), each_part,
             &(Each){fn, args});
}
