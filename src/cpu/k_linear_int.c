/* cpu/k_linear_int.c: products for decoding with weights of 8 bits: few rows of x, as 16-bit integers
 * (row16.h), every weight read from memory once, as in k_linear_decode.c. Each (row, output) pair has one
 * accumulator of VL lanes; a lane takes ROW16_PAIRS pairs before it is added to a sum of floats. */
#include "cpu/linear.h"
#include "cpu/row16.h"

/* Rows of weights that run along K together: as many as registers have room for. */
#if defined(VEC_AVX512) || defined(__aarch64__)
enum { OUTS = 4, ROWS = 6, OUTS_MANY = 4 };
#else
enum { OUTS = 4, ROWS = 5, OUTS_MANY = 2 /* for 3 rows of x and more */ };
#endif

enum {
    STEP = 2 * VL,             /* weights of a vector */
    SPAN = ROW16_PAIRS * STEP, /* weights that a lane's sum has room for, times lanes */
    LINE = 64,                 /* weights of a cache line */
    SERIAL_ROWS = 8,           /* so many rows of x are rounded faster than a thread wakes */
};

typedef struct Ints {
    const LinearArgs *a;
    int16_t *x;    /* [rows][ldx], whole lines */
    float *factor; /* [rows] */
    size_t ldx;
    int size; /* outputs of a task */
} Ints;

typedef struct Block {
    const int8_t *w;
    size_t stride;
    const int16_t *x;
    size_t ldx;
    int depth, outs;
    float sums[ROWS][LINEAR_GROUP];
} Block;

/* STEP weights of each of `outs` rows times those of `rows` rows of x: both constants where this ends up. */
VEC_INLINE void step(const int rows, const int outs, const vi w[OUTS], const int16_t *x, size_t ldx,
                     vi acc[ROWS][OUTS])
{
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++) {
        const vi xm = vi_loadu(x + (size_t)m * ldx);
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            acc[m][n] = vi_dpwssd(acc[m][n], xm, w[n]);
    }
}

/* Fetches the next `outs` rows while these are at k: one row of x has time for one line of each, more take what lies
 * beside each other (docs/SPEED.md). */
VEC_INLINE void fetch(const int rows, const int outs, const int8_t *w, size_t stride, int k)
{
    const int8_t *next = w + (size_t)outs * stride;
#pragma GCC unroll 8
    for (int n = 0; n < outs; n++)
        __builtin_prefetch(
            rows == 1 ? next + (size_t)n * stride + k : next + (size_t)(outs * k + n * LINE), 0, 2);
}

/* Weights k..end, whole lines of them. */
VEC_INLINE void lines(const int rows, const int outs, const Block *b, int n0, int k, int end,
                      vi acc[ROWS][OUTS])
{
    const int8_t *w = b->w + (size_t)n0 * b->stride;
    for (; k < end; k += LINE) {
        fetch(rows, outs, w, b->stride, k);
#pragma GCC unroll 8
        for (int j = 0; j < LINE; j += STEP) {
            vi wide[OUTS];
#pragma GCC unroll 8
            for (int n = 0; n < outs; n++)
                wide[n] = vi_pairs_from_i8(w + (size_t)n * b->stride + k + j);
            step(rows, outs, wide, b->x + k + j, b->ldx, acc);
        }
    }
}

/* Weights k..depth, fewer than a line: reads none beyond them. */
VEC_INLINE void rest(const int rows, const int outs, const Block *b, int n0, int k,
                     vi acc[ROWS][OUTS])
{
    for (; k < b->depth; k += STEP) {
        const int n_left = b->depth - k < STEP ? b->depth - k : STEP;
        vi wide[OUTS];
        for (int n = 0; n < outs; n++) {
            int8_t copy[STEP] = {0};
            memcpy(copy, b->w + (size_t)(n0 + n) * b->stride + k, (size_t)n_left);
            wide[n] = vi_pairs_from_i8(copy);
        }
        step(rows, outs, wide, b->x + k, b->ldx, acc);
    }
}

