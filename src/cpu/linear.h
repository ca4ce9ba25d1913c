/* cpu/linear.h: what the files of `linear` share.
 *
 *   k_linear.c         the entry: roles, weight types
 *   k_linear_encode.c  many rows: the product of tile.h over weights packed on the fly
 *   k_linear_decode.c  few rows, weights in rows: dot products at memory speed
 *   k_linear_batch.c   more than a few of them: the same sums at the speed of the arithmetic
 *   k_linear_int.c     few rows, weights of 8 bits in rows: integer dot products
 *   k_linear_panel.c   few rows, weights in panels: the sums of 32 outputs at memory speed
 *   k_linear_i4.c      few rows, weights of 4 bits: integer sums of 32 outputs
 *
 * Where the precision allows it (PREC_FAST) x is rounded to meet integers as integers, by less than what the weights
 * were rounded by: weights of 8 bits meet rows of 16-bit integers (cpu/row16.h), twice the products of floats an
 * instruction on every instruction set. So do those of 4 bits meet many rows; few rows meet them as blocks of 8-bit integers.
 *
 * Weights are row-major [out, in] or in panels (tensor/panel.h), and may start at any byte (cpu/weights.h). */
#ifndef CPU_LINEAR_H
#define CPU_LINEAR_H

#include "cpu/activation.h"
#include "cpu/kernels.h"
#include "cpu/weights.h"
#include "tensor/panel.h"

bool ISA_SYM(linear_encode)(Stream *on, const LinearArgs *a);
bool ISA_SYM(linear_decode)(Stream *on, const LinearArgs *a);
bool ISA_SYM(linear_batch)(Stream *on, const LinearArgs *a);
bool ISA_SYM(linear_int)(Stream *on, const LinearArgs *a);
bool ISA_SYM(linear_panel)(Stream *on, const LinearArgs *a);
bool ISA_SYM(linear_i4)(Stream *on, const LinearArgs *a);

static inline bool linear_integers(const Stream *on, const LinearArgs *a)
{
    return !dtype_is_float(a->w->dtype) && on->precision == PREC_FAST;
}

/* Below this many multiplications one thread does the work: waking others takes longer. */
#define LINEAR_SERIAL 100000.0

static inline __attribute__((unused)) int linear_threads(const Stream *on, const LinearArgs *a)
{
    double work = (double)a->x->rows * a->w->rows * a->w->cols;
    return work < LINEAR_SERIAL || on->threads < 1 ? 1 : on->threads;
}

/* Weights are read by tasks: a fair share for each thread in a few portions, at most a MiB. `all` pieces of `bytes` each;
 * how many of them a thread takes at a time. */
static inline __attribute__((unused)) int linear_task(size_t all, size_t bytes, int threads)
{
    const size_t parts = 4 * (size_t)threads, share = (all + parts - 1) / parts;
    const size_t most = bytes ? (1 << 20) / bytes : 1, n = most < share ? most : share;
    return n ? (int)n : 1;
}

static inline __attribute__((unused)) int linear_task_panels(const Param *w, int threads)
{
    return linear_task(panel_count((size_t)w->rows), panel_bytes(w->dtype, (size_t)w->cols),
                       threads);
}

/* Few rows of x and weights in rows (k_linear_decode.c, k_linear_int.c): which rows of weights run along K together.
 *
 * A task's weights are read at LINEAR_PLACES places at once, a quarter of them apart, each place in the order of memory
 * for LINEAR_GROUP outputs, which are finished together (linear_finish); what is left over of a task, in groups of its own.
 * With vectors of 512 bits it is one stream, or rows beside each other with the next ones fetched ahead. docs/SPEED.md has
 * what each is worth. */
#if defined(VEC_AVX512) || defined(__aarch64__)
enum { LINEAR_FAR = 0, LINEAR_OUTS = 4, LINEAR_ROWS = 6, LINEAR_OUTS_MANY = 4 };
#else
enum { LINEAR_FAR = 1, LINEAR_OUTS = 4, LINEAR_ROWS = 5, LINEAR_OUTS_MANY = 2 };
#endif
enum {
    LINEAR_GROUP = 16, /* whole vectors */
    LINEAR_PLACES = 4,
    LINEAR_AHEAD = 8192 /* prefetch distance of a stream, bytes */
};

static inline __attribute__((unused)) int linear_task_rows(const Param *w, int threads)
{
    const size_t groups = ((size_t)w->rows + LINEAR_GROUP - 1) / LINEAR_GROUP;
    return LINEAR_GROUP *
           linear_task(groups, LINEAR_GROUP * (size_t)w->cols * weight_size(w->dtype), threads);
}

/* `n` outputs from the first-th on, and at `places` - 1 further places, `apart` outputs from one to the next. */
typedef struct LinearSpan {
    int first, n, places, apart;
} LinearSpan;

/* Rows of weights that run along K together: the first of them, counted from the span's first, how far the next one is,
 * and where their sums go: the first's and how far the next one's is. */
typedef struct LinearBundle {
    int row, apart, sum, pitch;
} LinearBundle;

