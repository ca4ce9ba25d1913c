/* cpu_bench.h: what the tests of the CPU kernels share: random matrices that are views with a
 * guarded frame, comparison with a double-precision reference, and a walk over the kernel sets
 * that this machine can run. */
#ifndef CPU_BENCH_H
#define CPU_BENCH_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "card.h"
#include "cpu/cpu.h"
#include "tensor/host.h"

#define GUARD 12345.5f /* value of the elements between the columns of a view */

static uint64_t draw_seed = 1, draw_counter;

static inline float draw(void)
{
    return (float)rng_normal(draw_seed, draw_counter++);
}

static inline int draw_below(int n)
{
    return (int)(rng_unit(draw_seed, draw_counter++) * n);
}

/* A rows x cols matrix of normal values with `pad` guarded columns behind each row; with_grad adds
 * a gradient of normal values (backward functions must add to it). */
static inline Tensor matrix(int rows, int cols, int pad, bool with_grad)
{
    Tensor t = {.dtype = F32, .rows = rows, .cols = cols, .ld = cols + pad};
    size_t n = (size_t)rows * (size_t)t.ld + 1;
    float *all = malloc(2 * n * sizeof(float));
    for (size_t i = 0; i < 2 * n; i++)
        all[i] = (int)(i % n % (size_t)t.ld) < cols ? draw() : GUARD;
    t.data = all;
    if (with_grad) {
        t.flags = T_GRAD;
        t.grad = all + n;
    }
    return t;
}

static inline void matrix_free(Tensor *t)
{
    free(t->data);
    t->data = NULL;
}

static inline float *copy_of(const float *src, const Tensor *like)
{
    size_t bytes = (size_t)like->rows * (size_t)like->ld * sizeof(float);
    float *to = malloc(bytes + 1);
    memcpy(to, src, bytes);
    return to;
}

/* View of rows from..from+n and columns c0..c0+cols. */
static inline Tensor part(const Tensor *t, int from, int n, int c0, int cols)
{
    Tensor v = *t;
    v.data = row_f32(t, from) + c0;
    v.grad = t->grad ? row_grad(t, from) + c0 : NULL;
    v.rows = n;
    v.cols = cols;
    return v;
}

static inline void check_guards(const Tensor *t)
{
    for (int r = 0; r < t->rows; r++)
        for (int c = t->cols; c < t->ld; c++)
            assert_true(row_f32(t, r)[c] == GUARD && (!t->grad || row_grad(t, r)[c] == GUARD));
}

/* Same bits in all rows and columns of two matrices, whatever their ld. */
static inline bool same_bits(const float *a, int lda, const float *b, int ldb, int rows, int cols)
{
    for (int r = 0; r < rows; r++)
        if (memcmp(a + (size_t)r * (size_t)lda, b + (size_t)r * (size_t)ldb, (size_t)cols * 4))
            return false;
    return true;
}

/* Largest |a - ref| / max(|ref|, unit); NaN counts as infinite. */
static inline double worst_error(const float *a, int lda, const double *ref, int rows, int cols,
                                 double unit)
{
    double worst = 0;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            double want = ref[(size_t)r * (size_t)cols + (size_t)c];
            double e = fabs(a[(size_t)r * (size_t)lda + (size_t)c] - want);
            e /= fmax(fabs(want), unit);
            worst = e <= worst ? worst : isnan(e) ? INFINITY : e;
        }
    return worst;
}

/* Prints the figure also on success, then asserts. */
static inline void check_error(const Stream *d, const char *what, double error, double limit)
{
    print_message("    %-12s %-44s error %.2e (limit %.0e)\n", d->isa, what, error, limit);
    assert_true(error <= limit);
}

/* The CPU, opened once per test program. */
static inline Device *bench_device(void)
{
    static Device *dev;
    Error e = {0};
    if (!dev)
        dev = cpu_device(&e);
    assert_non_null(dev);
    return dev;
}

static inline Stream *open_isa(const char *isa, int threads)
{
    Error e = {0};
    Device *dev = bench_device();
    Stream *d = card_is(isa)
                    ? card_stream(PREC_F32, &e)
                    : dev->stream(dev, &(StreamOptions){.threads = threads, .isa = isa}, &e);
    if (!d)
        print_error("%s: %s\n", isa, e.message);
    assert_non_null(d);
    return d;
}

/* Runs fn on every kernel set that this machine has, and on the card. */
static inline void each_isa(void (*fn)(Stream *))
{
    for (const char *const *isa = card_isas(); *isa; isa++) {
        Stream *d = open_isa(*isa, 2);
        draw_seed = 1;
        draw_counter = 0;
        fn(d);
        d->close(d);
    }
}

#endif
