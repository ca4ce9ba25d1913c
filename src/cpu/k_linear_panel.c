/* cpu/k_linear_panel.c: products with few rows over weights in panels (tensor/panel.h): decoding from packed files.
 *
 * A panel is one sequential stream, read once per call and wanted at the speed of the memory. Each number of it
 * meets the same input of every row of x, so 32 outputs have their sums in as many lanes, and none has to be added
 * up across a register. What several rows need of registers, they save in outputs: a panel is then done in parts, a few
 * KB of it at a time, and the second part finds its lines in the cache. Each part fetches its share of what comes next.
 *
 * A sum is that of blocks of TILE_K inputs, added in order, each in ascending order: the sum that the product for
 * many rows has (tile.h) with weights widened, so that one number does not depend on which of them computed it.
 * Weights of 4 bits are widened here, a block at a time, where x may not be rounded (else k_linear_i4.c). */
#include "cpu/i4.h"
#include "cpu/linear.h"
#include "cpu/tile.h"

#if defined(VEC_AVX512)
enum { PART = PANEL, ROWS = 8 }; /* 16 sums of 32 registers */
#elif defined(__aarch64__)
enum { PART = 16, ROWS = 5 }; /* 20 of 32 */
#else
enum { PART = 2 * VL, ROWS = 5 }; /* 10 of 16 */
#endif

enum {
    SLICE = 8192, /* bytes of a panel that all its parts take in turn */
};

/* Some inputs of one panel, and the rows of x at the first of them. */
typedef struct Slice {
    const char *w;
    const float *x;
    size_t ldx;
    int depth;            /* inputs, at most SLICE bytes of weights */
    float (*sums)[PANEL]; /* go on from what they are */
} Slice;

/* Bytes of the inputs that lie beside each other, of all 32 outputs. */
VEC_INLINE size_t step_bytes(DType t)
{
    return PANEL * (t == F16 ? 2 : 4);
}

/* One input of `rows` rows with the weights of it. */
VEC_INLINE void accumulate(const int rows, const int nv, const float *x, size_t ldx, const vf *w,
                           vf sum[ROWS][PANEL / VL])
{
    UNROLL for (int m = 0; m < rows; m++)
    {
        vf xm = vf_set1(x[(size_t)m * ldx]);
        UNROLL for (int v = 0; v < nv; v++) sum[m][v] = vf_fma(xm, w[v], sum[m][v]);
    }
}

/* t, rows and nv (vectors of outputs, from the first-th output on) are constants where this is called. */
VEC_INLINE void part(const DType t, const int rows, const int nv, int first, const Slice *s)
{
    const size_t step = step_bytes(t), size = step / PANEL,
                 share = step * (size_t)(nv * VL) / PANEL;
    const char *w = s->w + (size_t)first * size;
    const char *next = s->w + SLICE + (size_t)(SLICE / PANEL * first);
    const float *x = s->x;
    vf sum[ROWS][PANEL / VL];
    UNROLL for (int m = 0; m < rows; m++) UNROLL for (int v = 0; v < nv; v++) sum[m][v] =
        vf_loadu(s->sums[m] + first + v * VL);
    for (int k = 0; k < s->depth; k += t == BF16 ? 2 : 1, w += step, next += share) {
        vf a[PANEL / VL], b[PANEL / VL];
        for (size_t line = 0; line < share; line += 64)
            __builtin_prefetch(next + line, 0, 3);
        UNROLL for (int v = 0; v < nv; v++)
        {
            if (t == BF16)
                weight_load_pairs(w + v * VL * 4, &a[v], &b[v]);
            else
                a[v] = weight_load(t, w + (size_t)(v * VL) * size);
        }
        accumulate(rows, nv, x + k, s->ldx, a, sum);
        if (t == BF16 && k + 1 < s->depth)
            accumulate(rows, nv, x + k + 1, s->ldx, b, sum);
    }
    UNROLL for (int m = 0; m < rows; m++) UNROLL for (int v = 0; v < nv; v++)
        vf_storeu(s->sums[m] + first + v * VL, sum[m][v]);
}

/* One row leaves registers for all outputs of a panel, or of half of one. */
VEC_INLINE void all_parts(const DType t, const int rows, const Slice *s)
{
    enum { ALONE = PANEL < 4 * VL ? PANEL : 4 * VL };
    const int outs = rows <= 2 ? ALONE : PART;
    for (int first = 0; first < PANEL; first += outs)
        part(t, rows, outs / VL, first, s);
}

