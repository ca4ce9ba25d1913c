/* bench/timing.h: what the programs in bench/ have in common: the median of many calls. */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include <stdlib.h>

#include "base/sys.h"

typedef struct Timing {
    double median, best; /* ms */
} Timing;

static inline int timing_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static inline Timing timing_of(double *ms, int n)
{
    qsort(ms, (size_t)n, sizeof *ms, timing_compare);
    return (Timing){ms[n / 2], ms[0]};
}

/* Calls again and again for a quarter of a second, 5 to 400 times; the first call, which grows scratch memory, does
 * not count. */
static inline Timing time_calls(void (*call)(void *), void *with)
{
    enum { MOST = 400, LEAST = 5 };
    static const double BUDGET_MS = 250;
    double ms[MOST];
    int n = 0;
    call(with);
    for (double start = now_ms(); n < MOST && (n < LEAST || now_ms() - start < BUDGET_MS); n++) {
        double from = now_ms();
        call(with);
        ms[n] = now_ms() - from;
    }
    return timing_of(ms, n);
}

#endif
