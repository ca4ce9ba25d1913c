/* image/resize.c: Pillow's bicubic resize (libImaging/Resample.c), bit for bit.
 *
 * Two one-dimensional passes with 22-bit fixed-point weights and a rounding to 8 bits after each.
 * The sums are whole numbers that fit 32 bits, so their order does not matter. */
#include "image/image.h"

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

enum { PRECISION = 22, LOW_BITS = 12, LANES = 8 };

/* The weights of one axis. Target i is the sum over j < count[i] of source lo[i] + j times
 * weight[i * step + j]; unused weights are 0. high and low are the same weights cut in two 16-bit
 * halves, weight = high * 2^12 + low: products of 16-bit numbers are what every SIMD unit has. */
typedef struct Axis {
    int targets;
    size_t step; /* a multiple of LANES */
    int *lo, *count;
    int32_t *weight;
    int16_t *high, *low;
    void *block;
} Axis;

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

static size_t rounded_up(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

static bool axis_alloc(Axis *a, int targets, size_t step, Error *e)
{
    size_t m = (size_t)targets, weights = m * step;
    size_t bytes = m * 2 * sizeof(int) + weights * (sizeof(int32_t) + 2 * sizeof(int16_t)) +
                   step * sizeof(double);
    *a = (Axis){.targets = targets, .step = step};
    a->block = mem_calloc(bytes, 1);
    if (!a->block)
        return error_memory(e, "resize", bytes);
    a->weight = (int32_t *)((double *)a->block + step);
    a->lo = (int *)(a->weight + weights);
    a->count = a->lo + m;
    a->high = (int16_t *)(a->count + m);
    a->low = a->high + weights;
    return true;
}

static int32_t fixed(double w)
{
    return (int32_t)(w * (1 << PRECISION) + (w < 0 ? -0.5 : 0.5));
}

static void split_weight(Axis *a, size_t at, int32_t w)
{
    int32_t low = ((w + (1 << (LOW_BITS - 1))) & ((1 << LOW_BITS) - 1)) - (1 << (LOW_BITS - 1));
    a->weight[at] = w;
    a->low[at] = (int16_t)low;
    a->high[at] = (int16_t)((w - low) / (1 << LOW_BITS));
}

/* The weights of target i of m; w is room for one target's weights. */
static void axis_target(Axis *a, int i, int n, double *w)
{
    double scale = (double)n / a->targets, stretch = scale < 1.0 ? 1.0 : scale;
    double support = 2.0 * stretch, inverse = 1.0 / stretch, total = 0.0;
    double centre = (i + 0.5) * scale;
    int lo = (int)(centre - support + 0.5), hi = (int)(centre + support + 0.5);
    lo = lo < 0 ? 0 : lo;
    hi = hi > n ? n : hi;
    a->lo[i] = lo;
    a->count[i] = hi - lo;
    for (int j = 0; j < hi - lo; j++) {
        w[j] = bicubic((j + lo - centre + 0.5) * inverse);
        total += w[j];
    }
    for (int j = 0; j < hi - lo; j++)
        split_weight(a, (size_t)i * a->step + (size_t)j, fixed(total != 0.0 ? w[j] / total : w[j]));
}

static bool axis_init(Axis *a, int n, int targets, Error *e)
{
    double scale = (double)n / targets;
    size_t taps = (size_t)ceil(2.0 * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
    if (!axis_alloc(a, targets, rounded_up(taps), e))
        return false;
    for (int i = 0; i < targets; i++)
        axis_target(a, i, n, a->block);
    return true;
}

static uint8_t clip8(int32_t sum)
{
    int32_t v = sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Three planes of a row: dot products over one axis need neighbours side by side. */
static void row_planes(int16_t *planes, size_t plane, const uint8_t *src, size_t n)
{
    int16_t *r = planes, *g = planes + plane, *b = planes + 2 * plane;
    for (size_t x = 0; x < n; x++) {
        r[x] = src[3 * x];
        g[x] = src[3 * x + 1];
        b[x] = src[3 * x + 2];
    }
}

static int32_t dot(const int16_t *restrict s, const int16_t *restrict high,
                   const int16_t *restrict low, size_t n)
{
    int32_t h = 0, l = 0;
    VECTORISE_SUMS
    for (size_t j = 0; j < n; j++) {
        h += s[j] * high[j];
        l += s[j] * low[j];
    }
    return h * (1 << LOW_BITS) + l + (1 << (PRECISION - 1));
}

static void horizontal_row(uint8_t *dst, const int16_t *planes, size_t plane, const Axis *a)
{
    for (int i = 0; i < a->targets; i++) {
        size_t at = (size_t)i * a->step, n = rounded_up((size_t)a->count[i]);
        for (size_t c = 0; c < 3; c++)
            *dst++ = clip8(dot(planes + c * plane + a->lo[i], a->high + at, a->low + at, n));
    }
}

/* src [rows, n, 3] -> dst [rows, targets, 3] */
static bool horizontal(uint8_t *dst, const uint8_t *src, int rows, int n, const Axis *a, Error *e)
{
    size_t plane = rounded_up((size_t)n) + LANES; /* sums read on over zero weights */
    int16_t *planes = mem_calloc(3 * plane, sizeof *planes);
    if (!planes)
        return error_memory(e, "resize", 3 * plane * sizeof *planes);
    for (size_t y = 0; y < (size_t)rows; y++) {
        row_planes(planes, plane, src + y * (size_t)n * 3, (size_t)n);
        horizontal_row(dst + y * (size_t)a->targets * 3, planes, plane, a);
    }
    mem_free(planes);
    return true;
}

static void add_row(int32_t *restrict sum, const uint8_t *restrict src, int32_t weight, size_t n)
{
    VECTORISE
    for (size_t x = 0; x < n; x++)
        sum[x] += src[x] * weight;
}

/* Columns are done in strips, so that the sums stay in the first-level cache. */
enum { STRIP = 1024 };

static void vertical_strip(uint8_t *dst, const uint8_t *src, size_t stride, size_t n, const Axis *a,
                           int i)
{
    int32_t sum[STRIP];
    for (size_t x = 0; x < n; x++)
        sum[x] = 1 << (PRECISION - 1);
    for (int j = 0; j < a->count[i]; j++)
        add_row(sum, src + (size_t)(a->lo[i] + j) * stride,
                a->weight[(size_t)i * a->step + (size_t)j], n);
    for (size_t x = 0; x < n; x++)
        dst[x] = clip8(sum[x]);
}

/* src [n, stride bytes] -> dst [targets, stride bytes] */
static void vertical(uint8_t *dst, const uint8_t *src, size_t stride, const Axis *a)
{
    for (int i = 0; i < a->targets; i++)
        for (size_t x = 0; x < stride; x += STRIP) {
            size_t n = stride - x < STRIP ? stride - x : STRIP;
            vertical_strip(dst + (size_t)i * stride + x, src + x, stride, n, a, i);
        }
}

static bool pass_horizontal(uint8_t *dst, int dw, const uint8_t *src, int sw, int rows, Error *e)
{
    Axis a;
    if (!axis_init(&a, sw, dw, e))
        return false;
    bool ok = horizontal(dst, src, rows, sw, &a, e);
    mem_free(a.block);
    return ok;
}

static bool pass_vertical(uint8_t *dst, int dh, const uint8_t *src, int sh, int width, Error *e)
{
    Axis a;
    if (!axis_init(&a, sh, dh, e))
        return false;
    vertical(dst, src, (size_t)width * 3, &a);
    mem_free(a.block);
    return true;
}

static bool both_passes(uint8_t *dst, int dw, int dh, const uint8_t *src, int sw, int sh,
                        bool vertical_first, Error *e)
{
    size_t bytes = vertical_first ? (size_t)sw * (size_t)dh * 3 : (size_t)dw * (size_t)sh * 3;
    uint8_t *middle = mem_alloc(bytes);
    if (!middle)
        return error_memory(e, "resize", bytes);
    bool ok = vertical_first ? pass_vertical(middle, dh, src, sh, sw, e) &&
                                   pass_horizontal(dst, dw, middle, sw, dh, e)
                             : pass_horizontal(middle, dw, src, sw, sh, e) &&
                                   pass_vertical(dst, dh, middle, sh, dw, e);
    mem_free(middle);
    return ok;
}

/* An axis that keeps its size gets no pass. */
bool resize_bicubic(uint8_t *dst, int dw, int dh, const uint8_t *src, int sw, int sh,
                    bool vertical_first, Error *e)
{
    if (dw <= 0 || dh <= 0 || sw <= 0 || sh <= 0)
        return error_set(e, ERR_USAGE, "resize: size, expected positive, got %d x %d to %d x %d",
                         sw, sh, dw, dh);
    if (dw != sw && dh != sh)
        return both_passes(dst, dw, dh, src, sw, sh, vertical_first, e);
    if (dw != sw)
        return pass_horizontal(dst, dw, src, sw, sh, e);
    if (dh != sh)
        return pass_vertical(dst, dh, src, sh, sw, e);
    memcpy(dst, src, (size_t)sw * (size_t)sh * 3);
    return true;
}
