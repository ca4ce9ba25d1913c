/* linear of every instruction set that runs here, against sums in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <pthread.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/rng.h"
#include "card.h"
#include "cpu/cpu.h"
#include "tensor/host.h"
#include "tensor/panel.h"

enum { PAGE = 4096, PAD = 3 };

/* --- one product and its pieces ---------------------------------------------------------------- */

/* Weights end right before a page that must not be touched; `slack` bytes more make them odd. */
typedef struct Guarded {
    char *map;
    size_t size;
} Guarded;

static void *guarded_alloc(Guarded *g, size_t bytes, size_t slack)
{
    size_t body = (bytes + slack + PAGE - 1) / PAGE * PAGE;
    g->size = body + PAGE;
    g->map = mmap(NULL, g->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g->map != MAP_FAILED);
    assert_int_equal(mprotect(g->map + body, PAGE, PROT_NONE), 0);
    return g->map + body - bytes - slack;
}

typedef struct Case {
    int m, n, k;
    Tensor x, y, residual;
    Param w, b;
    Guarded guard;
    float *scale;
    double *wide; /* the weights as they are meant */
} Case;

static float *floats(size_t n, uint64_t seed, double spread)
{
    float *p = mem_alloc(n * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(spread * rng_normal(seed, i));
    return p;
}

static Tensor tensor(int rows, int cols, uint64_t seed)
{
    Tensor t = {.dtype = F32, .rows = rows, .cols = cols, .ld = cols + PAD};
    t.data = floats((size_t)(rows + 1) * (size_t)t.ld, seed, 1.0);
    return t;
}

/* Stores the i-th weight and returns its value. */
static double put_weight(char *at, DType t, size_t i, double v, double scale)
{
    float f = (float)v;
    uint16_t h = t == BF16 ? f32_to_bf16(f) : f32_to_f16(f);
    int8_t q = (int8_t)lrint(fmax(-127, fmin(127, v * 127)));
    switch (t) {
    case F32: memcpy(at + 4 * i, &f, 4); return f;
    case BF16: memcpy(at + 2 * i, &h, 2); return bf16_to_f32(h);
    case F16: memcpy(at + 2 * i, &h, 2); return f16_to_f32(h);
    default: at[i] = (char)q; return q * scale;
    }
}

/* n rows of k normal weights, as panels at `at`. */
static void put_panels(Case *c, char *at, int n, int k)
{
    float *rows = floats((size_t)n * (size_t)k, 4, 0.3);
    for (int i = 0; i < n; i += PANEL) {
        panel_quantise_i4(at + panels_bytes(I4, (size_t)i, (size_t)k), rows + (size_t)i * (size_t)k,
                          (size_t)(n - i < PANEL ? n - i : PANEL), (size_t)k);
        for (int row = i; row < n && row < i + PANEL; row++) {
            float *back = rows + (size_t)row * (size_t)k;
            panel_i4_to_row(back, at, (size_t)row, 0, (size_t)k, (size_t)k);
            for (int j = 0; j < k; j++)
                c->wide[(size_t)row * (size_t)k + (size_t)j] = back[j];
        }
    }
    mem_free(rows);
}

static void case_make(Case *c, int m, int n, int k, DType type, size_t slack)
{
    memset(c, 0, sizeof *c);
    c->m = m, c->n = n, c->k = k;
    c->x = tensor(m, k, 1);
    c->y = tensor(m, n, 2);
    c->residual = tensor(m, n, 3);
    size_t count = (size_t)n * (size_t)k;
    const size_t bytes =
        type == I4 ? panels_bytes(I4, (size_t)n, (size_t)k) : count * dtype_size(type);
    char *at = guarded_alloc(&c->guard, bytes, slack);
    c->wide = mem_alloc(count * sizeof *c->wide);
    c->scale = floats((size_t)n, 5, 0.01);
    if (type == I4)
        put_panels(c, at, n, k);
    for (size_t i = 0; type != I4 && i < count; i++)
        c->wide[i] = put_weight(at, type, i, 0.3 * rng_normal(4, i),
                                type == I8 ? c->scale[i / (size_t)k] : 1);
    c->w = (Param){.name = "w", .dtype = type, .rows = n, .cols = k, .data = at};
    c->w.scale = type == I8 ? c->scale : NULL;
    c->w.layout = type == I4 ? LAYOUT_PANEL : LAYOUT_ROWS;
    c->b = (Param){.name = "b", .dtype = F32, .rows = 1, .cols = n};
    c->b.data = floats((size_t)n, 6, 1.0);
}

static void case_free(Case *c)
{
    munmap(c->guard.map, c->guard.size);
    mem_free(c->x.data);
    mem_free(c->y.data);
    mem_free(c->residual.data);
    mem_free((void *)c->b.data);
    mem_free(c->scale);
    mem_free(c->wide);
}

static Stream *open_device(const char *isa, int threads, Precision precision)
{
    static Device *dev;
    Error e = {0};
    StreamOptions o = {.isa = isa, .threads = threads, .precision = precision};
    if (!dev)
        dev = cpu_device(&e);
    Stream *d = !dev ? NULL : card_is(isa) ? card_stream(precision, &e) : dev->stream(dev, &o, &e);
    if (!d)
        fail_msg("%s", e.message);
    return d;
}

static void run(Stream *d, const Case *c, Tensor *y, Act act, Role role, bool bias, bool residual)
{
    LinearArgs a = {.x = &c->x,
                    .w = &c->w,
                    .b = bias ? &c->b : NULL,
                    .y = y,
                    .act = act,
                    .role = role,
                    .residual = residual ? &c->residual : NULL};
    assert_true(d->k->linear(d, &a));
}

/* --- the reference ------------------------------------------------------------------------------ */

static double act_ref(double x, Act act)
{
    double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
    switch (act) {
    case ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case ACT_RELU: return x > 0 ? x : 0;
    case ACT_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case ACT_GELU_TANH: return 0.5 * x * (1 + tanh(u));
    default: return x;
    }
}

/* To what this device rounds x before it multiplies: BF16, integers of 16 bits with a scale for a row, of 8 bits with one
 * for 32 neighbours, or not at all. */
typedef enum Rounding { ROUND_NONE, ROUND_BF16, ROUND_F16, ROUND_I16, ROUND_I8 } Rounding;

static Rounding rounds_x(const Stream *d, DType type, Role role)
{
    if (card_is(d->isa))
        return d->precision == PREC_F32 || type == F32 ? ROUND_NONE
               : type == F16                           ? ROUND_F16
                                                       : ROUND_BF16;
    if (!dtype_is_float(type) && d->precision == PREC_FAST)
        return type == I4 && role == ROLE_DECODE ? ROUND_I8 : ROUND_I16;
    bool native = type == BF16 && !strcmp(cpu_kernel_name(d, BF16, role), "bf16");
    return native ? ROUND_BF16 : ROUND_NONE;
}

/* The largest of n numbers is `most` units. */
static float unit_of(const float *x, int n, int most)
{
    float top = 0;
    for (int i = 0; i < n; i++)
        top = fmaxf(top, fabsf(x[i]));
    return top / (float)most;
}

/* Row i of x as it is multiplied. */
static void round_row(double *to, const Case *c, int i, Rounding round)
{
    const float *x = row_f32(&c->x, i);
    const int step = round == ROUND_I8 ? 32 : c->k, most = round == ROUND_I8 ? 127 : 32767;
    for (int k = 0; k < c->k; k++) {
        const int first = k / step * step, n = c->k - first < step ? c->k - first : step;
        const float unit = round >= ROUND_I16 && k == first ? unit_of(x + first, n, most) : 0;
        for (int j = k; k == first && j < k + n; j++)
            to[j] = round >= ROUND_I16    ? (double)unit * (double)rintf(x[j] * (1 / unit))
                    : round == ROUND_F16  ? (double)f16_to_f32(f32_to_f16(x[j]))
                    : round == ROUND_BF16 ? (double)bf16_to_f32(f32_to_bf16(x[j]))
                                          : (double)x[j];
    }
}

/* Largest error of y in units of 2^-24 * (sum of |x w| + |bias| + |residual| + |y|). */
static double worst_error(const Case *c, const Tensor *y, Act act, Rounding round, bool bias,
                          bool residual)
{
    double worst = 0, *x = mem_alloc((size_t)c->k * sizeof *x);
    for (int i = 0; i < c->m; i++) {
        round_row(x, c, i, round);
        for (int j = 0; j < c->n; j++) {
            double sum = 0, size = 0;
            for (int k = 0; k < c->k; k++) {
                double w = c->wide[(size_t)j * (size_t)c->k + (size_t)k];
                /* where x is bf16, so is a weight of 4 bits with its scale */
                if (c->w.dtype == I4 && round == ROUND_BF16)
                    w = bf16_to_f32(f32_to_bf16((float)w));
                double p = x[k] * w;
                sum += p, size += fabs(p);
            }
            double b = bias ? ((const float *)c->b.data)[j] : 0;
            double r = residual ? row_f32(&c->residual, i)[j] : 0;
            double ref = act_ref(sum + b, act) + r;
            size += fabs(b) + fabs(r) + fabs(ref) + 1e-30;
            double error = fabs(row_f32(y, i)[j] - ref) / size * 0x1p24;
            worst = error > worst || isnan(error) ? error : worst;
        }
    }
    mem_free(x);
    return worst;
}

/* --- tests -------------------------------------------------------------------------------------- */

static const DType types[] = {F32, BF16, F16, I8, I4};

#define TYPES (sizeof types / sizeof *types)

static const struct {
    int m, n, k;
} shapes[] = {{1, 1, 1},    {1, 33, 5},    {2, 7, 33},    {3, 31, 64},   {4, 5, 16},
              {5, 33, 257}, {6, 16, 31},   {7, 2, 1100},  {8, 64, 40},   {9, 17, 18},
              {10, 1, 15},  {11, 48, 512}, {12, 50, 513}, {13, 65, 100}, {14, 32, 256},
              {15, 9, 7},   {16, 37, 34},  {17, 40, 300}, {40, 70, 531}, {257, 97, 66},
              {3, 300, 47}, {1, 66, 2561}, {6, 34, 9000}};

/* Sums of random signs stay far below this; a lost or doubled term is thousands of units. */
static const double ALLOWED = 6.0;

/* Tensor cores add terms of 16 inputs at once and cut off what lies below the largest of them (NVIDIA says no more of it): a
 * unit of 2^-24 too small each time, all in one direction, where the others round to either side. */
static double allowed(const Stream *d)
{
    return card_is(d->isa) && d->precision == PREC_FAST ? 4 * ALLOWED : ALLOWED;
}

static void test_values_of(const char *isa, Precision precision, DType type)
{
    Stream *d = open_device(isa, 2, precision);
    for (int role = 0; role < 2; role++) {
        double worst = 0;
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            Case c;
            case_make(&c, shapes[s].m, shapes[s].n, shapes[s].k, type, s % 2);
            Act act = (Act)(s % 5);
            bool bias = s % 3 != 0, residual = s % 4 == 1;
            run(d, &c, &c.y, act, (Role)role, bias, residual);
            double e = worst_error(&c, &c.y, act, rounds_x(d, type, (Role)role), bias, residual);
            if (!(e < allowed(d)))
                fail_msg("%s %s %s m %d n %d k %d act %d: error %g", isa, dtype_name(type),
                         role ? "thin" : "wide", c.m, c.n, c.k, act, e);
            worst = e > worst ? e : worst;
            case_free(&c);
        }
        print_message("%-10s %-4s %-4s %-7s worst error %.2f x 2^-24 of the terms\n", isa,
                      dtype_name(type), role ? "thin" : "wide",
                      card_is(isa) ? precision == PREC_F32 ? "f32" : "tensor"
                                   : cpu_kernel_name(d, type, (Role)role),
                      worst);
    }
    d->close(d);
}

