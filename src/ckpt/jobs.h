/* ckpt/jobs.h: several files at once. For ckpt/pull.c and data/download.c. */
#ifndef CKPT_JOBS_H
#define CKPT_JOBS_H

#include <pthread.h>

#include "ckpt/fetch.h"
#include "ckpt/pull.h"

typedef struct Jobs Jobs;
typedef bool JobFn(Jobs *j, Fetch *f, Error *e);

/* Files of one repository, and who is told of them. */
struct Jobs {
    HubRemote remote;
    Fetch *file;
    size_t n;
    const PullOptions *options;
    PullProgress progress;
    Arena mem;        /* of what a job makes; with the lock */
    atomic_bool stop; /* set by the caller's callback, or by the first failure */
    atomic_size_t next, ended;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int running;
    JobFn *fn;
    Error *error; /* of each file */
    bool told_to_stop;
};

/* `j` starts as {0}: what messages and progress call it. jobs_free: remote, memory and list with it. */
void jobs_init(Jobs *j, const PullOptions *o, const char *what, const char *licence);
void jobs_free(Jobs *j);

/* Does fn for every file, some at once, in threads that take no signals; the callback is called by this
 * thread. The first failure, in the order of the files, is the error, and ends the others. */
bool jobs_run(Jobs *j, JobFn *fn, Error *e);

#endif
