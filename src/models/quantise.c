/* models/quantise.c: one row, symmetric, its largest weight at 127; many rows by many threads. */
#include "models/quantise.h"

#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "base/sys.h"

void quantise_row(int8_t *q, float *scale, const float *w, int n)
{
    float top = 0;
    int odd = 0; /* infinities and NaN */
#pragma omp simd reduction(max : top) reduction(+ : odd)
    for (int i = 0; i < n; i++) {
        float size = fabsf(w[i]);
        top = size > top ? size : top;
        odd += !(size <= FLT_MAX);
    }
    float up = 127 / top;
    bool flat = odd || !isfinite(up);
    *scale = odd ? NAN : flat ? 0 : top / 127;
    up = flat ? 0 : up;
#pragma omp simd
    for (int i = 0; i < n; i++)
        q[i] = flat ? 0 : (int8_t)lrintf(w[i] * up);
}

/* --- rows of a file ----------------------------------------------------------------------------------- */

/* What the threads share: a job is 32 rows, or fewer at the end. */
typedef struct Work {
    const Recipe *r;
    DType to;
    size_t first, n;
    char *out;
    float *scale, *room;
} Work;

static void some_rows(const Work *w, size_t job, float *room)
{
    const size_t at = job * PANEL, n = w->n - at < PANEL ? w->n - at : PANEL, width = w->r->width;
    if (dtype_is_float(w->to)) {
        recipe_rows(w->r, w->out + dtype_bytes(w->to, at * width), w->first + at, n);
        return;
    }
    recipe_floats(w->r, room, w->first + at, n);
    if (w->to == I4)
        panel_quantise_i4(w->out + job * panel_bytes(I4, width), room, n, width);
    for (size_t i = 0; w->to == I8 && i < n; i++)
        quantise_row((int8_t *)w->out + (at + i) * width, &w->scale[at + i], room + i * width,
                     (int)width);
}

static void do_part(const void *args, Part *part)
{
    const Work *w = args;
    float *room = w->room + (size_t)part->thread * PANEL * w->r->width;
    for (int job; (job = part_next(part)) >= 0;)
        some_rows(w, (size_t)job, room);
}

static bool begin(Quantiser *q, size_t width)
{
    if (!q->pool) {
        q->threads = cpus_usable();
        q->pool = pool_new(q->threads);
    }
    return q->pool && MEM_GROW(q->room, &q->cap, (size_t)q->threads * PANEL * width);
}

bool quantise(Quantiser *q, const Recipe *r, DType to, size_t first, size_t n, void *out,
              float *scale)
{
    if (!begin(q, r->width))
        return false;
    Work w = {r, to, first, n, out, scale, q->room};
    pool_run(q->pool, q->threads, (int)((n + PANEL - 1) / PANEL), 1, do_part, &w);
    return true;
}

void quantiser_free(Quantiser *q)
{
    pool_free(q->pool);
    mem_free(q->room);
    *q = (Quantiser){0};
}

/* Whether one of a block's 32 scales is NaN: their place in a panel; PANEL: none. */
static size_t odd_output(const unsigned char *block)
{
    for (size_t out = 0; out < PANEL; out++) {
        uint16_t scale;
        memcpy(&scale, block + 2 * out, sizeof scale);
        if ((scale & 0x7c00) == 0x7c00)
            return out;
    }
    return PANEL;
}

size_t quantised_odd(DType t, const void *values, const float *scale, size_t n, size_t width)
{
    const unsigned char *block = values;
    if (t == I8) {
        size_t i = 0;
        while (i < n && isfinite(scale[i]))
            i++;
        return i;
    }
    for (size_t i = 0; i < panel_count(n) * i4_blocks(width); i++, block += I4_BYTES) {
        size_t out = odd_output(block);
        if (out < PANEL)
            return i / i4_blocks(width) * PANEL + out;
    }
    return n;
}
