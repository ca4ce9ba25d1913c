/* image/resize.c: Pillow's bicubic resize (libImaging/Resample.c), bit for bit.
 *
 * Two one-dimensional passes with 22-bit fixed-point weights and a rounding to 8 bits after each.
 * The sums are whole numbers modulo 2^32, so their order does not matter: rows are read once, from
 * the first to the last, and added to the sums of the few target rows that want them. */
#include "image/resize.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"

/* gcc vectorises these loops at -O2 only when asked. clang does it unasked, and would warn where a
 * sanitizer keeps it from it. */
#ifdef __clang__
#define VECTORISE
#define VECTORISE_SUMS
#else
#define VECTORISE      _Pragma("omp simd")
#define VECTORISE_SUMS _Pragma("omp simd reduction(+ : h, l)")
#endif

enum { PRECISION = 22, LOW_BITS = 12, LANES = 8, HALF = 1 << (PRECISION - 1) };

/* Axes up to here have their weights kept; of longer ones there are few rows. */
enum { LONG_AXIS = 65536, CHUNK = 1024 };

/* --- weights ------------------------------------------------------------------------------------ */

/* Keys' cubic with a = -0.5, in Pillow's order of operations. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* One target of an axis: it is the sum of the sources lo <= s < hi, times their weights. */
typedef struct Target {
    int lo, hi;
    double centre, inverse, total;
} Target;

static double raw_weight(const Target *t, int s)
{
    return bicubic((s - t->centre + 0.5) * t->inverse);
}

/* Target i of m over n sources. */
static Target target_of(int i, int m, int n)
{
    double scale = (double)n / m, stretch = scale < 1.0 ? 1.0 : scale;
    double support = 2.0 * stretch;
    Target t = {.centre = (i + 0.5) * scale, .inverse = 1.0 / stretch};
    int lo = (int)(t.centre - support + 0.5), hi = (int)(t.centre + support + 0.5);
    t.lo = lo < 0 ? 0 : lo;
    t.hi = hi > n ? n : hi;
    for (int s = t.lo; s < t.hi; s++)
        t.total += raw_weight(&t, s);
    return t;
}

static int32_t fixed_weight(const Target *t, int s)
{
    double w = raw_weight(t, s);
    if (t->total != 0.0)
        w /= t->total;
    return (int32_t)(w * (1 << PRECISION) + (w < 0 ? -0.5 : 0.5));
}

/* Weights cut in two 16-bit halves, weight = high * 2^12 + low: products of 16-bit numbers are what
 * every SIMD unit has. */
static void split_weight(int16_t *high, int16_t *low, int32_t w)
{
    int32_t l = ((w + (1 << (LOW_BITS - 1))) & ((1 << LOW_BITS) - 1)) - (1 << (LOW_BITS - 1));
    *low = (int16_t)l;
    *high = (int16_t)((w - l) / (1 << LOW_BITS));
}

static uint8_t clip8(uint32_t sum)
{
    int32_t v = (int32_t)sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static size_t rounded_up(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* --- reading a view ------------------------------------------------------------------------------- */

/* Over white, as PIL.Image.alpha_composite does (AlphaComposite.c with an opaque background). */
static uint8_t over_white(unsigned c, unsigned alpha)
{
    unsigned t = c * alpha + 255 * (255 - alpha) + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

static const uint8_t *view_at(const View *v, int x, int y)
{
    return v->data + (ptrdiff_t)x * v->right + (ptrdiff_t)y * v->down;
}

/* n pixels of row y, from x on, as three planes: dot products over one axis need neighbours side by
 * side. */
static void read_planes(int16_t *planes, size_t plane, const View *v, int x, int y, size_t n)
{
    int16_t *restrict r = planes, *restrict g = planes + plane, *restrict b = planes + 2 * plane;
    const uint8_t *p = view_at(v, x, y);
    ptrdiff_t right = v->right;
    if (v->white)
        for (size_t i = 0; i < n; i++, p += right) {
            r[i] = over_white(p[0], p[3]);
            g[i] = over_white(p[1], p[3]);
            b[i] = over_white(p[2], p[3]);
        }
    else
        for (size_t i = 0; i < n; i++, p += right) {
            r[i] = p[0];
            g[i] = p[1];
            b[i] = p[2];
        }
}

/* Row y as RGB. */
static void read_row(uint8_t *rgb, const View *v, int y)
{
    const uint8_t *p = view_at(v, 0, y);
    for (int x = 0; x < v->width; x++, p += v->right, rgb += 3)
        for (int k = 0; k < 3; k++)
            rgb[k] = v->white ? over_white(p[k], p[3]) : p[k];
}

/* --- along a row ---------------------------------------------------------------------------------- */

static uint32_t dot(const int16_t *restrict s, const int16_t *restrict high,
                    const int16_t *restrict low, size_t n)
{
    int32_t h = 0, l = 0;
    VECTORISE_SUMS
    for (size_t j = 0; j < n; j++) {
        h += s[j] * high[j];
        l += s[j] * low[j];
    }
    return (uint32_t)h * (1u << LOW_BITS) + (uint32_t)l;
}

/* The weights of a horizontal pass over rows of n pixels, and room for one such row. Target i has
 * its weights at i * step; unused ones are 0, so that sums may read on to a multiple of LANES. */
typedef struct Across {
    int targets, n;
    size_t step, plane;
    int *lo, *count;
    int16_t *high, *low, *planes;
    void *block;
} Across;

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

static bool across_init(Across *a, int targets, int n, Error *e)
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
            split_weight(a->high + at, a->low + at, fixed_weight(&t, s));
        }
    }
    return true;
}