static void test_values(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++)
        for (size_t t = 0; t < TYPES; t++) {
            test_values_of(*isa, PREC_F32, types[t]);
            if (!dtype_is_float(types[t]) || card_is(*isa) ||
                (types[t] == BF16 && !strcmp(*isa, "avx512bf16")))
                test_values_of(*isa, PREC_FAST, types[t]);
        }
}

static void test_activations(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++) {
        Stream *d = open_device(*isa, 1, PREC_F32);
        Case c;
        case_make(&c, 9, 37, 50, F32, 0);
        for (int act = 0; act < 5; act++)
            for (int role = 0; role < 2; role++) {
                run(d, &c, &c.y, (Act)act, (Role)role, true, true);
                assert_true(worst_error(&c, &c.y, (Act)act, ROUND_NONE, true, true) < ALLOWED);
            }
        case_free(&c);
        d->close(d);
    }
}

static void assert_rows_equal(const Tensor *a, int from, const Tensor *b, const char *what)
{
    for (int i = 0; i < b->rows; i++)
        if (memcmp(row_f32(a, from + i), row_f32(b, i), (size_t)b->cols * sizeof(float)))
            fail_msg("%s: row %d of %d differs", what, i, b->rows);
}

/* A row's bits depend on that row alone: any number of rows, any place, any number of threads. */
static void independence_of(const char *isa, Precision precision, DType type, Role role)
{
    static const int counts[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  13, 14,
                                 15, 16, 17, 23, 24, 25, 28, 40, 49, 103};
    enum { MOST = 103 };
    Case c;
    char what[64];
    snprintf(what, sizeof what, "%s %s role %d", isa, dtype_name(type), role);
    case_make(&c, MOST, 75, 611, type, 1);
    Stream *one = open_device(isa, 1, precision);
    run(one, &c, &c.y, ACT_GELU, role, true, true);
    for (int threads = 1; threads <= 3; threads++) {
        Stream *d = open_device(isa, threads, precision);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            int from = (MOST - counts[i]) / 2;
            Case part = c;
            part.m = part.x.rows = part.residual.rows = counts[i];
            part.x.data = row_f32(&c.x, from);
            part.residual.data = row_f32(&c.residual, from);
            part.y = tensor(counts[i], c.n, 9);
            run(d, &part, &part.y, ACT_GELU, role, true, true);
            assert_rows_equal(&c.y, from, &part.y, what);
            mem_free(part.y.data);
        }
        d->close(d);
    }
    one->close(one);
    case_free(&c);
}

