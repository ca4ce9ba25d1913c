/* Weights in panels: their order, written out once more; products of every instruction set with them, against sums in
 * double precision, against the same weights in rows, and of one row alone against many. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/rng.h"
#include "cpu/cpu.h"
#include "tensor/host.h"

enum { PAGE = 4096, M_MAX = 20 };

static const DType TYPES[] = {F32, F16, BF16};
static const int OUTS[] = {1, 31, 32, 33, 70, 160};
static const int INS[] = {1, 2, 7, 255, 256, 257, 513, 1000};

#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

/* Bytes that end right before a page that must not be touched. */
typedef struct Guarded {
    char *map, *at;
    size_t size;
} Guarded;

static Guarded guarded(size_t bytes)
{
    size_t body = (bytes + PAGE - 1) / PAGE * PAGE;
    Guarded g = {.size = body + PAGE};
    g.map = mmap(NULL, g.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + body, PAGE, PROT_NONE), 0);
    g.at = g.map + body - bytes;
    return g;
}

static void store(char *at, DType t, size_t i, float f)
{
    uint16_t h = t == BF16 ? f32_to_bf16(f) : f32_to_f16(f);
    if (t == F32)
        memcpy(at + 4 * i, &f, 4);
    else
        memcpy(at + 2 * i, &h, 2);
}

static float value(const char *at, DType t, size_t i)
{
    float f;
    convert_to_f32(&f, at + dtype_size(t) * i, t, 1);
    return f;
}

typedef struct Case {
    int n, k;
    Param rows, panels, bias;
    Guarded guard;
} Case;

static void *numbers(size_t n, uint64_t seed)
{
    float *p = mem_alloc(n * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)rng_normal(seed, i);
    return p;
}

static Case make(int n, int k, DType t)
{
    Case c = {.n = n, .k = k};
    size_t all = panels_numbers(t, (size_t)n, (size_t)k), one = panel_numbers(t, (size_t)k);
    char *rows = mem_alloc((size_t)n * (size_t)k * dtype_size(t));
    for (size_t i = 0; i < (size_t)n * (size_t)k; i++)
        store(rows, t, i, 0.3f * (float)rng_normal(4, i));
    c.guard = guarded(all * dtype_size(t));
    memset(c.guard.at, 0xff, all * dtype_size(t));
    for (int i = 0; i < n; i += PANEL)
        panel_from_rows(c.guard.at + (size_t)(i / PANEL) * one * dtype_size(t),
                        rows + (size_t)i * (size_t)k * dtype_size(t),
                        (size_t)(n - i < PANEL ? n - i : PANEL), t, (size_t)k);
    c.rows = (Param){.name = "w", .dtype = t, .rows = n, .cols = k, .data = rows};
    c.panels = c.rows;
    c.panels.layout = LAYOUT_PANEL;
    c.panels.data = c.guard.at;
    c.bias = (Param){.name = "b", .dtype = F32, .rows = 1, .cols = n};
    c.bias.data = numbers((size_t)n, 6);
    return c;
}

static void drop(Case *c)
{
    munmap(c->guard.map, c->guard.size);
    mem_free((void *)(uintptr_t)c->rows.data);
    mem_free((void *)(uintptr_t)c->bias.data);
}

/* --- the order ------------------------------------------------------------------------------------ */

/* [out / 32][in][32], or for bf16 [out / 32][in / 2][32][2], said index by index. */
static void check_order(const Case *c, DType t)
{
    const char *panels = c->panels.data, *rows = c->rows.data;
    size_t ins = t == BF16 ? ((size_t)c->k + 1) / 2 * 2 : (size_t)c->k;
    for (size_t o = 0; o < ((size_t)c->n + 31) / 32 * 32; o++)
        for (size_t i = 0; i < ins; i++) {
            size_t at = t == BF16 ? o / 32 * ins * 32 + i / 2 * 64 + o % 32 * 2 + i % 2
                                  : o / 32 * ins * 32 + i * 32 + o % 32;
            bool there = o < (size_t)c->n && i < (size_t)c->k;
            float want = there ? value(rows, t, o * (size_t)c->k + i) : 0;
            assert_true(value(panels, t, at) == want);
        }
}

