/* cpu/k_linear_int.c: products for decoding with weights of 8 bits: few rows of x, as 16-bit integers
 * (row16.h), every weight read from memory once, as in k_linear_decode.c. Each (row, output) pair has one
 * accumulator of VL lanes; a lane takes ROW16_PAIRS pairs before it is added to a sum of floats. */
#include "cpu/linear.h"
#include "cpu/row16.h"

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
} Ints;

typedef struct Block {
    const int8_t *w;
    size_t stride;
    const int16_t *x;
    size_t ldx;
    int depth;
    LinearSpan span;
    float sums[LINEAR_ROWS][LINEAR_PLACES * LINEAR_GROUP];
} Block;

/* STEP weights of each of `outs` rows times those of `rows` rows of x: both constants where this ends up. */
VEC_INLINE void step(const int rows, const int outs, const vi w[LINEAR_OUTS], const int16_t *x,
                     size_t ldx, vi acc[LINEAR_ROWS][LINEAR_OUTS])
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
VEC_INLINE void fetch(const int rows, const int outs, const int8_t *w, size_t apart, int k)
{
    const char *p = (const char *)w;
    if (LINEAR_FAR || rows == 1)
        linear_fetch(outs, p + k, apart);
    else
#pragma GCC unroll 8
        for (int n = 0; n < outs; n++)
            __builtin_prefetch(p + (size_t)outs * apart + (size_t)(outs * k + n * LINE), 0, 2);
}

/* Weights k..end of rows `apart` bytes from one another, whole lines of them. */
VEC_INLINE void lines(const int rows, const int outs, const Block *b, const int8_t *w, size_t apart,
                      int k, int end, vi acc[LINEAR_ROWS][LINEAR_OUTS])
{
    for (; k < end; k += LINE) {
        fetch(rows, outs, w, apart, k);
#pragma GCC unroll 8
        for (int j = 0; j < LINE; j += STEP) {
            vi wide[LINEAR_OUTS];
#pragma GCC unroll 8
            for (int n = 0; n < outs; n++)
                wide[n] = vi_pairs_from_i8(w + (size_t)n * apart + k + j);
            step(rows, outs, wide, b->x + k + j, b->ldx, acc);
        }
    }
}

/* Weights k..depth, fewer than a line: reads none beyond them. */
VEC_INLINE void rest(const int rows, const int outs, const Block *b, const int8_t *w, size_t apart,
                     int k, vi acc[LINEAR_ROWS][LINEAR_OUTS])
{
    for (; k < b->depth; k += STEP) {
        const int n_left = b->depth - k < STEP ? b->depth - k : STEP;
        vi wide[LINEAR_OUTS];
        for (int n = 0; n < outs; n++) {
            int8_t copy[STEP] = {0};
            memcpy(copy, w + (size_t)n * apart + k, (size_t)n_left);
            wide[n] = vi_pairs_from_i8(copy);
        }
        step(rows, outs, wide, b->x + k, b->ldx, acc);
    }
}

VEC_INLINE void dots(const int rows, const int outs, LinearBundle u, Block *b)
{
    const int whole = b->depth / LINE * LINE;
    const size_t apart = (size_t)u.apart * b->stride;
    const int8_t *w = b->w + (size_t)u.row * b->stride;
    vf sums[LINEAR_ROWS][LINEAR_OUTS] = {{{0}}};
    for (int k = 0; k < b->depth; k += SPAN) {
        const int end = whole - k < SPAN ? whole : k + SPAN;
        vi acc[LINEAR_ROWS][LINEAR_OUTS] = {{{0}}};
        lines(rows, outs, b, w, apart, k, end, acc);
        if (b->depth - k <= SPAN)
            rest(rows, outs, b, w, apart, k < whole ? whole : k, acc);
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
            for (int n = 0; n < outs; n++)
                sums[m][n] = sums[m][n] + vf_from_vi(acc[m][n]);
    }
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < outs; n++)
            b->sums[m][u.sum + n * u.pitch] = vf_hsum(sums[m][n]);
}

VEC_INLINE void block_dots(const int rows, Block *b)
{
    const int outs = linear_outs(rows), all = b->span.n * b->span.places;
    for (int i = 0; i < all / outs; i++)
        dots(rows, outs, linear_bundle(&b->span, outs, i), b);
    for (int n = all / outs * outs; n < all; n++)
        dots(rows, 1, linear_bundle(&b->span, 1, n), b);
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
    default: block_dots(LINEAR_ROWS, b); break;
    }
}

/* Outputs of a span for all rows of x. */
static void do_span(const void *args, const LinearSpan *span)
{
    const Ints *t = args;
    const Param *w = t->a->w;
    const size_t stride = (size_t)w->cols;
    Block b = {.w = (const int8_t *)w->data + (size_t)span->first * stride,
               .stride = stride,
               .ldx = t->ldx,
               .depth = w->cols,
               .span = *span};
    for (int m = 0; m < t->a->x->rows; m += LINEAR_ROWS) {
        const int rows = t->a->x->rows - m < LINEAR_ROWS ? t->a->x->rows - m : LINEAR_ROWS;
        b.x = t->x + (size_t)m * t->ldx;
        run_block(rows, &b);
        for (int i = 0; i < rows; i++)
            linear_finish_span(t->a, m + i, span, b.sums[i], t->factor[m + i]);
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
    const int threads = linear_threads(on, a), rows = a->x->rows;
    Ints t = {.a = a, .ldx = ((size_t)a->x->cols + LINE - 1) / LINE * LINE};
    const size_t words = (size_t)rows * t.ldx / 2;
    t.factor = cpu_scratch(on, SCRATCH_PACK_X, (words + (size_t)rows) * sizeof(float));
    if (!t.factor)
        return false;
    t.x = (int16_t *)(t.factor + rows);
    run_each(on, rows < SERIAL_ROWS ? 1 : threads, rows, round_row, &t);
    linear_spans(on, a, do_span, &t);
    return true;
}
