/* image/across.c: the horizontal pass. */
#include "image/pass.h"

#include <math.h>
#include "base/mem.h"

/* In front of a loop: gcc vectorises such at -O2 only when asked. clang does it unasked, and would warn
 * where a sanitizer keeps it from it. */
#ifdef __clang__
#define VECTORISE(clauses)
#else
#define VECTORISE(clauses)   VECTORISE_TEXT(omp simd clauses)
#define VECTORISE_TEXT(text) _Pragma(#text)
#endif

enum { CHUNK = 1024 };

/* The weights of target t, its place in the block and how much of it is taken. */
static size_t fill_taps(Taps *taps, int16_t *weights, const Target *t)
{
    int n = t->hi - t->lo;
    *taps = (Taps){.weights = weights, .lo = t->lo, .groups = (n + GROUP - 1) / GROUP};
    for (int j = 0; j < n; j++) {
        int16_t *w = weights + j / GROUP * 2 * GROUP + j % GROUP;
        int32_t weight = target_weight(t, t->lo + j);
        w[0] = (int16_t)weight_high(weight);
        w[GROUP] = (int16_t)weight_low(weight);
    }
    return (size_t)taps->groups * 2 * GROUP;
}

bool across_init(Across *a, int targets, int n, const ResizeKernel *k, Error *e)
{
    double scale = (double)n / targets;
    size_t most = (size_t)ceil(2.0 * (scale < 1.0 ? 1.0 : scale)) * 2 + 1, m = (size_t)targets;
    size_t step = (most + GROUP - 1) / GROUP * 2 * GROUP;
    size_t bytes = m * (sizeof *a->taps + step * sizeof(int16_t));
    *a = (Across){.targets = targets, .k = k, .taps = mem_calloc(bytes, 1)};
    if (!a->taps)
        return error_memory(e, "resize", bytes);
    int16_t *weights = (int16_t *)(a->taps + m);
    for (int i = 0; i < targets; i++) {
        Target t = target_of(i, targets, n);
        weights += fill_taps(&a->taps[i], weights, &t);
    }
    return true;
}

void across_rows(uint8_t *dst, const Across *a, const uint8_t *const *row, int n, int pixel)
{
    a->k->across(dst, row, n, pixel, a->taps, a->targets);
}

static bool across_kept(uint8_t *dst, int dw, const View *v, const ResizeKernel *k, Error *e)
{
    Across a;
    Strip s;
    if (!across_init(&a, dw, v->width, k, e))
        return false;
    bool ok = strip_init(&s, v, false, k, e);
    for (int y = 0, n = 0; ok && y < v->height; y += n) {
        n = strip_read(&s, y);
        across_rows(dst + (size_t)y * (size_t)dw * 3, &a, s.row, n, s.pixel);
    }
    if (ok)
        mem_free(s.room);
    mem_free(a.taps);
    return ok;
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

/* Rows longer than LONG_AXIS: one target after the other for all rows, its weights made a chunk at a
 * time. */
typedef struct Chunk {
    int16_t high[CHUNK], low[CHUNK], planes[3 * CHUNK];
} Chunk;

static void chunk_add(uint32_t *sums, Chunk *k, const View *v, const Target *t, int from)
{
    size_t n = (size_t)(t->hi - from < CHUNK ? t->hi - from : CHUNK);
    for (size_t j = 0; j < n; j++) {
        int32_t weight = target_weight(t, from + (int)j);
        k->high[j] = (int16_t)weight_high(weight);
        k->low[j] = (int16_t)weight_low(weight);
    }
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

bool across_all(uint8_t *dst, int dw, const View *v, const ResizeKernel *k, Error *e)
{
    return v->width > LONG_AXIS ? across_long(dst, dw, v, e) : across_kept(dst, dw, v, k, e);
}