static void order(void **state)
{
    for (int t = 0; t < 3; t++)
        for (int n = 0; n < COUNT(OUTS); n++)
            for (int k = 0; k < COUNT(INS); k++) {
                Case c = make(OUTS[n], INS[k], TYPES[t]);
                size_t row = (size_t)c.k * dtype_size(TYPES[t]);
                char *back = mem_alloc((size_t)c.n * row);
                check_order(&c, TYPES[t]);
                assert_int_equal(param_bytes(&c.panels),
                                 dtype_size(TYPES[t]) *
                                     panels_numbers(TYPES[t], (size_t)c.n, (size_t)c.k));
                for (size_t o = 0; o < (size_t)c.n; o++)
                    panel_to_row(back + o * row, c.panels.data, o, 0, (size_t)c.k, TYPES[t],
                                 (size_t)c.k);
                assert_memory_equal(back, c.rows.data, (size_t)c.n * row);
                panel_to_row(back, c.panels.data, (size_t)c.n - 1, (size_t)c.k / 3,
                             (size_t)c.k - (size_t)c.k / 3, TYPES[t], (size_t)c.k);
                assert_memory_equal(back,
                                    (const char *)c.rows.data + ((size_t)c.n - 1) * row +
                                        (size_t)c.k / 3 * dtype_size(TYPES[t]),
                                    row - (size_t)c.k / 3 * dtype_size(TYPES[t]));
                mem_free(back);
                drop(&c);
            }
}

/* --- products --------------------------------------------------------------------------------------- */

static Tensor tensor(int rows, int cols, uint64_t seed)
{
    Tensor t = {.dtype = F32, .rows = rows, .cols = cols, .ld = cols + 3};
    t.data = numbers((size_t)rows * (size_t)t.ld, seed);
    return t;
}

static void run(Stream *on, const Tensor *x, const Param *w, const Case *c, Tensor *y, Role role)
{
    LinearArgs a = {.x = x, .w = w, .b = &c->bias, .y = y, .act = ACT_RELU, .role = role};
    assert_true(on->k->linear(on, &a));
}

static void check_sums(const Case *c, const Tensor *x, const Tensor *y)
{
    for (int r = 0; r < x->rows; r++)
        for (int o = 0; o < c->n; o++) {
            double sum = ((const float *)c->bias.data)[o], size = fabs(sum);
            for (int i = 0; i < c->k; i++) {
                double p =
                    (double)row_f32(x, r)[i] * (double)value(c->rows.data, c->rows.dtype,
                                                             (size_t)o * (size_t)c->k + (size_t)i);
                sum += p;
                size += fabs(p);
            }
            assert_true(fabs((double)row_f32(y, r)[o] - fmax(sum, 0)) <= 1e-6 * size + 1e-7);
        }
}

static void same(const Tensor *a, const Tensor *b, int rows)
{
    for (int r = 0; r < rows; r++)
        assert_memory_equal(row_f32(a, r), row_f32(b, r), sizeof(float) * (size_t)a->cols);
}

/* Decoding has the bits of many rows with weights widened; the latter those of weights in rows. */
static void check_products(Stream *on, Stream *wide, const Case *c, int m)
{
    Tensor x = tensor(m, c->k, 1), one = tensor(1, c->k, 1);
    Tensor y = tensor(m, c->n, 2), z = tensor(m, c->n, 3), alone = tensor(1, c->n, 2);
    run(on, &x, &c->rows, c, &y, ROLE_ENCODE);
    run(on, &x, &c->panels, c, &z, ROLE_ENCODE);
    same(&y, &z, m);
    run(wide, &x, &c->panels, c, &y, ROLE_ENCODE);
    run(on, &x, &c->panels, c, &z, ROLE_DECODE);
    same(&y, &z, m);
    check_sums(c, &x, &z);
    for (int r = 0; r < m; r++) {
        memcpy(one.data, row_f32(&x, r), sizeof(float) * (size_t)c->k);
        run(on, &one, &c->panels, c, &alone, ROLE_DECODE);
        assert_memory_equal(alone.data, row_f32(&z, r), sizeof(float) * (size_t)c->n);
    }
    Tensor *all[] = {&x, &one, &y, &z, &alone};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]->data);
}

static void check_isa(Device *dev, const char *isa)
{
    static const int ROWS[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, M_MAX};
    Error e = {0};
    Stream *on = dev->stream(dev, &(StreamOptions){2, isa, PREC_FAST}, &e);
    Stream *wide = dev->stream(dev, &(StreamOptions){1, isa, PREC_F32}, &e);
    assert_true(on && wide);
    for (int t = 0; t < 3; t++)
        for (int n = 0; n < COUNT(OUTS); n++)
            for (int k = 0; k < COUNT(INS); k++) {
                Case c = make(OUTS[n], INS[k], TYPES[t]);
                check_products(on, wide, &c, ROWS[(n * COUNT(INS) + k + t) % COUNT(ROWS)]);
                drop(&c);
            }
    on->close(on);
    wide->close(wide);
}

static void products(void **state)
{
    Error e = {0};
    Device *dev = cpu_device(&e);
    assert_non_null(dev);
    for (const char *const *isa = cpu_isas(); *isa; isa++)
        check_isa(dev, *isa);
    dev->close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(order), cmocka_unit_test(products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
