/* image/down.c: the vertical pass. */
#include "image/pass.h"

#include "base/mem.h"

/* Samples that are added together: those of a strip and the sums stay in L1. */
enum { SPAN = 1024 };

/* How many targets are summed at the same time, at most: when a strip is added, the first of them wants its
 * first row, and the last of them its last row. */
static int most_active(const Down *d)
{
    int most = 0;
    for (int i = 0, j = 0; i < d->targets; i++) {
        while (j < d->targets && d->target[j].lo < d->target[i].hi + STRIP - 1)
            j++;
        most = j - i > most ? j - i : most;
    }
    return most;
}

void down_free(Down *d)
{
    mem_free(d->target);
    mem_free(d->sums);
    *d = (Down){0};
}

bool down_init(Down *d, int targets, int n, size_t samples, const ResizeKernel *k, Error *e)
{
    size_t bytes = (size_t)targets * sizeof *d->target;
    *d = (Down){.targets = targets, .samples = samples, .k = k};
    d->target = mem_alloc(bytes);
    if (!d->target)
        return error_memory(e, "resize", bytes);
    for (int i = 0; i < targets; i++)
        d->target[i] = target_of(i, targets, n);
    d->active = most_active(d);
    bytes = (size_t)d->active * samples * sizeof *d->sums;
    d->sums = mem_alloc(bytes);
    if (!d->sums) {
        down_free(d);
        return error_memory(e, "resize", bytes);
    }
    return true;
}

static uint32_t *down_sums(const Down *d, int i)
{
    return d->sums + (size_t)(i % d->active) * d->samples;
}

/* The n rows, all of which target i wants, with its weights. */
static void add_rows(const Down *d, int i, const uint8_t *const *row, int y, int n)
{
    int32_t weight[STRIP];
    const uint8_t *at[STRIP];
    for (int r = 0; r < n; r++)
        weight[r] = target_weight(&d->target[i], y + r);
    for (size_t x = 0; x < d->samples; x += SPAN) {
        for (int r = 0; r < n; r++)
            at[r] = row[r] + x;
        d->k->down(down_sums(d, i) + x, at, weight, n,
                   d->samples - x < SPAN ? d->samples - x : SPAN);
    }
}

void down_add(Down *d, const uint8_t *const *row, int y, int n)
{
    for (; d->next < d->targets && d->target[d->next].lo < y + n; d->next++) {
        uint32_t *sum = down_sums(d, d->next);
        for (size_t x = 0; x < d->samples; x++)
            sum[x] = HALF;
    }
    for (int i = d->first; i < d->next; i++) {
        int lo = d->target[i].lo, hi = d->target[i].hi;
        int from = lo < y ? 0 : lo - y, to = hi - y < n ? hi - y : n;
        add_rows(d, i, row + from, y + from, to - from);
    }
}

bool down_take(uint8_t *dst, Down *d, int end)
{
    if (d->first == d->next || d->target[d->first].hi > end)
        return false;
    d->k->take(dst, down_sums(d, d->first++), d->samples);
    return true;
}
