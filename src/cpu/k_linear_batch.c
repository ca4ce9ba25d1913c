/* cpu/k_linear_batch.c: decoding many texts at once: more rows of x than one pass of k_linear_decode.c takes.
 *
 * There every pass over the weights widens them again, and rows of x that do not fit L1 come from further away for every
 * few outputs. Here the multiplications are the limit: a block of DEPTH inputs of 16 outputs is widened once, into L1, and
 * meets the rows of x in groups of SOME, whose block lies there too. The VL lanes of each (row, output) pair wait in memory
 * between blocks. They are the lanes that k_linear_decode.c has, in the same order along K, added up by the same vf_hsum: one
 * number does not depend on which of the two computed it. */
#include "cpu/linear.h"
#include "cpu/tile.h"

/* SOME x NR sums, SOME vectors of x and one of the weights are as many vectors as there are. */
#if defined(VEC_AVX512) || defined(__aarch64__)
enum { SOME = 6, NR = 4 };
#else
enum { SOME = 3, NR = 4 };
#endif

enum {
    DEPTH = 256, /* inputs of a block */
    ROWS = 48,   /* of x whose sums wait: more come in further passes over the same weights */
    LINE = 64,   /* bytes of a cache line */
};

/* What a thread works with. */
typedef struct Work {
    float wide[LINEAR_GROUP][DEPTH];
    float sums[ROWS][LINEAR_GROUP][VL];
    float done[LINEAR_GROUP];
} Work;

/* Some rows of x and the outputs of a group. */
typedef struct Block {
    const LinearArgs *a;
    Work *work;
    const char *w; /* first of the group's rows of weights */
    size_t stride; /* bytes of one */
    int m, rows;   /* of x */
    int outs;
} Block;

/* The next inputs of the group, or those of the next one, a share at each call of the product. */
typedef struct Fetch {
    const char *w;
    size_t stride;
    int line, lines, share; /* lines of all LINEAR_GROUP rows */
    int each;               /* of one */
} Fetch;

static void fetch(Fetch *f)
{
    for (int end = f->line + f->share; f->line < end && f->line < f->lines; f->line++)
        __builtin_prefetch(f->w + (size_t)(f->line / f->each) * f->stride +
                               (size_t)(f->line % f->each) * LINE,
                           0, 2);
}

/* n inputs of all outputs of the group; filled up with zeros to whole vectors and to NR outputs. */
VEC_INLINE void widen(DType t, const Block *b, int k, int n)
{
    for (int o = 0; o < b->outs; o++) {
        const char *w = b->w + (size_t)o * b->stride + (size_t)k * weight_size(t);
        float *to = b->work->wide[o];
        int i = 0;
        for (; i + VL <= n; i += VL)
            vf_storeu(to + i, weight_load(t, w + (size_t)i * weight_size(t)));
        if (i < n)
            vf_storeu(to + i, weight_load_n(t, w + (size_t)i * weight_size(t), n - i));
    }
    for (int o = b->outs; o % NR; o++)
        memset(b->work->wide[o], 0, sizeof b->work->wide[o]);
}

#define DEFINE_WIDEN(t)                                 \
    static void widen_##t(const Block *b, int k, int n) \
    {                                                   \
        widen(t, b, k, n);                              \
    }
DEFINE_WIDEN(F32)
DEFINE_WIDEN(BF16)
DEFINE_WIDEN(F16)
DEFINE_WIDEN(I8)

typedef void (*WidenFn)(const Block *b, int k, int n);

static WidenFn widen_for(DType t)
{
    switch (t) {
    case BF16: return widen_BF16;
    case F16: return widen_F16;
    case I8: return widen_I8;
    default: return widen_F32;
    }
}

VEC_INLINE void step(const int rows, const vf *x, const float *w, vf sum[SOME][NR])
{
    UNROLL for (int n = 0; n < NR; n++)
    {
        vf wn = vf_loadu(w + n * DEPTH);
        UNROLL for (int m = 0; m < rows; m++) sum[m][n] = vf_fma(x[m], wn, sum[m][n]);
    }
}

/* n inputs of `rows`, a constant, rows of x and NR outputs. */
VEC_INLINE void product(const int rows, const float *x, size_t ldx, const float *w, int n,
                        float (*sums)[LINEAR_GROUP][VL])
{
    vf sum[SOME][NR], xm[SOME];
    int k = 0;
    UNROLL for (int m = 0; m < rows; m++) UNROLL for (int o = 0; o < NR; o++) sum[m][o] =
        vf_loadu(sums[m][o]);
    for (; k + VL <= n; k += VL) {
        UNROLL for (int m = 0; m < rows; m++) xm[m] = vf_loadu(x + (size_t)m * ldx + k);
        step(rows, xm, w + k, sum);
    }
    if (k < n) {
        UNROLL for (int m = 0; m < rows; m++) xm[m] = vf_load_n(x + (size_t)m * ldx + k, n - k);
        step(rows, xm, w + k, sum);
    }
    UNROLL for (int m = 0; m < rows; m++) UNROLL for (int o = 0; o < NR; o++)
        vf_storeu(sums[m][o], sum[m][o]);
}

