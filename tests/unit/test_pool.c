/* cpu/pool.h: every job is done once, by parts that do not share a number; threads that cannot be made,
 * forks, signals, sleep, the end. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu/pool.h"
#include "dice.h"

enum { JOBS = 4096, THREADS = 8 };

/* A program with much thread-local memory, all of which would lie on a worker's stack. */
static _Thread_local volatile char much[250 << 10];

/* What a round did. Jobs are checked afterwards: cmocka's checks belong to the main thread. */
typedef struct Seen {
    atomic_uchar done[JOBS];
    atomic_int holders[THREADS]; /* parts that have this number now */
    atomic_int wrong, parts;
    int team;
} Seen;

static void visit(const void *args, Part *part)
{
    Seen *s = *(Seen *const *)args;
    atomic_fetch_add(&s->parts, 1);
    volatile char frame[64 << 10]; /* as deep as kernels go */
    frame[0] = much[sizeof much - 1];
    if (frame[0] || part->thread < 0 || part->thread >= s->team ||
        atomic_fetch_add(&s->holders[part->thread], 1) != 0)
        atomic_fetch_add(&s->wrong, 1);
    for (int job; (job = part_next(part)) >= 0;)
        if (job >= JOBS || atomic_fetch_add(&s->done[job], 1) != 0)
            atomic_fetch_add(&s->wrong, 1);
    if (part_next(part) != -1)
        atomic_fetch_add(&s->wrong, 1);
    atomic_fetch_sub(&s->holders[part->thread], 1);
}

static void check_round(Pool *p, Seen *s, int team, int jobs, int chunk)
{
    memset(s, 0, sizeof *s);
    s->team = team > 1 ? team : 1;
    pool_run(p, team, jobs, chunk, visit, &s);
    assert_int_equal(s->wrong, 0);
    assert_in_range(s->parts, jobs > 0, s->team);
    for (int i = 0; i < JOBS; i++)
        if (s->done[i] != (i < jobs))
            fail_msg("team %d, %d jobs by %d: job %d was done %d times", team, jobs, chunk, i,
                     s->done[i]);
}

static void test_every_job_once(void **state)
{
    static Seen s;
    Dice d = {.seed = 7};
    for (int threads = 1; threads <= THREADS; threads += threads < 3 ? 1 : 5) {
        Pool *p = pool_new(threads);
        for (int i = 0; i < 1000; i++)
            check_round(p, &s, below(&d, threads + 1), below(&d, i % 2 ? JOBS : 20),
                        1 + below(&d, 40));
        pool_free(p);
    }
}

/* Rounds that follow each other at once, where a worker that comes late finds another one. */
static void count(const void *args, int i)
{
    atomic_fetch_add(((atomic_long *const *)args)[i & 1], 1 + i);
}

static void test_short_rounds(void **state)
{
    Pool *p = pool_new(4);
    for (int i = 0; i < 50000; i++) {
        atomic_long even = 0, odd = 0;
        atomic_long *sums[2] = {&even, &odd};
        int n = 2 + i % 7;
        pool_each(p, 4, n, count, sums);
        assert_int_equal(even + odd, n * (n + 1) / 2);
    }
    pool_free(p);
}

/* Jobs so slow that every worker comes in time: those beyond the team keep out. */
static void slow(const void *args, Part *part)
{
    atomic_int *beyond = *(atomic_int *const *)args;
    while (part_next(part) >= 0) {
        usleep(1000);
        atomic_fetch_add(beyond, part->thread >= 2);
    }
}

static void test_small_team(void **state)
{
    Pool *p = pool_new(6);
    atomic_int beyond = 0, *at = &beyond;
    for (int i = 0; i < 5; i++)
        pool_run(p, 2, 20, 1, slow, &at);
    assert_int_equal(beyond, 0);
    pool_free(p);
}

/* Whatever the program rounds to, kernels round to nearest, on every thread. */
static void round_up(const void *args, int i)
{
    atomic_int *other = *(atomic_int *const *)args;
    volatile float one = 1, tiny = 1e-10f;
    (void)i;
    usleep(500);
    atomic_fetch_add(other, one + tiny != 1);
}

