/* cpu/k_linear_thin.c: products for decoding: few rows, every weight read from memory once.
 *
 * Speed is that of the memory, so weights are used where they lie: OUTS weight rows run along K
 * together, each loaded and widened once for up to ROWS rows of x. Each (row, output) pair has one
 * accumulator of VL lanes, added up by vf_hsum at the end: its order depends on K alone. More
 * rows come in further passes over the same OUTS weight rows, which are in the cache by then. */
#include "cpu/flush.h"
#include "cpu/linear.h"

#if defined(VEC_AVX512) || defined(__aarch64__)
enum { OUTS = 4, ROWS = 6 }; /* 24 accumulators of 32 registers */
#else
enum { OUTS = 2, ROWS = 5 }; /* 10 of 16 */
#endif

enum {
    PREFETCH = 4096, /* bytes ahead; the hardware stops at the end of a 4 KiB page */
    CHUNK = 32,      /* outputs that a thread takes at a time */
};

/* sums[m * OUTS + n] = x row m . w row n, for `rows` rows of x and `outs` rows of w. Both are
 * constants where this is called, so that the accumulators are registers. */
VEC_INLINE void dots(DType t, const int rows, const int outs, const char *w, size_t stride,
                     const float *x, size_t ldx, int depth, float *sums)
{
    const size_t size = weight_size(t);
    vf acc[ROWS][OUTS];
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            acc[m][n] = vf_zero();
    int k = 0;
    for (; k + VL <= depth; k += VL) {
        vf wide[OUTS];
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++) {
            const char *p = w + (size_t)n * stride + (size_t)k * size;
            __builtin_prefetch(p + PREFETCH);
            wide[n] = weight_load(t, p);
        }
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++) {
            vf xm = vf_loadu(x + (size_t)m * ldx + k);
#pragma GCC unroll 8
            for (int n = 0; n < outs; n++)
                acc[m][n] = vf_fma(xm, wide[n], acc[m][n]);
        }
    }
    if (k < depth) {
        for (int n = 0; n < outs; n++) {
            const char *p = w + (size_t)n * stride + (size_t)k * size;
            vf tail = weight_load_n(t, p, depth - k);
            for (int m = 0; m < rows; m++)
                acc[m][n] = vf_fma(vf_load_n(x + (size_t)m * ldx + k, depth - k), tail, acc[m][n]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            sums[m * OUTS + n] = vf_hsum(acc[m][n]);
}

typedef struct Block {
    const char *w; /* first weight row */
    size_t stride; /* bytes of a weight row */
    const float *x;
    size_t ldx;
    int depth, outs;
} Block;

VEC_INLINE void block_dots(DType t, const int rows, const Block *b, float *sums)
{
    if (b->outs == OUTS)
        dots(t, rows, OUTS, b->w, b->stride, b->x, b->ldx, b->depth, sums);
    else
        for (int n = 0; n < b->outs; n++)
            dots(t, rows, 1, b->w + (size_t)n * b->stride, b->stride, b->x, b->ldx, b->depth,
                 sums + n);
}

/* One function per weight type; the switch makes `rows` a constant. */
#define DEFINE_DOTS(t)                                          \
    static void dots_##t(int rows, const Block *b, float *sums) \
    {                                                           \
        switch (rows) {                                         \
        case 1: block_dots(t, 1, b, sums); break;               \
        case 2: block_dots(t, 2, b, sums); break;               \
        case 3: block_dots(t, 3, b, sums); break;               \
        case 4: block_dots(t, 4, b, sums); break;               \
        case 5: block_dots(t, 5, b, sums); break;               \
        default: block_dots(t, ROWS, b, sums); break;           \
        }                                                       \
    }
DEFINE_DOTS(F32)
DEFINE_DOTS(BF16)
DEFINE_DOTS(F16)
DEFINE_DOTS(I8)

typedef void (*DotsFn)(int rows, const Block *b, float *sums);

static DotsFn dots_for(DType t)
{
    switch (t) {
    case BF16: return dots_BF16;
    case F16: return dots_F16;
    case I8: return dots_I8;
    default: return dots_F32;
    }
}

/* Outputs [n, n + outs) of all rows of x. */
static void thin_block(const LinearArgs *a, DotsFn fn, int n, int outs)
{
    size_t stride = (size_t)a->w->cols * weight_size(a->w->dtype);
    Block b = {.w = (const char *)a->w->data + (size_t)n * stride,
               .stride = stride,
               .ldx = (size_t)a->x->ld,
               .depth = a->w->cols,
               .outs = outs};
    float sums[ROWS * OUTS];
    for (int m = 0; m < a->x->rows; m += ROWS) {
        int rows = a->x->rows - m < ROWS ? a->x->rows - m : ROWS;
        b.x = row_f32(a->x, m);
        fn(rows, &b, sums);
        for (int i = 0; i < rows; i++)
            linear_finish(a, m + i, n, sums + i * OUTS, outs);
    }
}

bool ISA_SYM(linear_thin)(Device *d, const LinearArgs *a)
{
    DotsFn fn = dots_for(a->w->dtype);
    const int total = a->w->rows, chunks = (total + CHUNK - 1) / CHUNK;
#pragma omp parallel num_threads(linear_threads(d, a))
    {
        Flush flush = flush_on();
#pragma omp for schedule(dynamic)
        for (int c = 0; c < chunks; c++) {
            int end = (c + 1) * CHUNK < total ? (c + 1) * CHUNK : total;
            for (int n = c * CHUNK; n < end; n += OUTS)
                thin_block(a, fn, n, end - n < OUTS ? end - n : OUTS);
        }
        flush_off(flush);
    }
    return true;
}
