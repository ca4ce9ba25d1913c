/* eval/recall.c: counting, no sorting. */
#include "eval/recall.h"

static size_t place(const double *scores, size_t n, size_t i)
{
    size_t before = 0;
    for (size_t k = 0; k < n; k++)
        before += scores[k] > scores[i] || (scores[k] == scores[i] && k > i);
    return before;
}

size_t recall_rank(const double *scores, size_t n, const size_t *good, size_t count)
{
    size_t best = n;
    for (size_t i = 0; i < count; i++) {
        size_t at = place(scores, n, good[i]);
        best = at < best ? at : best;
    }
    return best;
}

static double within(const size_t *ranks, size_t n, size_t k)
{
    size_t hits = 0;
    for (size_t i = 0; i < n; i++)
        hits += ranks[i] < k;
    return 100.0 * (double)hits / (double)n;
}

Recall recall_of(const size_t *ranks, size_t n)
{
    Recall r = {within(ranks, n, 1), within(ranks, n, 5), within(ranks, n, 10), 0};
    r.mean = (r.r1 + r.r5 + r.r10) / 3;
    return r;
}