VEC_INLINE void dots(const int rows, const int outs, Block *b, int n0)
{
    const int whole = b->depth / LINE * LINE;
    vf sums[ROWS][OUTS] = {{{0}}};
    for (int k = 0; k < b->depth; k += SPAN) {
        const int end = whole - k < SPAN ? whole : k + SPAN;
        vi acc[ROWS][OUTS] = {{{0}}};
        lines(rows, outs, b, n0, k, end, acc);
        if (b->depth - k <= SPAN)
            rest(rows, outs, b, n0, k < whole ? whole : k, acc);
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
            for (int n = 0; n < outs; n++)
                sums[m][n] = sums[m][n] + vf_from_vi(acc[m][n]);
    }
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < outs; n++)
            b->sums[m][n0 + n] = vf_hsum(sums[m][n]);
}

VEC_INLINE void block_dots(const int rows, Block *b)
{
    const int outs = rows <= 2 ? OUTS : OUTS_MANY;
    int n = 0;
    for (; n + outs <= b->outs; n += outs)
        dots(rows, outs, b, n);
    for (; n < b->outs; n++)
        dots(rows, 1, b, n);
}

/* The switch makes `rows` a constant. */
static void run_block(int rows, Block *b)
{
    switch (rows) {
    case 1: block_dots(1, b); break;
    case 2: block_dots(2, b); break;
    case 3: block_dots(3, b); break;
    case 4: block_dots(4, b); break;
    case 5: block_dots(5, b); break;
    default: block_dots(ROWS, b); break;
    }
}

/* Outputs n..n + outs of all rows of x. */
static void do_outputs(const Ints *t, int n, int outs)
{
    const Param *w = t->a->w;
    const size_t stride = (size_t)w->cols;
    Block b = {.w = (const int8_t *)w->data + (size_t)n * stride,
               .stride = stride,
               .ldx = t->ldx,
               .depth = w->cols,
               .outs = outs};
    for (int m = 0; m < t->a->x->rows; m += ROWS) {
        const int rows = t->a->x->rows - m < ROWS ? t->a->x->rows - m : ROWS;
        b.x = t->x + (size_t)m * t->ldx;
        run_block(rows, &b);
        for (int i = 0; i < rows; i++)
            linear_finish(t->a, m + i, n, b.sums[i], outs, t->factor[m + i]);
    }
}

static void do_tasks(const void *args, Part *part)
{
    const Ints *t = args;
    for (int task; (task = part_next(part)) >= 0;) {
        const int first = task * t->size, left = t->a->w->rows - first;
        const int end = left < t->size ? left : t->size;
        for (int n = 0; n < end; n += LINEAR_GROUP)
            do_outputs(t, first + n, end - n < LINEAR_GROUP ? end - n : LINEAR_GROUP);
    }
}

static void round_row(const void *args, int i)
{
    const Ints *t = args;
    const float *x = row_f32(t->a->x, i);
    t->factor[i] = row16_scale(x, t->a->x->cols);
    row16_pack(t->x + (size_t)i * t->ldx, x, t->a->x->cols, t->factor[i]);
}

bool ISA_SYM(linear_int)(Stream *on, const LinearArgs *a)
{
    const int threads = linear_threads(on, a), rows = a->x->rows,
              size = linear_task_rows(a->w, threads);
    Ints t = {.a = a, .ldx = ((size_t)a->x->cols + LINE - 1) / LINE * LINE, .size = size};
    const size_t words = (size_t)rows * t.ldx / 2;
    t.factor = cpu_scratch(on, SCRATCH_PACK_X, (words + (size_t)rows) * sizeof(float));
    if (!t.factor)
        return false;
    t.x = (int16_t *)(t.factor + rows);
    run_each(on, rows < SERIAL_ROWS ? 1 : threads, rows, round_row, &t);
    run_parts(on, threads, (a->w->rows + size - 1) / size, 1, do_tasks, &t);
    return true;
}
