/* ckpt/jobs.c: threads over a list of files. */
#define _GNU_SOURCE
#include "ckpt/jobs.h"

#include <signal.h>
#include <time.h>

enum { JOBS = 4, JOBS_MAX = 32, TELL_MS = 100 };

void jobs_init(Jobs *j, const PullOptions *o, const char *what, const char *licence)
{
    j->options = o;
    j->progress = (PullProgress){.repository = what, .licence = licence};
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->change, NULL);
}

void jobs_free(Jobs *j)
{
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->change);
    hub_remote_free(&j->remote);
    arena_free(&j->mem);
    mem_free(j->file);
}

static bool is_stopped(void *user)
{
    return atomic_load(&((Jobs *)user)->stop);
}

static void *work(void *user)
{
    Jobs *j = user;
    size_t i;
    while ((i = atomic_fetch_add(&j->next, 1)) < j->n && !atomic_load(&j->stop)) {
        if (!j->fn(j, &j->file[i], &j->error[i]))
            atomic_store(&j->stop, true);
        else
            atomic_fetch_add(&j->ended, 1);
    }
    pthread_mutex_lock(&j->lock);
    j->running--;
    pthread_cond_signal(&j->change);
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* Adds up what is on disk by now, and names the first file that is not all there. */
static void tell(Jobs *j)
{
    PullProgress *p = &j->progress;
    if (!j->options->on_progress || j->told_to_stop)
        return;
    p->bytes_done = 0;
    p->file = NULL;
    for (size_t i = 0; i < j->n; i++) {
        uint64_t done = atomic_load(&j->file[i].done);
        p->bytes_done += done;
        if (!p->file && done > 0 && (int64_t)done < j->file[i].size)
            p->file = j->file[i].name;
    }
    p->files_done = p->bytes_total ? atomic_load(&j->ended) : 0;
    if (!j->options->on_progress(j->options->user, p)) {
        j->told_to_stop = true;
        atomic_store(&j->stop, true);
    }
}

static void wait_and_tell(Jobs *j)
{
    pthread_mutex_lock(&j->lock);
    while (j->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TELL_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&j->change, &j->lock, &until);
        pthread_mutex_unlock(&j->lock);
        tell(j);
        pthread_mutex_lock(&j->lock);
    }
    pthread_mutex_unlock(&j->lock);
}

/* Threads without signals; where none can be had, this one does the work. */
static int start(Jobs *j, pthread_t thread[JOBS_MAX])
{
    int wanted = j->options->jobs ? j->options->jobs : JOBS, n = 0;
    sigset_t all, before;
    if (wanted > JOBS_MAX)
        wanted = JOBS_MAX;
    if ((size_t)wanted > j->n)
        wanted = (int)j->n;
    j->running = wanted;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (n < wanted && pthread_create(&thread[n], NULL, work, j) == 0)
        n++;
    pthread_mutex_lock(&j->lock);
    j->running -= wanted - n;
    pthread_mutex_unlock(&j->lock);
    if (n == 0) {
        j->running = 1;
        work(j);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

/* What was stopped because another one failed has nothing to say. */
static bool first_error(const Jobs *j, Error *e)
{
    for (size_t i = 0; i < j->n && !j->told_to_stop; i++) {
        const Error *x = &j->error[i];
        if (x->code && x->code != ERR_STOPPED)
            return error_set(e, x->code, "%s", x->message);
    }
    return !atomic_load(&j->stop) ||
           error_set(e, ERR_STOPPED, "%s: stopped", j->progress.repository);
}

bool jobs_run(Jobs *j, JobFn *fn, Error *e)
{
    pthread_t thread[JOBS_MAX];
    if (atomic_load(&j->stop))
        return error_set(e, ERR_STOPPED, "%s: stopped", j->progress.repository);
    if (j->n == 0)
        return true;
    j->error = mem_calloc(j->n, sizeof *j->error);
    if (!j->error)
        return error_memory(e, j->progress.repository, j->n * sizeof *j->error);
    j->fn = fn;
    j->remote.stop = is_stopped;
    j->remote.user = j;
    atomic_store(&j->next, 0);
    atomic_store(&j->ended, 0);
    tell(j);
    int n = start(j, thread);
    wait_and_tell(j);
    for (int i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    tell(j);
    bool ok = first_error(j, e);
    mem_free(j->error);
    j->error = NULL;
    return ok;
}