static void test_independence(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++)
        for (size_t t = 0; t < TYPES; t++)
            for (int role = 0; role < 2; role++) {
                independence_of(*isa, PREC_F32, types[t], (Role)role);
                if (types[t] == BF16 || card_is(*isa) || !dtype_is_float(types[t]))
                    independence_of(*isa, PREC_FAST, types[t], (Role)role);
            }
}

/* y = act(x W^T + b) + residual in one call has the bits of three calls. */
static void test_fused(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++) {
        Stream *d = open_device(*isa, 2, PREC_F32);
        Case c;
        case_make(&c, 17, 75, 611, BF16, 1);
        Tensor z = tensor(17, 75, 8);
        for (int act = 0; act < 5; act++)
            for (int role = 0; role < 2; role++) {
                run(d, &c, &c.y, (Act)act, (Role)role, true, true);
                run(d, &c, &z, ACT_NONE, (Role)role, true, false);
                d->k->activate(d, &z, &z, (Act)act);
                d->k->add(d, &z, &z, &c.residual);
                assert_rows_equal(&c.y, 0, &z, *isa);
            }
        mem_free(z.data);
        case_free(&c);
        d->close(d);
    }
}

/* residual may be y itself; what lies between the rows of a view is left alone. */
static void test_in_place_and_views(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++)
        for (int role = 0; role < 2; role++) {
            Stream *d = open_device(*isa, 2, PREC_FAST);
            Case c;
            case_make(&c, 17, 75, 611, BF16, 0);
            Tensor z = tensor(17, 75, 3); /* the same numbers as residual */
            run(d, &c, &c.y, ACT_RELU, (Role)role, true, true);
            LinearArgs a = {.x = &c.x,
                            .w = &c.w,
                            .b = &c.b,
                            .residual = &z,
                            .y = &z,
                            .act = ACT_RELU,
                            .role = (Role)role};
            assert_true(d->k->linear(d, &a));
            assert_rows_equal(&c.y, 0, &z, *isa);
            for (int i = 0; i <= z.rows; i++) /* the row after the last is untouched as well */
                assert_memory_equal(row_f32(&z, i) + (i < z.rows ? z.cols : 0),
                                    row_f32(&c.residual, i) + (i < z.rows ? z.cols : 0),
                                    PAD * sizeof(float));
            mem_free(z.data);
            case_free(&c);
            d->close(d);
        }
}