#define ONE_ROW_COUNT(t, n) \
    case n:                 \
        all_parts(t, n, s); \
        break;
#if defined(VEC_AVX512)
#define ROW_COUNTS(t)   \
    ONE_ROW_COUNT(t, 1) \
    ONE_ROW_COUNT(t, 2) \
    ONE_ROW_COUNT(t, 3) \
    ONE_ROW_COUNT(t, 4) ONE_ROW_COUNT(t, 5) ONE_ROW_COUNT(t, 6) ONE_ROW_COUNT(t, 7)
#else
#define ROW_COUNTS(t) \
    ONE_ROW_COUNT(t, 1) ONE_ROW_COUNT(t, 2) ONE_ROW_COUNT(t, 3) ONE_ROW_COUNT(t, 4)
#endif
#define DEFINE_SLICE(t)                             \
    static void slice_##t(int rows, const Slice *s) \
    {                                               \
        switch (rows) {                             \
            ROW_COUNTS(t)                           \
        default: all_parts(t, ROWS, s); break;      \
        }                                           \
    }
DEFINE_SLICE(F32)
DEFINE_SLICE(BF16)
DEFINE_SLICE(F16)

typedef void (*SliceFn)(int rows, const Slice *s);

static SliceFn slice_for(DType t)
{
    return t == BF16 ? slice_BF16 : t == F16 ? slice_F16 : slice_F32;
}

typedef struct Panels {
    const LinearArgs *a;
    SliceFn fn;
    int size; /* panels of a task */
} Panels;

/* Inputs of a slice. */
static int slice_inputs(DType t)
{
    return t == I4 ? I4_BLOCK : SLICE / PANEL / (int)weight_size(t);
}

/* The sums of a block: at most TILE_K inputs, from the k-th on. */
static void block_sums(const Panels *p, int rows, Slice s, int inputs)
{
    const DType t = p->a->w->dtype;
    const int slice = slice_inputs(t);
    float wide[I4_BLOCK * PANEL];
    memset(s.sums, 0, (size_t)rows * sizeof *s.sums);
    for (int k = 0; k < inputs; k += slice) {
        const char *w = s.w;
        s.depth = inputs - k < slice ? inputs - k : slice;
        if (t == I4) {
            i4_widen(wide, PANEL, w, 0, PANEL);
            s.w = (const char *)wide;
        }
        p->fn(rows, &s);
        s.w = w + (t == I4 ? I4_BYTES : SLICE);
        s.x += slice;
    }
}

/* The outputs of one panel for up to ROWS rows of x, from row m on. */
static void do_panel(const Panels *p, int panel, int m, int rows)
{
    const LinearArgs *a = p->a;
    const DType t = a->w->dtype;
    const int cols = a->w->cols, first = panel * PANEL, left = a->w->rows - first;
    const char *w = (const char *)a->w->data + (size_t)panel * panel_bytes(t, (size_t)cols);
    float all[ROWS][PANEL], block[ROWS][PANEL];
    for (int k = 0; k < cols || k == 0; k += TILE_K) {
        Slice s = {.w = w + panel_bytes(t, (size_t)k),
                   .x = row_f32(a->x, m) + k,
                   .ldx = (size_t)a->x->ld,
                   .sums = k ? block : all};
        block_sums(p, rows, s, cols - k < TILE_K ? cols - k : TILE_K);
        for (int i = 0; k && i < rows; i++)
            for (int o = 0; o < PANEL; o++)
                all[i][o] += block[i][o];
    }
    for (int i = 0; i < rows; i++)
        linear_finish(a, m + i, first, all[i], left < PANEL ? left : PANEL, 1);
}

static void panel_tasks(const void *args, Part *part)
{
    const Panels *p = args;
    const int all = (int)panel_count((size_t)p->a->w->rows), rows = p->a->x->rows;
    for (int task; (task = part_next(part)) >= 0;)
        for (int i = task * p->size; i < all && i < (task + 1) * p->size; i++)
            for (int m = 0; m < rows; m += ROWS)
                do_panel(p, i, m, rows - m < ROWS ? rows - m : ROWS);
}

bool ISA_SYM(linear_panel)(Stream *on, const LinearArgs *a)
{
    const int threads = linear_threads(on, a), size = linear_task_panels(a->w, threads);
    const int all = (int)panel_count((size_t)a->w->rows);
    run_parts(on, threads, (all + size - 1) / size, 1, panel_tasks,
              &(Panels){a, slice_for(a->w->dtype), size});
    return true;
}
