/* The tape: every op's gradient against finite differences; one layer run plainly, taped and
 * recomputed gives the same bits; an int8 weight goes through the same linear. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "cpu/cpu.h"
#include "models/vit.h"
#include "ops/ops.h"

enum { R = 6, D = 8, V = 11 };

static Stream *dev;
static Arena mem;
static uint64_t seed;

static Param param(int rows, int cols, float scale, float shift)
{
    size_t n = (size_t)rows * (size_t)cols;
    float *w = arena_alloc(&mem, n * 4);
    for (size_t i = 0; i < n; i++)
        w[i] = shift + scale * (float)(2 * rng_unit(++seed, i) - 1);
    return (Param){.name = "p",
                   .dtype = F32,
                   .rows = rows,
                   .cols = cols,
                   .data = w,
                   .grad = arena_calloc(&mem, n * 4)};
}

static Linear mk_linear(int in, int out)
{
    return (Linear){param(out, in, 0.6f, 0), param(1, out, 0.2f, 0)};
}

static Norm mk_norm(int d)
{
    return (Norm){param(1, d, 0.3f, 1), param(1, d, 0.2f, 0), 1e-6f};
}

/* A small network with every op in it; all its parameters are listed for the check. */
typedef struct Net {
    Param table;
    Linear a, b, q, k, v, head;
    Norm norm;
} Net;

static Net net;
static Param *const ALL[] = {&net.table, &net.a.w,    &net.a.b,    &net.b.w,    &net.b.b,
                             &net.q.w,   &net.q.b,    &net.k.w,    &net.k.b,    &net.v.w,
                             &net.v.b,   &net.head.w, &net.head.b, &net.norm.w, &net.norm.b};
static const int IDS[R] = {1, 4, 4, 0, 10, 7},
                 TARGETS[2 * R] = {3, -1, 0, 9, 2, 5, 1, 1, -1, 4, 10, 6};
static const int FROM[2 * R] = {0, 7, 2, 9, 4, 11, 6, 1, 8, 3, 10, 5};

static Tensor *net_forward(Ctx *c, void *user)
{
    bool causal = *(bool *)user;
    Tensor *x = embed(c, &net.table, IDS, R);
    Tensor *h = linear_act(c, layernorm(c, x, &net.norm), &net.a, ACT_GELU);
    Tensor *both = concat(c, columns(c, h, 0, D), x); /* [2R, D] */
    both = splice(c, rows(c, both, 0, R), rows(c, both, R, R), FROM, 2 * R);
    Attn how = {.heads = 2, .groups = 2, .causal = causal};
    Tensor *y = attention(c, linear(c, both, &net.q), linear(c, both, &net.k),
                          linear(c, both, &net.v), how);
    y = linear_add(c, activate(c, y, ACT_QUICK_GELU), &net.b, both);
    return softmax_loss(c, linear(c, y, &net.head), TARGETS);
}

static void make_net(void)
{
    net = (Net){.table = param(V, D, 1, 0),
                .a = mk_linear(D, 2 * D),
                .b = mk_linear(D, D),
                .q = mk_linear(D, D),
                .k = mk_linear(D, D),
                .v = mk_linear(D, D),
                .head = mk_linear(D, V),
                .norm = mk_norm(D)};
}

static double loss_of(Tensor *(*fn)(Ctx *, void *), void *user)
{
    Ctx c;
    ctx_init(&c, dev);
    Tensor *l = fn(&c, user);
    if (!l)
        fail_msg("%s", c.err.message);
    double v = (double)f32(l)[0];
    ctx_free(&c);
    return v;
}

