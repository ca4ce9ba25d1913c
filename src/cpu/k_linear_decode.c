/* cpu/k_linear_decode.c: products for decoding: few rows, every weight read from memory once.
 *
 * Speed is that of the memory, so weights are used where they lie. Each (row, output) pair has one
 * accumulator of VL lanes, added up by vf_hsum at the end: its order depends on K alone.
 *
 *   One row of x: the weights are one sequential stream per thread, which memory likes best.
 *   More rows: OUTS weight rows run along K together, each loaded and widened once for up to ROWS
 *   rows of x, while the next OUTS are prefetched. Further rows of x come in further passes over
 *   the same weights, which are in the cache by then. */
#include "cpu/linear.h"

/* Rows of weights that run along K together: as many as registers have room for. */
#if defined(VEC_AVX512) || defined(__aarch64__)
enum { OUTS = 4, ROWS = 6, OUTS_MANY = 4 };
#else
enum { OUTS = 4, ROWS = 5, OUTS_MANY = 2 /* for 3 rows of x and more */ };
#endif

enum {
    STREAM_AHEAD = 8192, /* prefetch distance of a single stream */
    LINE = 64,           /* bytes of a cache line */
};

/* What one call computes: some weight rows times some rows of x. */
typedef struct Block {
    const char *w;
    size_t stride; /* bytes of a weight row */
    const float *x;
    size_t ldx;
    int depth, outs;
    float sums[ROWS][LINEAR_GROUP];
} Block;

/* VL elements of K. `rows` and `outs` are constants wherever this ends up, so that the accumulators
 * are registers. */
VEC_INLINE void step(DType t, const int rows, const int outs, const char *w, size_t stride,
                     const float *x, size_t ldx, vf acc[ROWS][OUTS])
{
    vf wide[OUTS];
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
                          const float *x, size_t ldx, int n_left, vf acc[ROWS][OUTS])
{
    for (int n = 0; n < outs; n++) {
        vf wide = weight_load_n(t, w + (size_t)n * stride, n_left);
        for (int m = 0; m < rows; m++)
            acc[m][n] = vf_fma(vf_load_n(x + (size_t)m * ldx, n_left), wide, acc[m][n]);
    }
}

/* A stream is used soon and goes to L1; the next OUTS rows have time, and L1 holds x. */
VEC_INLINE void prefetch(const bool stream, const char *p)
{
    if (stream)
        __builtin_prefetch(p, 0, 3);
    else
        __builtin_prefetch(p, 0, 2);
}

/* Whole cache lines of weights first: one prefetch each. */
VEC_INLINE void dots(DType t, const int rows, const int outs, int n0, Block *b)
{
    const size_t size = weight_size(t), stride = b->stride, ldx = b->ldx;
    const int line = LINE / (int)size > VL ? LINE / (int)size : VL, depth = b->depth;
    const char *w = b->w + (size_t)n0 * stride;
    const size_t ahead = outs == 1 ? STREAM_AHEAD : (size_t)outs * stride;
    const float *x = b->x;
    vf acc[ROWS][OUTS];
    int k = 0;
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            acc[m][n] = vf_zero();
    for (; k + line <= depth; k += line) {
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            prefetch(outs == 1, w + (size_t)n * stride + (size_t)k * size + ahead);
#pragma GCC unroll 4
        for (int j = 0; j < line; j += VL)
            step(t, rows, outs, w + (size_t)(k + j) * size, stride, x + k + j, ldx, acc);
    }
    for (; k + VL <= depth; k += VL)
        step(t, rows, outs, w + (size_t)k * size, stride, x + k, ldx, acc);
    if (k < depth)
        step_tail(t, rows, outs, w + (size_t)k * size, stride, x + k, ldx, depth - k, acc);
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            b->sums[m][n0 + n] = vf_hsum(acc[m][n]);
}

/* A single stream has one chain of additions: enough where each covers half a cache line. */
VEC_INLINE void block_dots(DType t, const int rows, Block *b)
{
    const bool stream = rows == 1 && VL * weight_size(t) >= LINE / 2;
    const int outs = rows <= 2 ? OUTS : OUTS_MANY;
    int n = 0;
    for (; !stream && n + outs <= b->outs; n += outs)
        dots(t, rows, outs, n, b);
    for (; n < b->outs; n++)
        dots(t, rows, 1, n, b);
}

/* One function per weight type; the switch makes `rows` a constant. */
#define DEFINE_DOTS(t)                          \
    static void dots_##t(int rows, Block *b)    \
    {                                           \
        switch (rows) {                         \
        case 1: block_dots(t, 1, b); break;     \
        case 2: block_dots(t, 2, b); break;     \
        case 3: block_dots(t, 3, b); break;     \
        case 4: block_dots(t, 4, b); break;     \
        case 5: block_dots(t, 5, b); break;     \
        default: block_dots(t, ROWS, b); break; \
        }                                       \
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

/* Outputs [n, n + outs) of all rows of x. */
static void decode_block(const LinearArgs *a, DotsFn fn, int n, int outs)
{
    size_t stride = (size_t)a->w->cols * weight_size(a->w->dtype);
    Block b = {.w = (const char *)a->w->data + (size_t)n * stride,
               .stride = stride,
               .ldx = (size_t)a->x->ld,
               .depth = a->w->cols,
               .outs = outs};
    for (int m = 0; m < a->x->rows; m += ROWS) {
        int rows = a->x->rows - m < ROWS ? a->x->rows - m : ROWS;
        b.x = row_f32(a->x, m);
        fn(rows, &b);
        for (int i = 0; i < rows; i++)
            linear_finish(a, m + i, n, b.sums[i], outs, 1);
    }
}

typedef struct Decode {
    const LinearArgs *a;
    DotsFn fn;
    int size; /* outputs of a task */
} Decode;

static void decode_tasks(const void *args, Part *part)
{
    const Decode *t = args;
    for (int task; (task = part_next(part)) >= 0;) {
        int first = task * t->size, left = t->a->w->rows - first;
        int end = left < t->size ? left : t->size;
        for (int n = 0; n < end; n += LINEAR_GROUP)
            decode_block(t->a, t->fn, first + n, end - n < LINEAR_GROUP ? end - n : LINEAR_GROUP);
    }
}

bool ISA_SYM(linear_decode)(Stream *on, const LinearArgs *a)
{
    const int threads = linear_threads(on, a), size = linear_task_rows(a->w, threads);
    run_parts(on, threads, (a->w->rows + size - 1) / size, 1, decode_tasks,
              &(Decode){a, dots_for(a->w->dtype), size});
    return true;
}