static void test_no_rows(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++)
        for (int role = 0; role < 2; role++) {
            Stream *d = open_device(*isa, 2, PREC_F32);
            Case c;
            case_make(&c, 1, 5, 7, F32, 0);
            float before = *f32(&c.y);
            c.x.rows = c.y.rows = 0;
            run(d, &c, &c.y, ACT_NONE, (Role)role, true, false);
            assert_true(before == *f32(&c.y));
            case_free(&c);
            d->close(d);
        }
}

/* A NaN or infinity is seen in its own row and nowhere else; subnormals do no harm. */
static void special_values_of(const char *isa, Precision precision, DType type, Role role)
{
    Stream *d = open_device(isa, 1, precision);
    Case c;
    case_make(&c, 20, 35, 70, type, 0);
    row_f32(&c.x, 3)[69] = NAN;
    row_f32(&c.x, 4)[0] = INFINITY;
    row_f32(&c.x, 5)[1] = 1e-40f;
    for (int k = 0; k < 70; k++)
        row_f32(&c.x, 6)[k] = k % 2 ? 1e-42f : 0, row_f32(&c.x, 7)[k] = 0;
    run(d, &c, &c.y, ACT_GELU, role, true, false);
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 35; j++) {
            float v = row_f32(&c.y, i)[j];
            if (i == 3)
                assert_true(isnan(v));
            else if (i == 4)
                assert_false(isfinite(v) && v != 0);
            else
                assert_true(isfinite(v));
        }
    for (int j = 0; j < 35; j++) {
        double zero = act_ref(((const float *)c.b.data)[j], ACT_GELU);
        assert_true(fabs(row_f32(&c.y, 6)[j] - zero) < 1e-6);
        assert_true(fabs(row_f32(&c.y, 7)[j] - zero) < 1e-6);
    }
    case_free(&c);
    d->close(d);
}