static double worst_difference(Tensor *(*fn)(Ctx *, void *), void *user, Param *const *all,
                               size_t n)
{
    double worst = 0;
    const float e = 8e-3f;
    for (size_t p = 0; p < n; p++)
        for (int i = 0; i < all[p]->rows * all[p]->cols; i++) {
            float *w = (float *)(uintptr_t)all[p]->data + i, keep = *w;
            *w = keep + e;
            double up = loss_of(fn, user);
            *w = keep - e;
            double down = loss_of(fn, user);
            *w = keep;
            double fd = (up - down) / (2 * (double)e);
            double err = fabs(fd - (double)all[p]->grad[i]) / (0.05 + fabs(fd));
            worst = err > worst ? err : worst;
        }
    return worst;
}

static void test_gradients(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        bool flag = causal;
        Ctx c;
        ctx_init(&c, dev);
        c.record = true;
        make_net();
        Tensor *l = net_forward(&c, &flag);
        assert_non_null(l);
        assert_true(backward(&c, l));
        assert_int_equal(c.n_tape, 0);
        double worst = worst_difference(net_forward, &flag, ALL, sizeof ALL / sizeof *ALL);
        printf("finite differences, causal %d: worst relative error %.2e\n", causal, worst);
        assert_true(worst < 1e-2);
        ctx_free(&c);
    }
}

/* --- block: plain, taped, recomputed -------------------------------------------------------------- */

static Vit vit;
static float pixels[2 * 3 * 28 * 28];
static Linear vit_head;
static Param *vit_params[256];
static size_t n_vit_params;

static bool give(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    (void)v;
    (void)name;
    bool gamma = spec->kind == PARAM_VECTOR && spec->cols == vit.config.width;
    *p = param(spec->rows, spec->cols, 0.4f, gamma ? 0.5f : 0);
    vit_params[n_vit_params++] = p;
    return true;
}

static void make_vit(void)
{
    VitConfig k = {.width = 16,
                   .layers = 3,
                   .heads = 2,
                   .mlp = 24,
                   .image = 28,
                   .patch = 14,
                   .eps = 1e-6f,
                   .qkv_bias = true};
    Visitor v = {.param = give};
    n_vit_params = 0;
    assert_true(vit_init(&vit, &k, &mem));
    vit_visit(&v, &vit);
    vit_head = mk_linear(16, V);
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = (float)rng_normal(5, i);
}

static Tensor *vit_loss(Ctx *c, Tensor **out)
{
    static const int WANT[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    *out = vit_forward(c, &vit, pixels, 2, 28, 28);
    return softmax_loss(c, linear(c, *out, &vit_head), WANT);
}

static void run_vit(bool record, bool recompute, float *out, float *grads, size_t *peak)
{
    Ctx c;
    ctx_init(&c, dev);
    c.record = record;
    c.recompute = recompute;
    for (size_t i = 0; i < n_vit_params; i++)
        memset(vit_params[i]->grad, 0,
               4 * (size_t)vit_params[i]->rows * (size_t)vit_params[i]->cols);
    Tensor *y, *l = vit_loss(&c, &y);
    if (!l)
        fail_msg("%s", c.err.message);
    memcpy(out, f32(y), 4 * 10 * 16);
    if (record) {
        assert_true(backward(&c, l));
        for (size_t i = 0; i < n_vit_params; i++) {
            size_t n = (size_t)vit_params[i]->rows * (size_t)vit_params[i]->cols;
            memcpy(grads, vit_params[i]->grad, 4 * n);
            grads += n;
        }
    }
    *peak = c.mem.peak;
    ctx_free(&c);
}

static void test_block_same_bits(void **state)
{
    (void)state;
    static float plain[160], taped[160], again[160], g1[100000], g2[100000];
    size_t p0, p1, p2, n = 0;
    make_vit();
    for (size_t i = 0; i < n_vit_params; i++)
        n += (size_t)vit_params[i]->rows * (size_t)vit_params[i]->cols;
    assert_true(n < 100000);
    run_vit(false, false, plain, NULL, &p0);
    run_vit(true, false, taped, g1, &p1);
    run_vit(true, true, again, g2, &p2);
    assert_memory_equal(plain, taped, sizeof plain);
    assert_memory_equal(plain, again, sizeof plain);
    assert_memory_equal(g1, g2, 4 * n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)g1[i]);
    assert_true(sum > 1); /* there is something to compare */
    printf("activation peak: inference %zu, taped %zu, recomputed %zu bytes\n", p0, p1, p2);
    assert_true(p0 < p2 && p2 < p1);
}