/* Row y of the view -> dst [targets, 3] */
static void across_row(uint8_t *dst, const Across *a, const View *v, int y)
{
    read_planes(a->planes, a->plane, v, 0, y, (size_t)a->n);
    for (int i = 0; i < a->targets; i++) {
        size_t at = (size_t)i * a->step, n = rounded_up((size_t)a->count[i]);
        for (size_t c = 0; c < 3; c++)
            *dst++ = clip8(dot(a->planes + c * a->plane + a->lo[i], a->high + at, a->low + at, n) +
                           HALF);
    }
}

static bool across_all(uint8_t *dst, int dw, const View *v, Error *e)
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
        split_weight(k->high + j, k->low + j, fixed_weight(t, from + (int)j));
    for (int y = 0; y < v->height; y++) {
        read_planes(k->planes, CHUNK, v, from, y, n);
        for (size_t c = 0; c < 3; c++)
            *sums++ += dot(k->planes + c * CHUNK, k->high, k->low, n);
    }
}

/* -> dst [v->height, dw, 3] */
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

/* --- down the rows --------------------------------------------------------------------------------- */

/* A vertical pass that takes the n source rows one after the other. Target rows first <= i < next
 * are being summed, i in the ring at i % active. */
typedef struct Down {
    int targets, n, active, first, next;
    size_t samples; /* of a row */
    Target *target;
    uint32_t *sums;
} Down;

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

static void down_free(Down *d)
{
    mem_free(d->target);
    mem_free(d->sums);
    *d = (Down){0};
}

static bool down_init(Down *d, int targets, int n, size_t samples, Error *e)
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
    VECTORISE
    for (size_t x = 0; x < n; x++)
        sum[x] += src[x] * (uint32_t)weight;
}

/* Adds source row y. */
static void down_add(Down *d, const uint8_t *row, int y)
{
    for (; d->next < d->targets && d->target[d->next].lo <= y; d->next++) {
        uint32_t *sum = down_sums(d, d->next);
        for (size_t x = 0; x < d->samples; x++)
            sum[x] = HALF;
    }
    for (int i = d->first; i < d->next; i++)
        add_row(down_sums(d, i), row, fixed_weight(&d->target[i], y), d->samples);
}

/* Takes the next target row that is complete with source row y; false when there is none. */
static bool down_take(uint8_t *dst, Down *d, int y)
{
    if (d->first == d->next || d->target[d->first].hi > y + 1)
        return false;
    const uint32_t *sum = down_sums(d, d->first++);
    for (size_t x = 0; x < d->samples; x++)
        dst[x] = clip8(sum[x]);
    return true;
}

/* --- both ------------------------------------------------------------------------------------------ */

/* The rows of a view as RGB, each through a vertical pass into dst. */
static bool down_all(uint8_t *dst, int dh, const View *v, Error *e)
{
    Down d;
    size_t stride = (size_t)v->width * 3;
    uint8_t *row = mem_alloc(stride);
    if (!row)
        return error_memory(e, "resize", stride);
    bool ok = down_init(&d, dh, v->height, stride, e);
    for (int y = 0; ok && y < v->height; y++) {
        read_row(row, v, y);
        down_add(&d, row, y);
        for (; down_take(dst, &d, y); dst += stride)
            ;
    }
    if (ok)
        down_free(&d);
    mem_free(row);
    return ok;
}