static void test_special_values(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++)
        for (size_t t = 0; t < TYPES; t++)
            for (int role = 0; role < 2; role++) {
                special_values_of(*isa, PREC_F32, types[t], (Role)role);
                special_values_of(*isa, PREC_FAST, types[t], (Role)role);
            }
}

/* The largest sums of integers: nothing wraps or saturates. */
static void extremes_of(const char *isa, DType type, Role role, int sign)
{
    enum { M = 9, N = 35, K = 9000 };
    Stream *d = open_device(isa, 2, PREC_FAST);
    Case c;
    case_make(&c, M, N, K, type, 0);
    char *w = (char *)(uintptr_t)c.w.data;
    if (type == I8)
        memset(w, -128, (size_t)N * K);
    else
        for (size_t b = 0; b < panels_bytes(I4, N, K) / I4_BYTES; b++)
            memset(w + b * I4_BYTES + I4_SCALES, sign > 0 ? 0xff : 0, I4_BYTES - I4_SCALES);
    for (int j = 0; j < N; j++) {
        float *row = floats(K, 1, 0);
        if (type == I4)
            panel_i4_to_row(row, w, (size_t)j, 0, K, K);
        for (int k = 0; k < K; k++)
            c.wide[(size_t)j * K + (size_t)k] = type == I8 ? -128.0 * c.scale[j] : (double)row[k];
        mem_free(row);
    }
    for (int i = 0; i < M; i++)
        for (int k = 0; k < K; k++)
            row_f32(&c.x, i)[k] = (float)sign * 3.25f;
    run(d, &c, &c.y, ACT_NONE, role, true, false);
    double e = worst_error(&c, &c.y, ACT_NONE, rounds_x(d, type, role), true, false);
    if (!(e < allowed(d)))
        fail_msg("%s %s role %d, extremes: error %g", isa, dtype_name(type), role, e);
    case_free(&c);
    d->close(d);
}

static void test_extremes(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++)
        for (int role = 0; role < 2; role++)
            for (int sign = -1; sign <= 1; sign += 2) {
                extremes_of(*isa, I8, (Role)role, sign);
                extremes_of(*isa, I4, (Role)role, sign);
            }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    Case c;
    case_make(&c, 40, 35, 70, BF16, 0);
    LinearArgs a = {.x = &c.x, .w = &c.w, .y = &c.y};
    for (int n = 1; n <= 3; n++) { /* two for many rows, one for those that decode */
        a.role = n == 3 ? ROLE_DECODE : ROLE_ENCODE;
        Stream *d = open_device(NULL, 2, PREC_F32);
        mem_fail_at(n == 3 ? 1 : n);
        assert_false(d->k->linear(d, &a));
        assert_true(mem_fail_hit());
        mem_fail_at(0);
        assert_true(d->k->linear(d, &a));
        d->close(d);
    }
    case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_independence),
        cmocka_unit_test(test_fused),
        cmocka_unit_test(test_in_place_and_views),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