/* --- int8 through the same linear ----------------------------------------------------------------- */

static void test_int8_linear(void **state)
{
    (void)state;
    enum { IN = 37, OUT = 19 };
    int8_t q[OUT * IN];
    float scale[OUT], wide[OUT * IN];
    for (int r = 0; r < OUT; r++) {
        scale[r] = 0.01f * (float)(r + 1);
        for (int i = 0; i < IN; i++) {
            q[r * IN + i] = (int8_t)(rng_u64(3, (uint64_t)(r * IN + i)) % 255 - 127);
            wide[r * IN + i] = scale[r] * q[r * IN + i];
        }
    }
    Linear low = {
        .w = {.name = "q", .dtype = I8, .rows = OUT, .cols = IN, .data = q, .scale = scale}};
    Linear high = {.w = {.name = "w", .dtype = F32, .rows = OUT, .cols = IN, .data = wide}};
    for (int role = 0; role < 2; role++) {
        Ctx c;
        ctx_init(&c, dev);
        c.role = (Role)role;
        Tensor *x = tensor_new(&c, R, IN);
        for (int i = 0; i < R * IN; i++)
            f32(x)[i] = (float)rng_normal(9, (uint64_t)i);
        Tensor *a = linear(&c, x, &low), *b = linear(&c, x, &high);
        assert_non_null(a);
        assert_non_null(b);
        for (int i = 0; i < R * OUT; i++)
            assert_true(fabsf(f32(a)[i] - f32(b)[i]) <= 2e-4f * (1 + fabsf(f32(b)[i])));
        ctx_free(&c);
    }
}

/* --- errors are sticky, and name both sides -------------------------------------------------------- */

static void test_errors(void **state)
{
    (void)state;
    Ctx c;
    ctx_init(&c, dev);
    make_net();
    Tensor *x = tensor_new(&c, R, D + 1);
    assert_null(layernorm(&c, linear(&c, x, &net.a), &net.norm));
    assert_string_equal(c.err.message, "p: expected an input of width 8, got 9");
    assert_null(embed(&c, &net.table, (int[]){3, V}, 2)); /* the first error stays */
    assert_string_equal(c.err.message, "p: expected an input of width 8, got 9");
    ctx_reset(&c);
    assert_null(embed(&c, &net.table, (int[]){3, V}, 2));
    assert_string_equal(c.err.message, "p: id 11: expected one of 0..10");
    ctx_free(&c);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    bool flag = true, done = false;
    for (long n = 1; !done; n++) {
        Ctx c;
        ctx_init(&c, dev);
        c.record = true;
        mem_fail_at(n);
        Tensor *l = net_forward(&c, &flag);
        bool ok = l && backward(&c, l);
        done = !mem_fail_hit();
        mem_fail_at(0);
        assert_true(ok == done);
        if (!done)
            assert_int_equal(c.err.code, ERR_MEMORY);
        ctx_free(&c);
        before = before > mem_in_use() ? before : mem_in_use(); /* device scratch may have grown */
        assert_true(n < 1000);
    }
    assert_true(mem_in_use() <= before);
}

static int setup(void **state)
{
    (void)state;
    Error e = {0};
    dev = cpu_open(&(CpuOptions){.threads = 2, .precision = PREC_F32}, &e);
    if (!dev)
        print_error("%s\n", e.message);
    return dev ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    dev->close(dev);
    arena_free(&mem);
    assert_int_equal(mem_in_use(), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),     cmocka_unit_test(test_block_same_bits),
        cmocka_unit_test(test_int8_linear),   cmocka_unit_test(test_errors),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