static void test_rounding(void **state)
{
    (void)state;
    Pool *p = pool_new(4);
    atomic_int other = 0, *at = &other;
    fesetround(FE_UPWARD);
    pool_each(p, 4, 40, round_up, &at);
    assert_int_equal(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    assert_int_equal(other, 0);
    pool_free(p);
}

/* Long enough that the workers sleep. */
static void test_after_sleep(void **state)
{
    static Seen s;
    Pool *p = pool_new(3);
    for (int i = 0; i < 20; i++) {
        usleep(3000);
        check_round(p, &s, 3, 100, 1);
    }
    pool_free(p);
}

/* A job that waits for another: both are being done at the same time, so there is a second thread. */
static void meet(const void *args, int i)
{
    atomic_int *here = *(atomic_int *const *)args;
    atomic_fetch_add(here, 1);
    for (int ms = 0; *here < 2 && ms < 10000; ms++)
        usleep(1000);
    (void)i;
}

static void test_together(void **state)
{
    Pool *p = pool_new(2);
    for (int i = 0; i < 5; i++) {
        atomic_int here = 0, *at = &here;
        pool_each(p, 2, 2, meet, &at);
        assert_int_equal(here, 2);
    }
    pool_free(p);
}

static void test_unused(void **state)
{
    Pool *p = pool_new(0);
    static Seen s;
    pool_free(NULL);
    check_round(p, &s, 1, 10, 1);
    check_round(p, &s, 5, 0, 1);
    pool_free(p);
    pool_free(pool_new(1024));
}

/* --- what the process does ---------------------------------------------------------------------- */

static int threads_now(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    if (!d)
        return -1;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* A thread that was joined may be in /proc a moment longer. */
static bool threads_become(int n)
{
    for (int ms = 0; threads_now() > n && ms < 2000; ms++)
        usleep(1000);
    return threads_now() == n;
}

/* In a child, since a limit cannot be taken back and a hang must end. 0: f returned true. */
static int in_child(bool (*f)(Pool *), Pool *p)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        _exit(f(p) ? 0 : 1);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

/* Without cmocka: true when every job was done once. */
static bool right(Pool *p, int team)
{
    static Seen s;
    Seen *at = &s;
    memset(&s, 0, sizeof s);
    s.team = team;
    pool_run(p, team, 500, 1, visit, &at);
    for (int i = 0; i < JOBS; i++)
        if (s.done[i] != (i < 500))
            return false;
    return s.wrong == 0;
}

static bool use_and_free(Pool *p)
{
    int before = threads_now(); /* a sanitizer has one of its own */
    bool ok = right(p, 3) && right(p, 3) && threads_now() == before + 2;
    pool_free(p);
    return ok && threads_become(before);
}

static bool only_free(Pool *p)
{
    pool_free(p);
    return true;
}

static void test_fork(void **state)
{
    Pool *p = pool_new(3);
    assert_int_equal(in_child(use_and_free, p), 0); /* before there were threads */
    for (int i = 0; i < 20; i++) {
        assert_true(right(p, 3));
        if (i % 2)
            usleep(2000);         /* asleep, or about to be */
#if !defined(__SANITIZE_THREAD__) /* it cannot start threads after a fork from several */
        assert_int_equal(in_child(use_and_free, p), 0);
#endif
        assert_int_equal(in_child(only_free, p), 0);
        assert_true(right(p, 3));
    }
    pool_free(p);
}

/* Stacks find no room, but for what the system kept of earlier ones: fewer threads, or none. */
static bool without_memory(Pool *p)
{
    struct rlimit room;
    getrlimit(RLIMIT_AS, &room);
    struct rlimit none = {1, room.rlim_max};
    bool ok = setrlimit(RLIMIT_AS, &none) == 0 && right(p, 64) && right(p, 64);
    return setrlimit(RLIMIT_AS, &room) == 0 && ok && threads_now() < 64;
}

/* The limit of a user's processes, which root does not have. */
static bool without_processes(Pool *p)
{
    const struct rlimit none = {0, 0};
    int before = threads_now();
    bool user = getuid() != 0 || setuid(65534) == 0;
    return user && setrlimit(RLIMIT_NPROC, &none) == 0 && right(p, 64) && right(p, 64) &&
           threads_now() == before;
}

static void test_no_threads(void **state)
{
    Pool *p = pool_new(64);
    assert_int_equal(in_child(without_processes, p), 0);
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) /* these map memory themselves */
    assert_int_equal(in_child(without_memory, p), 0);
#else
    (void)without_memory;
#endif
    pool_free(p);
}

/* Signals reach the program's own threads only, but for those that a thread's own work raises. */
static bool signals_blocked(void)
{
    DIR *d = opendir("/proc/self/task");
    bool ok = d != NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300], line[200];
        unsigned long long blocked = 0;
        if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof line, f))
            if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
                ok = ok && (blocked >> (SIGINT - 1) & 1) && (blocked >> (SIGTERM - 1) & 1) &&
                     !(blocked >> (SIGBUS - 1) & 1);
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return ok;
}

static bool takes_no_signals(Pool *p)
{
    sigset_t mine;
    int before = threads_now();
    bool ok = right(p, 4) && threads_now() == before + 3;
    for (int ms = 0; ok && !signals_blocked() && ms < 10000; ms++)
        usleep(1000); /* a thread that begins blocks all */
    ok = ok && signals_blocked();
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    return ok && !sigismember(&mine, SIGINT);
}

static void test_signals(void **state)
{
    Pool *p = pool_new(4);
#if !defined(__SANITIZE_THREAD__) /* its own thread blocks every signal */
    assert_int_equal(in_child(takes_no_signals, p), 0);
#else
    (void)takes_no_signals;
#endif
    pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_job_once), cmocka_unit_test(test_short_rounds),
        cmocka_unit_test(test_small_team),     cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_after_sleep),    cmocka_unit_test(test_together),
        cmocka_unit_test(test_unused),         cmocka_unit_test(test_fork),
        cmocka_unit_test(test_no_threads),     cmocka_unit_test(test_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
