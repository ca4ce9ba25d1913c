/* cpu/k_linear_thin.c: products for decoding: few rows, every weight read from memory once.
 *
 * Speed is that of the memory, so weights are used where they lie: OUTS weight rows run along K
 * together, each loaded and widened once for up to ROWS rows of x, while the next OUTS rows are
 * prefetched. Each (row, output) pair has one accumulator of VL lanes, added up by vf_hsum at the
 * end: its order depends on K alone. More rows come in further passes over the same weights, which
 * are in the cache by then. Where x does not fit into L1, K is cut into pieces, and accumulators
 * wait in memory between them. */
#include <omp.h>
#include "cpu/flush.h"
#include "cpu/linear.h"

#if defined(VEC_AVX512) || defined(__aarch64__)
enum { OUTS = 4, ROWS = 6 }; /* 24 accumulators of 32 registers */
#else
enum { OUTS = 2, ROWS = 5 }; /* 10 of 16 */
#endif

enum {
    X_BYTES = 24 << 10,   /* what x may take of L1 */
    TASK_BYTES = 1 << 20, /* weights that a thread takes at a time */
    CUT_OUTS = 32,        /* outputs per task where K is cut */
    LINE = 64,            /* bytes, and the unit of elements in which K is cut */
};

/* What one call computes: `outs` weight rows times some rows of x over `depth` elements of K. */
typedef struct Block {
    const char *w;
    size_t stride;   /* bytes of a weight row */
    ptrdiff_t ahead; /* distance in bytes of the weights that come next */
    const float *x;
    size_t ldx;
    int depth, outs;
    float *partial;   /* accumulators of the earlier pieces of K, [rows][OUTS][VL] */
    bool first, last; /* piece of K */
    float sums[ROWS][OUTS];
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

VEC_INLINE void acc_begin(const int rows, const int outs, const Block *b, vf acc[ROWS][OUTS])
{
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            acc[m][n] = b->first ? vf_zero() : vf_loadu(b->partial + (m * OUTS + n) * VL);
}

VEC_INLINE void acc_end(const int rows, const int outs, int n0, Block *b, vf acc[ROWS][OUTS])
{
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            if (b->last)
                b->sums[m][n0 + n] = vf_hsum(acc[m][n]);
            else
                vf_storeu(b->partial + (m * OUTS + n) * VL, acc[m][n]);
}

/* Whole cache lines of weights first: one prefetch each. */
VEC_INLINE void dots(DType t, const int rows, const int outs, int n0, Block *b)
{
    const size_t size = weight_size(t), stride = b->stride, ldx = b->ldx;
    const int line = LINE / (int)size > VL ? LINE / (int)size : VL, depth = b->depth;
    const char *w = b->w + (size_t)n0 * stride;
    const float *x = b->x;
    vf acc[ROWS][OUTS];
    int k = 0;
    acc_begin(rows, outs, b, acc);
    for (; k + line <= depth; k += line) {
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            __builtin_prefetch(w + (size_t)n * stride + (size_t)k * size + b->ahead, 0, 2);
#pragma GCC unroll 16
        for (int j = 0; j < line; j += VL)
            step(t, rows, outs, w + (size_t)(k + j) * size, stride, x + k + j, ldx, acc);
    }
    for (; k + VL <= depth; k += VL)
        step(t, rows, outs, w + (size_t)k * size, stride, x + k, ldx, acc);
    if (k < depth)
        step_tail(t, rows, outs, w + (size_t)k * size, stride, x + k, ldx, depth - k, acc);
    acc_end(rows, outs, n0, b, acc);
}

VEC_INLINE void block_dots(DType t, const int rows, Block *b)
{
    if (b->outs == OUTS) {
        dots(t, rows, OUTS, 0, b);
        return;
    }
    for (int n = 0; n < b->outs; n++) { /* the last outputs, one by one */
        dots(t, rows, 1, n, b);
        b->partial += VL;
    }
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

typedef struct Thin {
    const LinearArgs *a;
    DotsFn dots;
    size_t stride;
    int task_outs; /* outputs per task */
    int piece;     /* elements of K at a time */
    char *partial; /* per thread, for task_outs outputs and all rows */
    size_t partial_size;
} Thin;

/* Outputs [n, n + outs) of all rows over [k, k + depth) of K. */
static void thin_block(const Thin *t, int n, int outs, int k, ptrdiff_t ahead, float *partial)
{
    const LinearArgs *a = t->a;
    const int left = a->w->cols - k;
    Block b = {.w = (const char *)a->w->data + (size_t)n * t->stride +
                    (size_t)k * weight_size(a->w->dtype),
               .stride = t->stride,
               .ahead = ahead,
               .ldx = (size_t)a->x->ld,
               .depth = left < t->piece ? left : t->piece,
               .outs = outs,
               .first = k == 0,
               .last = left <= t->piece};
    for (int m = 0; m < a->x->rows; m += ROWS) {
        int rows = a->x->rows - m < ROWS ? a->x->rows - m : ROWS;
        b.x = row_f32(a->x, m) + k;
        b.partial = partial ? partial + (size_t)m * OUTS * VL : NULL;
        t->dots(rows, &b);
        for (int i = 0; i < rows && b.last; i++)
            linear_finish(a, m + i, n, b.sums[i], outs);
        b.ahead = 0;
    }
}

static void thin_task(const Thin *t, int n0, int n1, float *partial)
{
    const int depth = t->a->w->cols;
    const size_t size = weight_size(t->a->w->dtype);
    const size_t block_partial = (size_t)t->a->x->rows * OUTS * VL;
    for (int k = 0; k == 0 || k < depth; k += t->piece)
        for (int n = n0; n < n1; n += OUTS) {
            ptrdiff_t ahead = (ptrdiff_t)(OUTS * t->stride);
            if (n + OUTS >= n1 && k + t->piece < depth) /* back to n0, in the next piece */
                ahead = (ptrdiff_t)((size_t)t->piece * size) -
                        (ptrdiff_t)(n - n0) * (ptrdiff_t)t->stride;
            thin_block(t, n, n1 - n < OUTS ? n1 - n : OUTS, k, ahead,
                       partial ? partial + (size_t)((n - n0) / OUTS) * block_partial : NULL);
        }
}

/* Cuts the work: outputs into tasks, and K into pieces if x is large. */
static bool plan(Thin *t, Device *d, const LinearArgs *a, int threads)
{
    const int rows = a->x->rows < ROWS ? a->x->rows : ROWS, outs = a->w->rows;
    memset(t, 0, sizeof *t);
    t->a = a;
    t->dots = dots_for(a->w->dtype);
    t->stride = (size_t)a->w->cols * weight_size(a->w->dtype);
    t->piece = a->w->cols > 0 ? a->w->cols : 1;
    size_t task = t->stride ? TASK_BYTES / t->stride : 1;
    int fair = (outs + 4 * threads - 1) / (4 * threads);
    t->task_outs = task < (size_t)fair ? (int)task : fair;
    if (rows > 1 && (size_t)rows * (size_t)a->w->cols * sizeof(float) > X_BYTES) {
        t->piece = X_BYTES / (int)sizeof(float) / rows / LINE * LINE;
        t->task_outs = t->task_outs < CUT_OUTS ? t->task_outs : CUT_OUTS;
    }
    t->task_outs = (t->task_outs + OUTS - 1) / OUTS * OUTS;
    if (t->task_outs < OUTS)
        t->task_outs = OUTS;
    if (t->piece >= a->w->cols)
        return true;
    t->partial_size = (size_t)t->task_outs * (size_t)a->x->rows * VL * sizeof(float);
    t->partial = cpu_scratch(d, SCRATCH_LINEAR, t->partial_size * (size_t)threads);
    return t->partial != NULL;
}

bool ISA_SYM(linear_thin)(Device *d, const LinearArgs *a)
{
    Thin t;
    const int threads = linear_threads(d, a), outs = a->w->rows;
    if (!plan(&t, d, a, threads))
        return false;
#pragma omp parallel num_threads(threads)
    {
        Flush flush = flush_on();
        float *partial = NULL;
        if (t.partial)
            partial = (float *)(t.partial + (size_t)omp_get_thread_num() * t.partial_size);
#pragma omp for schedule(dynamic)
        for (int n = 0; n < outs; n += t.task_outs)
            thin_task(&t, n, outs - n < t.task_outs ? outs : n + t.task_outs, partial);
        flush_off(flush);
    }
    return true;
}
