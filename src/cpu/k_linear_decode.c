/* cpu/k_linear_decode.c: products for decoding: few rows, every weight read from memory once.
 *
 * Speed is that of the memory, so weights are used where they lie. Each (row, output) pair has one
 * accumulator of VL lanes, added up by vf_hsum at the end: its order depends on K alone. Several rows of weights run along
 * K together, each loaded and widened once for up to ROWS rows of x; further rows of x come in further passes over the same
 * weights, which are in the cache by then. Which rows run together is what memory likes best (linear.h). */
#include "cpu/linear.h"

enum {
    LINE = 64, /* bytes of a cache line */
};

/* What one call computes: some weight rows times some rows of x. */
typedef struct Block {
    const char *w;
    size_t stride; /* bytes of a weight row */
    const float *x;
    size_t ldx;
    int depth;
    LinearSpan span;
    float sums[LINEAR_ROWS][LINEAR_PLACES * LINEAR_GROUP];
} Block;

/* VL elements of K. `rows` and `outs` are constants wherever this ends up, so that the accumulators
 * are registers. */
VEC_INLINE void step(DType t, const int rows, const int outs, const char *w, size_t stride,
                     const float *x, size_t ldx, vf acc[LINEAR_ROWS][LINEAR_OUTS])
{
    vf wide[LINEAR_OUTS];
#pragma GCC unroll 8
    for (int n = 0; n < outs; n++)
        wide[n] = weight_load(t, w + (size_t)n * stride);
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++) {
        vf xm = vf_loadu(x + (size_t)m * ldx);
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            acc[m][n] = vf_fma(xm, wide[n], acc[m][n]);
    }
}

/* The last elements of K, fewer than VL. */
VEC_INLINE void step_tail(DType t, const int rows, const int outs, const char *w, size_t stride,
                          const float *x, size_t ldx, int n_left, vf acc[LINEAR_ROWS][LINEAR_OUTS])
{
    for (int n = 0; n < outs; n++) {
        vf wide = weight_load_n(t, w + (size_t)n * stride, n_left);
        for (int m = 0; m < rows; m++)
            acc[m][n] = vf_fma(vf_load_n(x + (size_t)m * ldx, n_left), wide, acc[m][n]);
    }
}

/* Whole cache lines of weights first: one prefetch each. */
VEC_INLINE void dots(DType t, const int rows, const int outs, LinearBundle u, Block *b)
{
    const size_t size = weight_size(t), apart = (size_t)u.apart * b->stride, ldx = b->ldx;
    const int line = LINE / (int)size > VL ? LINE / (int)size : VL, depth = b->depth;
    const char *w = b->w + (size_t)u.row * b->stride;
    const float *x = b->x;
    vf acc[LINEAR_ROWS][LINEAR_OUTS];
    int k = 0;
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            acc[m][n] = vf_zero();
    for (; k + line <= depth; k += line) {
        linear_fetch(outs, w + (size_t)k * size, apart);
#pragma GCC unroll 4
        for (int j = 0; j < line; j += VL)
            step(t, rows, outs, w + (size_t)(k + j) * size, apart, x + k + j, ldx, acc);
    }
    for (; k + VL <= depth; k += VL)
        step(t, rows, outs, w + (size_t)k * size, apart, x + k, ldx, acc);
    if (k < depth)
        step_tail(t, rows, outs, w + (size_t)k * size, apart, x + k, ldx, depth - k, acc);
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            b->sums[m][u.sum + n * u.pitch] = vf_hsum(acc[m][n]);
}

/* A single stream has one chain of additions: enough where each covers half a cache line. */
VEC_INLINE void block_dots(DType t, const int rows, Block *b)
{
    const bool stream = !LINEAR_FAR && rows == 1 && VL * weight_size(t) >= LINE / 2;
    const int outs = stream ? 1 : linear_outs(rows), all = b->span.n * b->span.places;
    for (int i = 0; i < all / outs; i++)
        dots(t, rows, outs, linear_bundle(&b->span, outs, i), b);
    for (int n = all / outs * outs; n < all; n++)
        dots(t, rows, 1, linear_bundle(&b->span, 1, n), b);
}

/* One function per weight type; the switch makes `rows` a constant. */
#define DEFINE_DOTS(t)                                 \
    static void dots_##t(int rows, Block *b)           \
    {                                                  \
        switch (rows) {                                \
        case 1: block_dots(t, 1, b); break;            \
        case 2: block_dots(t, 2, b); break;            \
        case 3: block_dots(t, 3, b); break;            \
        case 4: block_dots(t, 4, b); break;            \
        case 5: block_dots(t, 5, b); break;            \
        default: block_dots(t, LINEAR_ROWS, b); break; \
        }                                              \
    }
DEFINE_DOTS(F32)
DEFINE_DOTS(BF16)
DEFINE_DOTS(F16)
DEFINE_DOTS(I8)

typedef void (*DotsFn)(int rows, Block *b);

static DotsFn dots_for(DType t)
{
    switch (t) {
    case BF16: return dots_BF16;
    case F16: return dots_F16;
    case I8: return dots_I8;
    default: return dots_F32;
    }
}

typedef struct Decode {
    const LinearArgs *a;
    DotsFn fn;
} Decode;

/* Outputs of a span for all rows of x. */
static void decode_span(const void *args, const LinearSpan *span)
{
    const Decode *t = args;
    const LinearArgs *a = t->a;
    const size_t stride = (size_t)a->w->cols * weight_size(a->w->dtype);
    Block b = {.w = (const char *)a->w->data + (size_t)span->first * stride,
               .stride = stride,
               .ldx = (size_t)a->x->ld,
               .depth = a->w->cols,
               .span = *span};
    for (int m = 0; m < a->x->rows; m += LINEAR_ROWS) {
        int rows = a->x->rows - m < LINEAR_ROWS ? a->x->rows - m : LINEAR_ROWS;
        b.x = row_f32(a->x, m);
        t->fn(rows, &b);
        for (int i = 0; i < rows; i++)
            linear_finish_span(a, m + i, span, b.sums[i], 1);
    }
}

bool ISA_SYM(linear_decode)(Stream *on, const LinearArgs *a)
{
    linear_spans(on, a, decode_span, &(Decode){a, dots_for(a->w->dtype)});
    return true;
}