/* Rows of weights in a bundle when `rows` of x meet it: as many as registers have room for. */
VEC_INLINE int linear_outs(int rows)
{
    return rows <= 2 ? LINEAR_OUTS : LINEAR_OUTS_MANY;
}

/* The i-th bundle of `outs` rows of a span. */
VEC_INLINE LinearBundle linear_bundle(const LinearSpan *s, const int outs, int i)
{
    if (s->places > 1) {
        const int place = i / s->n * outs, n = i % s->n;
        return (LinearBundle){place * s->apart + n, s->apart, place * LINEAR_GROUP + n,
                              LINEAR_GROUP};
    }
    if (LINEAR_FAR && s->n >= outs)
        return (LinearBundle){i, s->n / outs, i, s->n / outs};
    return (LinearBundle){i * outs, 1, i * outs, 1};
}

/* Fetches weights ahead of those at w, the k-th of a bundle's first row. */
VEC_INLINE void linear_fetch(const int outs, const char *w, size_t apart)
{
#pragma GCC unroll 8
    for (int n = 0; n < outs; n++)
        if (LINEAR_FAR || outs == 1)
            __builtin_prefetch(w + (size_t)n * apart + LINEAR_AHEAD, 0, 3);
        else /* the next rows; they have time, and the first level of the cache holds x */
            __builtin_prefetch(w + (size_t)(outs + n) * apart, 0, 2);
}

typedef void (*LinearSpanFn)(const void *args, const LinearSpan *s);

/* What each thread does with the outputs of its tasks. */
typedef struct LinearSpans {
    LinearSpanFn fn;
    const void *args;
    int outs, size; /* of all; of a task */
} LinearSpans;

static inline __attribute__((unused)) void linear_task_spans(const void *args, Part *part)
{
    const LinearSpans *t = args;
    for (int task; (task = part_next(part)) >= 0;) {
        const int first = task * t->size, left = t->outs - first;
        const int outs = left < t->size ? left : t->size;
        const int apart = LINEAR_FAR ? outs / (LINEAR_PLACES * LINEAR_GROUP) * LINEAR_GROUP : 0;
        for (int n = 0; n < apart; n += LINEAR_GROUP)
            t->fn(t->args, &(LinearSpan){first + n, LINEAR_GROUP, LINEAR_PLACES, apart});
        for (int n = LINEAR_PLACES * apart; n < outs; n += LINEAR_GROUP)
            t->fn(t->args, &(LinearSpan){first + n,
                                         outs - n < LINEAR_GROUP ? outs - n : LINEAR_GROUP, 1, 0});
    }
}

/* Has fn(args, span) done for all outputs, by all threads. */
static inline __attribute__((unused)) void linear_spans(Stream *on, const LinearArgs *a,
                                                        LinearSpanFn fn, const void *args)
{
    const int threads = linear_threads(on, a), size = linear_task_rows(a->w, threads);
    run_parts(on, threads, (a->w->rows + size - 1) / size, 1, linear_task_spans,
              &(LinearSpans){fn, args, a->w->rows, size});
}

VEC_INLINE vf linear_finish_vec(const LinearArgs *a, vf sum, const float *scale, const float *bias,
                                const float *residual, int n)
{
    bool whole = n == VL;
    if (scale)
        sum = sum * (whole ? vf_loadu(scale) : vf_load_n(scale, n));
    if (bias)
        sum = sum + (whole ? vf_loadu(bias) : vf_load_n(bias, n));
    sum = act_apply(sum, a->act);
    if (residual)
        sum = sum + (whole ? vf_loadu(residual) : vf_load_n(residual, n));
    return sum;
}

/* y[row][col .. col+n) = act(sums * factor * scale + bias) + residual; factor: of the row of x, 1 where x was taken as
 * it is. */
static inline __attribute__((unused)) void linear_finish(const LinearArgs *a, int row, int col,
                                                         const float *sums, int n, float factor)
{
    const float *scale = a->w->dtype == I8 ? a->w->scale + col : NULL;
    const float *bias = a->b ? (const float *)a->b->data + col : NULL;
    const float *residual = a->residual ? row_f32(a->residual, row) + col : NULL;
    float *y = row_f32(a->y, row) + col;
    for (int j = 0; j < n; j += VL) {
        int left = n - j < VL ? n - j : VL;
        vf sum = vf_set1(factor) * (left == VL ? vf_loadu(sums + j) : vf_load_n(sums + j, left));
        sum = linear_finish_vec(a, sum, scale ? scale + j : NULL, bias ? bias + j : NULL,
                                residual ? residual + j : NULL, left);
        if (left == VL)
            vf_storeu(y + j, sum);
        else
            vf_store_n(y + j, sum, left);
    }
}

/* linear_finish for a span's sums, one place after the other LINEAR_GROUP apart. */
static inline __attribute__((unused)) void linear_finish_span(const LinearArgs *a, int row,
                                                              const LinearSpan *s,
                                                              const float *sums, float factor)
{
    for (int p = 0; p < s->places; p++)
        linear_finish(a, row, s->first + p * s->apart, sums + p * LINEAR_GROUP, s->n, factor);
}

#endif
