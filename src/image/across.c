/* image/across.c: the horizontal pass. */
#include "image/pass.h"

#include <math.h>
#include "base/mem.h"

enum { LOW_BITS = 12, LANES = 8, CHUNK = 1024 };

static size_t rounded_up(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* Weights cut in two 16-bit halves, weight = high * 2^12 + low: products of 16-bit numbers are what
 * every SIMD unit has. */
static void split_weight(int16_t *high, int16_t *low, int32_t w)
{
    int32_t l = ((w + (1 << (LOW_BITS - 1))) & ((1 << LOW_BITS) - 1)) - (1 << (LOW_BITS - 1));
    *low = (int16_t)l;
    *high = (int16_t)((w - l) / (1 << LOW_BITS));
}

static uint32_t dot(const int16_t *restrict s, const int16_t *restrict high,
                    const int16_t *restrict low, size_t n)
{
    int32_t h = 0, l = 0;
    VECTORISE(reduction(+ : h, l))
    for (size_t j = 0; j < n; j++) {
        h += s[j] * high[j];
        l += s[j] * low[j];
    }
    return (uint32_t)h * (1u << LOW_BITS) + (uint32_t)l;
}

static bool across_alloc(Across *a, Error *e)
{
    size_t m = (size_t)a->targets, weights = m * a->step;
    size_t bytes = 2 * m * sizeof(int) + (2 * weights + 3 * a->plane) * sizeof(int16_t);
    a->block = mem_calloc(bytes, 1);
    if (!a->block)
        return error_memory(e, "resize", bytes);
    a->lo = a->block;
    a->count = a->lo + m;
    a->high = (int16_t *)(a->count + m);
    a->low = a->high + weights;
    a->planes = a->low + weights;
    return true;
}

bool across_init(Across *a, int targets, int n, Error *e)
{
    double scale = (double)n / targets;
    size_t taps = (size_t)ceil(2.0 * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
    *a = (Across){.targets = targets, .n = n, .step = rounded_up(taps)};
    a->plane = rounded_up((size_t)n) + LANES;
    if (!across_alloc(a, e))
        return false;
    for (int i = 0; i < targets; i++) {
        Target t = target_of(i, targets, n);
        a->lo[i] = t.lo;
        a->count[i] = t.hi - t.lo;
        for (int s = t.lo; s < t.hi; s++) {
            size_t at = (size_t)i * a->step + (size_t)(s - t.lo);
            split_weight(a->high + at, a->low + at, target_weight(&t, s));
        }
    }
    return true;
}

void across_row(uint8_t *dst, const Across *a, const View *v, int y)
{
    view_planes(a->planes, a->plane, v, 0, y, (size_t)a->n);
    for (int i = 0; i < a->targets; i++) {
        size_t at = (size_t)i * a->step, n = rounded_up((size_t)a->count[i]);
        for (size_t c = 0; c < 3; c++)
            *dst++ = clip8(dot(a->planes + c * a->plane + a->lo[i], a->high + at, a->low + at, n) +
                           HALF);
    }
}

static bool across_kept(uint8_t *dst, int dw, const View *v, Error *e)
{
    Across a;
    if (!across_init(&a, dw, v->width, e))
        return false;
    for (int y = 0; y < v->height; y++)
        across_row(dst + (size_t)y * (size_t)dw * 3, &a, v, y);
    mem_free(a.block);
    return true;
}

/* Rows longer than LONG_AXIS: one target after the other for all rows, its weights made a chunk at a
 * time. */
typedef struct Chunk {
    int16_t high[CHUNK], low[CHUNK], planes[3 * CHUNK];
} Chunk;

static void chunk_add(uint32_t *sums, Chunk *k, const View *v, const Target *t, int from)
{
    size_t n = (size_t)(t->hi - from < CHUNK ? t->hi - from : CHUNK);
    for (size_t j = 0; j < n; j++)
        split_weight(k->high + j, k->low + j, target_weight(t, from + (int)j));
    for (int y = 0; y < v->height; y++) {
        view_planes(k->planes, CHUNK, v, from, y, n);
        for (size_t c = 0; c < 3; c++)
            *sums++ += dot(k->planes + c * CHUNK, k->high, k->low, n);
    }
}

static bool across_long(uint8_t *dst, int dw, const View *v, Error *e)
{
    size_t rows = (size_t)v->height, bytes = sizeof(Chunk) + rows * 3 * sizeof(uint32_t);
    Chunk *k = mem_alloc(bytes);
    if (!k)
        return error_memory(e, "resize", bytes);
    uint32_t *sums = (uint32_t *)(k + 1);
    for (size_t i = 0; i < (size_t)dw; i++) {
        Target t = target_of((int)i, dw, v->width);
        for (size_t s = 0; s < 3 * rows; s++)
            sums[s] = HALF;
        for (int from = t.lo; from < t.hi; from += CHUNK)
            chunk_add(sums, k, v, &t, from);
        for (size_t s = 0; s < 3 * rows; s++)
            dst[(s / 3 * (size_t)dw + i) * 3 + s % 3] = clip8(sums[s]);
    }
    mem_free(k);
    return true;
}

bool across_all(uint8_t *dst, int dw, const View *v, Error *e)
{
    return v->width > LONG_AXIS ? across_long(dst, dw, v, e) : across_kept(dst, dw, v, e);
}