static void product_of(int rows, const float *x, size_t ldx, const float *w, int n,
                       float (*sums)[LINEAR_GROUP][VL])
{
    switch (rows) {
    case 1: product(1, x, ldx, w, n, sums); break;
    case 2: product(2, x, ldx, w, n, sums); break;
#if defined(VEC_AVX512) || defined(__aarch64__)
    case 3: product(3, x, ldx, w, n, sums); break;
    case 4: product(4, x, ldx, w, n, sums); break;
    case 5: product(5, x, ldx, w, n, sums); break;
#endif
    default: product(SOME, x, ldx, w, n, sums); break;
    }
}

/* What lies behind n inputs from the k-th on; the last group is followed by nothing. */
static Fetch fetch_after(const Block *b, int k, int n, bool last)
{
    const DType t = b->a->w->dtype;
    const bool here = k + n < b->a->w->cols;
    const int calls = (b->rows + SOME - 1) / SOME * (LINEAR_GROUP / NR);
    Fetch f = {.w = b->w + (here ? (size_t)(k + n) * weight_size(t) : LINEAR_GROUP * b->stride),
               .stride = b->stride,
               .each = DEPTH * (int)weight_size(t) / LINE};
    f.lines = here || !last ? LINEAR_GROUP * f.each : 0;
    f.share = (f.lines + calls - 1) / calls;
    return f;
}

static void do_block(const Block *b, WidenFn fn, int k, bool last)
{
    const Tensor *x = b->a->x;
    Work *w = b->work;
    int n = b->a->w->cols - k < DEPTH ? b->a->w->cols - k : DEPTH;
    Fetch f = fetch_after(b, k, n, last);
    fn(b, k, n);
    for (int m = 0; m < b->rows; m += SOME)
        for (int o = 0; o < b->outs; o += NR) {
            fetch(&f);
            product_of(b->rows - m < SOME ? b->rows - m : SOME, row_f32(x, b->m + m) + k,
                       (size_t)x->ld, w->wide[o], n, (float(*)[LINEAR_GROUP][VL])w->sums[m][o]);
        }
}

/* Outputs [n, n + outs) of all rows of x. */
static void do_group(const LinearArgs *a, Work *work, WidenFn fn, int n, int outs)
{
    const size_t stride = (size_t)a->w->cols * weight_size(a->w->dtype);
    Block b = {.a = a,
               .work = work,
               .w = (const char *)a->w->data + (size_t)n * stride,
               .stride = stride,
               .outs = outs};
    for (; b.m < a->x->rows; b.m += ROWS) {
        b.rows = a->x->rows - b.m < ROWS ? a->x->rows - b.m : ROWS;
        memset(work->sums, 0, (size_t)b.rows * sizeof *work->sums);
        for (int k = 0; k < a->w->cols; k += DEPTH)
            do_block(&b, fn, k, n + 2 * LINEAR_GROUP > a->w->rows);
        for (int i = 0; i < b.rows; i++) {
            for (int o = 0; o < outs; o++)
                work->done[o] = vf_hsum(vf_loadu(work->sums[i][o]));
            linear_finish(a, b.m + i, n, work->done, outs, 1);
        }
    }
}

typedef struct Batch {
    const LinearArgs *a;
    Work *work; /* one for each thread */
    WidenFn fn;
    int size; /* outputs of a task */
} Batch;

static void batch_tasks(const void *args, Part *part)
{
    const Batch *t = args;
    for (int task; (task = part_next(part)) >= 0;) {
        int first = task * t->size, left = t->a->w->rows - first;
        int end = left < t->size ? left : t->size;
        for (int n = 0; n < end; n += LINEAR_GROUP)
            do_group(t->a, &t->work[part->thread], t->fn, first + n,
                     end - n < LINEAR_GROUP ? end - n : LINEAR_GROUP);
    }
}

bool ISA_SYM(linear_batch)(Stream *on, const LinearArgs *a)
{
    const int threads = linear_threads(on, a), size = linear_task_rows(a->w, threads);
    Work *work = cpu_scratch(on, SCRATCH_LINEAR, (size_t)threads * sizeof *work);
    if (!work)
        return false;
    run_parts(on, threads, (a->w->rows + size - 1) / size, 1, batch_tasks,
              &(Batch){a, work, widen_for(a->w->dtype), size});
    return true;
}
