/* cpu/pool.h: the threads of a stream, and how a kernel shares out its work among them.
 *
 *     typedef struct Scale { float *x; size_t cols; float by; } Scale;
 *     static void scale_row(const void *args, int r) { const Scale *s = args; ... }
 *     pool_each(pool, team, rows, scale_row, &(Scale){x, cols, 2});
 *
 * The work is cut into jobs 0, 1, 2.. that threads take one after another; the caller is one of them
 * and waits for nobody who has not begun: a thread that the system suspends or wakes late costs nothing
 * but its help. So results must not depend on who does which job, and kernels see to that.
 *
 * Threads are made by the first call that has work for them, as many as the system gives: with none,
 * the caller does all. A thread that it does not give is not asked for again. They spin for some
 * microseconds after each piece of work and then sleep. They take no signals but those that a thread's
 * own work raises. After fork() the child's pool makes its own. pool_free joins them, so that the
 * library may be unloaded. Nothing here prints or ends the process.
 *
 * Subnormals count as zero (cpu/flush.h) in everything that a pool runs, on the caller's thread too. A
 * pool is used by one thread at a time. */
#ifndef CPU_POOL_H
#define CPU_POOL_H

#include <stdint.h>

typedef struct Pool Pool;

/* For up to `threads` threads, the caller among them. NULL: out of memory. Free with pool_free. */
Pool *pool_new(int threads);
void pool_free(Pool *p); /* NULL is fine */

/* One thread's part in a piece of work. */
typedef struct Part {
    int thread; /* 0 .. team - 1: the caller is 0. No two parts at a time have the same */
    int job, end, jobs, chunk;
    uint32_t round;
    Pool *pool; /* NULL: there is one part, of all jobs */
} Part;

/* The next job of this part, or -1: there are no more. */
int part_next(Part *part);

/* Calls fn(args, part) on up to `team` threads; together their part_next give each of 0 .. jobs - 1
 * once, in runs of `chunk`. A thread for which nothing is left does not call fn. Returns when all have
 * returned. Memory that a thread needs for itself is chosen by part->thread. */
typedef void (*PartFn)(const void *args, Part *part);
void pool_run(Pool *p, int team, int jobs, int chunk, PartFn fn, const void *args);

/* Calls fn(args, i) for each i of 0 .. n - 1. */
typedef void (*EachFn)(const void *args, int i);
void pool_each(Pool *p, int team, int n, EachFn fn, const void *args);

#endif
