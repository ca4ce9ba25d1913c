/* image/down.c: the vertical pass. */
#include "image/pass.h"

#include "base/mem.h"

/* How many targets want the same source row, at most. */
static int most_active(const Down *d)
{
    int most = 0;
    for (int i = 0, j = 0; i < d->targets; i++) {
        while (j < d->targets && d->target[j].lo < d->target[i].hi)
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

bool down_init(Down *d, int targets, int n, size_t samples, Error *e)
{
    size_t bytes = (size_t)targets * sizeof *d->target;
    *d = (Down){.targets = targets, .n = n, .samples = samples};
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

static void add_row(uint32_t *restrict sum, const uint8_t *restrict src, int32_t weight, size_t n)
{
    VECTORISE()
    for (size_t x = 0; x < n; x++)
        sum[x] += src[x] * (uint32_t)weight;
}

void down_add(Down *d, const uint8_t *row, int y)
{
    for (; d->next < d->targets && d->target[d->next].lo <= y; d->next++) {
        uint32_t *sum = down_sums(d, d->next);
        for (size_t x = 0; x < d->samples; x++)
            sum[x] = HALF;
    }
    for (int i = d->first; i < d->next; i++)
        add_row(down_sums(d, i), row, target_weight(&d->target[i], y), d->samples);
}

bool down_take(uint8_t *dst, Down *d, int y)
{
    if (d->first == d->next || d->target[d->first].hi > y + 1)
        return false;
    const uint32_t *sum = down_sums(d, d->first++);
    for (size_t x = 0; x < d->samples; x++)
        dst[x] = clip8(sum[x]);
    return true;
}