static View plain_view(const uint8_t *rgb, int width, int height)
{
    return (View){rgb, width, height, 3, (ptrdiff_t)width * 3, false};
}

/* The weights of both axes, and room for one row between the passes. */
typedef struct Both {
    Across a;
    Down d;
    uint8_t *row;
} Both;

static void both_free(Both *b)
{
    mem_free(b->a.block);
    down_free(&b->d);
    mem_free(b->row);
}

static bool both_init(Both *b, int dw, int dh, const View *v, size_t between, Error *e)
{
    *b = (Both){0};
    b->row = mem_alloc(between);
    if (!b->row)
        return error_memory(e, "resize", between);
    if (across_init(&b->a, dw, v->width, e) && down_init(&b->d, dh, v->height, between, e))
        return true;
    both_free(b);
    return false;
}

static bool across_then_down(uint8_t *dst, int dw, int dh, const View *v, Error *e)
{
    Both b;
    size_t stride = (size_t)dw * 3;
    if (!both_init(&b, dw, dh, v, stride, e))
        return false;
    for (int y = 0; y < v->height; y++) {
        across_row(b.row, &b.a, v, y);
        down_add(&b.d, b.row, y);
        for (; down_take(dst, &b.d, y); dst += stride)
            ;
    }
    both_free(&b);
    return true;
}

static bool down_then_across(uint8_t *dst, int dw, int dh, const View *v, Error *e)
{
    Both b;
    if (!both_init(&b, dw, dh, v, (size_t)v->width * 3, e))
        return false;
    View done = plain_view(b.row, v->width, 1);
    for (int y = 0; y < v->height; y++) {
        read_row(b.row, v, y);
        down_add(&b.d, b.row, y);
        for (; down_take(b.row, &b.d, y); dst += (size_t)dw * 3)
            across_row(dst, &b.a, &done, 0);
    }
    both_free(&b);
    return true;
}

/* A long axis has few rows, so that the picture between the passes is small. */
static bool long_then_down(uint8_t *dst, int dw, int dh, const View *v, Error *e)
{
    size_t bytes = (size_t)dw * (size_t)v->height * 3;
    uint8_t *middle = mem_alloc(bytes);
    if (!middle)
        return error_memory(e, "resize", bytes);
    View done = plain_view(middle, dw, v->height);
    bool ok = across_long(middle, dw, v, e) && down_all(dst, dh, &done, e);
    mem_free(middle);
    return ok;
}

/* Rows that the first pass makes longer are made for every row of the source: a narrow and very tall
 * picture would take the time of one many times its size. */
static bool both_passes(uint8_t *dst, int dw, int dh, const View *v, bool vertical_first, Error *e)
{
    if (vertical_first)
        return down_then_across(dst, dw, dh, v, e);
    if (dw > v->width && v->height > PICTURE_MAX_PIXELS / dw)
        return error_set(e, ERR_FAILED,
                         "picture: too tall, %d x %d pixels, the limit at a width of %d is %d",
                         v->width, v->height, dw, PICTURE_MAX_PIXELS / dw);
    if (v->width > LONG_AXIS)
        return long_then_down(dst, dw, dh, v, e);
    return across_then_down(dst, dw, dh, v, e);
}

static void copy(uint8_t *dst, const View *v)
{
    for (int y = 0; y < v->height; y++)
        read_row(dst + (size_t)y * (size_t)v->width * 3, v, y);
}

/* An axis that keeps its size gets no pass. */
bool resize_view(uint8_t *dst, int dw, int dh, const View *v, bool vertical_first, Error *e)
{
    int sw = v->width, sh = v->height;
    if (dw <= 0 || dh <= 0 || sw <= 0 || sh <= 0)
        return error_set(e, ERR_USAGE, "resize: size, expected positive, got %d x %d to %d x %d",
                         sw, sh, dw, dh);
    if (dw != sw && dh != sh)
        return both_passes(dst, dw, dh, v, vertical_first, e);
    if (dw != sw)
        return sw > LONG_AXIS ? across_long(dst, dw, v, e) : across_all(dst, dw, v, e);
    if (dh != sh)
        return down_all(dst, dh, v, e);
    copy(dst, v);
    return true;
}

bool resize_bicubic(uint8_t *dst, int dw, int dh, const uint8_t *src, int sw, int sh,
                    bool vertical_first, Error *e)
{
    View v = plain_view(src, sw, sh);
    return resize_view(dst, dw, dh, &v, vertical_first, e);
}
