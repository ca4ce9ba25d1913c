/* The tape: every op's gradient against finite differences; one layer run plainly, taped and
 * recomputed gives the same bits; what block() may overwrite; an int8 weight goes through the same
 * linear; what ops refuse. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/rng.h"
#include "cpu/cpu.h"
#include "models/vit.h"
#include "ops/ops.h"

enum { R = 6, D = 8, V = 11 };

static Device *dev;
static Stream *on;
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

static void read_back(Ctx *c, float *to, const Tensor *t)
{
    if (!tensor_download(c, to, t))
        fail_msg("%s", c->err.message);
}

/* n normal values, rows x cols of them as a tensor. */
static Tensor *normal(Ctx *c, int rows, int cols, uint64_t of)
{
    static float v[4096];
    assert_true(rows * cols <= 4096);
    for (int i = 0; i < rows * cols; i++)
        v[i] = (float)rng_normal(of, (uint64_t)i);
    return tensor_upload(c, v, rows, cols);
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
static const int SMALL[R] = {3, -1, 0, 7, 2, 5}; /* targets for D columns */
static const int FROM[2 * R] = {0, 7, 2, 9, 4, 11, 6, 1, 8, 3, 10, 5};

static Tensor *net_forward(Ctx *c, void *user)
{
    bool causal = *(bool *)user;
    Tensor *x = embed(c, &net.table, IDS, R);
    Tensor *h = linear_act(c, layernorm(c, x, &net.norm), &net.a, ACT_GELU);
    Tensor *grid = resize_grid(c, rows(c, x, 0, 5), 2, 1, 2, false);
    Tensor *parts[] = {columns(c, h, 0, D), grid, rows(c, x, 3, 3)};
    Tensor *both = concat(c, parts, 3); /* [2R, D] */
    both = gather_rows(c, rows(c, both, 0, R), rows(c, both, R, R), FROM, 2 * R);
    Attn how = {.heads = 2, .groups = 2, .causal = causal};
    Tensor *y = attention(c, linear(c, both, &net.q), linear(c, both, &net.k),
                          linear(c, both, &net.v), how);
    y = linear_add(c, activate(c, y, ACT_QUICK_GELU), &net.b, both);
    return softmax_loss(c, add(c, linear(c, y, &net.head), head(c, y, &net.table)), TARGETS);
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
    ctx_init(&c, on);
    Tensor *l = fn(&c, user);
    if (!l)
        fail_msg("%s", c.err.message);
    float v;
    read_back(&c, &v, l);
    ctx_free(&c);
    return (double)v;
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
        ctx_init(&c, on);
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

/* The same of norms without a mean, products by element, factors, means of rows, a grid by its corners. */
typedef struct Net2 {
    Param table, other;
    Rms rms;
    Linear head;
} Net2;

static Net2 net2;
static Param *const ALL2[] = {&net2.table, &net2.other, &net2.rms.w, &net2.head.w, &net2.head.b};

static Tensor *net2_forward(Ctx *c, void *user)
{
    (void)user;
    static const int ALL_IDS[V] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const int WANT[5] = {3, 0, 7, -1, 2};
    Tensor *x = embed(c, &net2.table, ALL_IDS, V);
    Tensor *grid = resize_grid(c, rows(c, x, 0, 10), 3, 3, 3, true); /* as it is */
    Tensor *small = resize_grid(c, rows(c, x, 0, 10), 3, 2, 2, true);
    Tensor *y = multiply(c, rmsnorm(c, grid, &net2.rms), embed(c, &net2.other, ALL_IDS, 10));
    y = add(c, scale(c, mean_rows(c, y, 2), 0.7f), multiply(c, small, small));
    return softmax_loss(c, linear(c, l2norm(c, y), &net2.head), WANT);
}

/* Attention over groups of different lengths, and over equal ones, with a bias that a table holds. */
typedef struct Net3 {
    Param table, distances;
    Linear q, k, v, head;
} Net3;

static Net3 net3;
static Param *const ALL3[] = {&net3.table, &net3.distances, &net3.q.w, &net3.q.b,    &net3.k.w,
                              &net3.k.b,   &net3.v.w,       &net3.v.b, &net3.head.w, &net3.head.b};

static Tensor *net3_forward(Ctx *c, void *user)
{
    (void)user;
    static const AttnSpan SPANS[] = {{0, 2, 0, 3}, {2, 4, 3, 5}, {6, 3, 0, 3}};
    static const int ROWS[9] = {1, 4, 4, 0, 10, 7, 2, 2, 9}, KEYS[8] = {3, 1, 4, 1, 5, 9, 2, 6};
    static const int BUCKETS[9] = {3, 3, 2, 1, 0, 1, 2, 3, 3};
    static const int WANT[9] = {1, 2, 3, 3, 0, 7, -1, 2, 1};
    Spans *spans = arena_alloc(&c->mem, sizeof *spans); /* until the backward */
    *spans = spans_upload(c, SPANS, 3);
    Tensor *x = embed(c, &net3.table, ROWS, 9), *y = embed(c, &net3.table, KEYS, 8);
    Tensor *bias = embed(c, &net3.distances, BUCKETS, 9);
    Attn how = {.heads = 2, .spans = spans, .bias = bias, .scale = 0.8f};
    Tensor *k = linear(c, y, &net3.k), *v = linear(c, y, &net3.v);
    Tensor *h = add(c, x, attention(c, linear(c, x, &net3.q), k, v, how));
    how = (Attn){.heads = 2, .groups = 3, .bias = bias, .causal = true};
    h = add(c, h, attention(c, linear(c, h, &net3.q), linear(c, x, &net3.k), h, how));
    return softmax_loss(c, linear(c, h, &net3.head), WANT);
}

static void check_gradients(const char *isa, Tensor *(*fn)(Ctx *, void *), Param *const *all,
                            size_t n)
{
    Ctx c;
    ctx_init(&c, on);
    c.record = true;
    Tensor *l = fn(&c, NULL);
    if (!l)
        fail_msg("%s", c.err.message);
    assert_true(backward(&c, l));
    double worst = worst_difference(fn, NULL, all, n);
    printf("%s: finite differences, further ops: worst relative error %.2e\n", isa, worst);
    assert_true(worst < 1e-2);
    ctx_free(&c);
}

static void test_more_gradients(void **state)
{
    (void)state;
    for (const char *const *isa = cpu_isas(); *isa; isa++) {
        Error e = {0};
        Stream *best = on;
        on = dev->stream(dev, &(StreamOptions){.threads = 2, .isa = *isa}, &e);
        net2 = (Net2){.table = param(V, D, 1, 0),
                      .other = param(V, D, 1, 0),
                      .rms = {param(1, D, 0.3f, 1), 1e-6f},
                      .head = mk_linear(D, V)};
        net3 = (Net3){.table = param(V, D, 1, 0),
                      .distances = param(4, 2, 1, 0),
                      .q = mk_linear(D, D),
                      .k = mk_linear(D, D),
                      .v = mk_linear(D, D),
                      .head = mk_linear(D, V)};
        check_gradients(*isa, net2_forward, ALL2, sizeof ALL2 / sizeof *ALL2);
        check_gradients(*isa, net3_forward, ALL3, sizeof ALL3 / sizeof *ALL3);
        on->close(on);
        on = best;
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
                   .post_eps = 1e-6f,
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
    *out = vit_forward(c, &vit, tensor_upload(c, pixels, 2, 3 * 28 * 28), 28, 28);
    return softmax_loss(c, linear(c, *out, &vit_head), WANT);
}

typedef struct Peak {
    size_t forward, all; /* bytes of device memory */
} Peak;

static void run_vit(bool record, bool recompute, float *out, float *grads, Peak *peak)
{
    Ctx c;
    ctx_init(&c, on);
    c.record = record;
    c.recompute = recompute;
    for (size_t i = 0; i < n_vit_params; i++)
        memset(vit_params[i]->grad, 0,
               4 * (size_t)vit_params[i]->rows * (size_t)vit_params[i]->cols);
    Tensor *y, *l = vit_loss(&c, &y);
    if (!l)
        fail_msg("%s", c.err.message);
    peak->forward = c.data.peak;
    read_back(&c, out, y);
    if (record) {
        assert_true(backward(&c, l));
        for (size_t i = 0; i < n_vit_params; i++) {
            size_t n = (size_t)vit_params[i]->rows * (size_t)vit_params[i]->cols;
            memcpy(grads, vit_params[i]->grad, 4 * n);
            grads += n;
        }
    }
    peak->all = c.data.peak;
    ctx_free(&c);
}

static void test_block_same_bits(void **state)
{
    (void)state;
    static float plain[160], taped[160], again[160], g1[100000], g2[100000];
    Peak p0, p1, p2;
    size_t n = 0;
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
    printf("device memory: inference %zu, taped %zu then %zu, recomputed %zu then %zu bytes\n",
           p0.all, p1.forward, p1.all, p2.forward, p2.all);
    assert_true(p0.all < p2.all && p2.all < p1.all && p2.forward < p1.forward);
    assert_true(p1.forward <
                3 * (p1.all - p1.forward)); /* gradients have no memory in the forward */
}

/* A gradient reaches the position table also where it is resized. */
static Tensor *resized_loss(Ctx *c, void *user)
{
    static const int WANT[7] = {1, 2, 3, 4, 5, 6, 7};
    Tensor *px = tensor_upload(c, user, 1, 3 * 42 * 28);
    Tensor *y = vit_forward(c, &vit, px, 42, 28);
    return softmax_loss(c, linear(c, y, &vit_head), WANT);
}

static void test_resized_positions(void **state)
{
    (void)state;
    Param *const table[] = {&vit.pos};
    Ctx c;
    make_vit();
    ctx_init(&c, on);
    c.record = true;
    Tensor *l = resized_loss(&c, pixels);
    assert_true(backward(&c, l));
    double worst = worst_difference(resized_loss, pixels, table, 1), sum = 0;
    printf("finite differences, resized positions: worst relative error %.2e\n", worst);
    assert_true(worst < 1e-2);
    for (int i = 0; i < 5 * 16; i++)
        sum += fabs((double)vit.pos.grad[i]);
    assert_true(sum > 0.1);
    ctx_free(&c);
}

typedef struct Embeddings {
    float x[5 * 16];
    int rows;
} Embeddings;

static void note_embeddings(void *user, const char *name, const Tensor *t)
{
    Embeddings *to = user;
    Ctx c;
    if (strcmp(name, "vision.embeddings") != 0)
        return;
    assert_true(t->rows <= 5 && t->cols == 16);
    ctx_init(&c, on);
    read_back(&c, to->x, t);
    to->rows = t->rows;
    ctx_free(&c);
}

/* Other shapes are other grids, also with as many patches or as many rows. The table, 2x2, differs from
 * row to row alone, 100 and 200: where two rows stay they are those, and one row in their place lies
 * half way, both having the same weight there. */
static void test_other_shapes(void **state)
{
    (void)state;
    static const struct {
        int h, w, patches;
        float want[4];
    } shapes[] = {
        {14, 56, 4, {150, 150, 150, 150}}, {28, 14, 2, {100, 200}}, {14, 28, 2, {150, 150}}};
    static const float black[3 * 14 * 56];
    static float table[5 * 16];
    make_vit();
    for (int i = 0; i < 5 * 16; i++)
        table[i] = (float)(i % 16 + 100 * ((i / 16 + 1) / 2));
    vit.pos.data = table;
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        int h = shapes[k].h, w = shapes[k].w;
        Embeddings got;
        Ctx c;
        ctx_init(&c, on);
        c.tap = note_embeddings;
        c.tap_user = &got;
        assert_non_null(vit_forward(&c, &vit, tensor_upload(&c, black, 1, 3 * h * w), h, w));
        assert_int_equal(got.rows, 1 + shapes[k].patches);
        for (int i = 16; i < 16 * got.rows; i++) {
            double bias = (double)((const float *)vit.patch.b.data)[i % 16];
            double want = bias + i % 16 + (double)shapes[k].want[i / 16 - 1];
            assert_true(fabs((double)got.x[i] - want) < 1e-4);
        }
        ctx_free(&c);
    }
}

/* --- block: another tensor that the layer reads, the role, the memory ------------------------------ */

typedef struct Cross {
    Block base;
    Linear own, other;
} Cross;

static Tensor *cross_layer(Ctx *c, const Block *base, Tensor *x, void *aux)
{
    const Cross *l = (const Cross *)base;
    return linear_add(c, linear_act(c, x, &l->own, ACT_GELU), &l->other, rows(c, aux, 1, R));
}

static const int SOURCE[R + 1] = {3, 1, 4, 1, 5, 9, 2};

static Cross mk_cross(bool frozen)
{
    Cross l = {{!frozen}, mk_linear(D, D), mk_linear(D, D)};
    if (frozen)
        l.own.w.grad = l.own.b.grad = l.other.w.grad = l.other.b.grad = NULL;
    return l;
}

/* Gradients of the source's table, behind two such layers; the role changes before the backward. */
static void run_cross(const Cross *l, Role role, bool recompute, float *grads)
{
    Ctx c;
    ctx_init(&c, on);
    ctx_begin(&c, role);
    c.record = true;
    c.recompute = recompute;
    memset(net.table.grad, 0, 4 * V * D);
    Tensor *source = embed(&c, &net.table, SOURCE, R + 1), *x = normal(&c, R, D, 17);
    for (int i = 0; i < 2; i++)
        x = block(&c, cross_layer, &l->base, x, source, source);
    Tensor *loss = softmax_loss(&c, head(&c, x, &net.head.w), TARGETS);
    c.role = ROLE_ENCODE;
    assert_true(backward(&c, loss));
    assert_int_equal(c.role, ROLE_ENCODE);
    assert_int_equal(c.depth, 0);
    assert_true(c.record && c.recompute == recompute);
    memcpy(grads, net.table.grad, 4 * V * D);
    ctx_free(&c);
}

static void test_block_with(void **state)
{
    (void)state;
    static float plain[V * D], again[V * D];
    for (int frozen = 0; frozen < 2; frozen++)
        for (int role = 0; role < 2; role++) {
            make_net();
            Cross l = mk_cross(frozen);
            run_cross(&l, (Role)role, false, plain);
            run_cross(&l, (Role)role, true, again);
            assert_memory_equal(plain, again, sizeof plain);
            double sum = 0;
            for (int i = 0; i < V * D; i++)
                sum += fabs((double)plain[i]);
            assert_true(sum > 0.1);
        }
}

/* What a layer reads beside x without saying so cannot get a gradient: a bug, not a wrong number. */
static void test_block_undeclared(void **state)
{
    (void)state;
    make_net();
    Cross l = mk_cross(false);
    pid_t child = fork();
    if (child == 0) {
        Ctx c;
        fclose(stderr);
        signal(SIGABRT, SIG_DFL);
        ctx_init(&c, on);
        c.record = c.recompute = true;
        Tensor *source = embed(&c, &net.table, SOURCE, R + 1), *x = normal(&c, R, D, 17);
        x = block(&c, cross_layer, &l.base, x, NULL, source);
        backward(&c, softmax_loss(&c, x, SMALL));
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static Tensor *twice_layer(Ctx *c, const Block *base, Tensor *x, void *aux)
{
    (void)base;
    (void)aux;
    return add(c, x, x);
}

/* In inference a block's result takes the place of its input, unless somebody looks at that. */
static void test_block_memory(void **state)
{
    (void)state;
    static const Block layer;
    float was[D], now[D];
    Ctx c;
    ctx_init(&c, on);
    Tensor *x = normal(&c, R, D, 3);
    Tensor *a = block(&c, twice_layer, &layer, x, NULL, NULL);
    assert_true(a != x); /* x is the caller's */
    Tensor *b = block(&c, twice_layer, &layer, a, NULL, NULL);
    assert_ptr_equal(a, b);
    Tensor *look = rows(&c, b, 2, 1);
    read_back(&c, was, look);
    Tensor *d = block(&c, twice_layer, &layer, b, NULL, NULL);
    assert_true(d != b);
    read_back(&c, now, look);
    assert_memory_equal(was, now, sizeof was);
    ctx_free(&c);
}

static Tensor *nested_layer(Ctx *c, const Block *base, Tensor *x, void *aux)
{
    return add(c, x, block(c, twice_layer, base, x, NULL, aux));
}

/* Nor does a block within a layer overwrite what the layer still needs. */
static void test_block_nested(void **state)
{
    (void)state;
    static const Block layer;
    static const float one[3] = {1, 2, -3};
    float got[3];
    Ctx c;
    ctx_init(&c, on);
    Tensor *x = block(&c, twice_layer, &layer, tensor_upload(&c, one, 1, 3), NULL, NULL);
    Tensor *y = block(&c, nested_layer, &layer, x, NULL, NULL);
    assert_ptr_equal(x, y); /* x was there to be overwritten, by the outer one */
    read_back(&c, got, y);
    for (int i = 0; i < 3; i++)
        assert_true(got[i] == 6 * one[i]);
    ctx_free(&c);
}

/* The same of an input that a node on the tape keeps. */
static void test_block_taped_input(void **state)
{
    (void)state;
    static const Block frozen;
    Ctx c;
    make_net();
    ctx_init(&c, on);
    c.record = true;
    Tensor *x = block(&c, twice_layer, &frozen, normal(&c, R, D, 3), NULL, NULL);
    Tensor *y = linear(&c, x, &net.a);
    Tensor *z = block(&c, twice_layer, &frozen, x, NULL, NULL);
    assert_true(y && z != x);
    ctx_free(&c);
}

/* --- gradients are made where they are needed ------------------------------------------------------ */

static void test_lazy_gradients(void **state)
{
    (void)state;
    static const float zero[D * D];
    float dx[R * D];
    Ctx c;
    make_net();
    ctx_init(&c, on);
    c.record = true;
    Tensor *x = normal(&c, R, D, 4);
    x->flags |= T_GRAD;
    size_t before = c.data.used;
    Tensor *aside = linear(&c, x, &net.q), *y = linear(&c, columns(&c, x, 0, D), &net.k);
    Tensor *loss = softmax_loss(&c, y, SMALL);
    assert_true(c.data.used - before <= 4 * (3 * R * D) + 3 * 64 + 4 * R + 64);
    assert_null(y->grad);
    assert_true(backward(&c, loss));
    assert_null(aside->grad); /* reaches no loss: its node was skipped */
    assert_memory_equal(net.q.w.grad, zero, sizeof zero);
    read_back(&c, dx, tensor_at(&c, x->grad, R, D)); /* through the view */
    double sum = 0;
    for (int i = 0; i < R * D; i++)
        sum += fabs((double)dx[i]);
    assert_true(sum > 0.01);
    ctx_free(&c);
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
        ctx_init(&c, on);
        c.role = (Role)role;
        float a[R * OUT], b[R * OUT];
        Tensor *x = normal(&c, R, IN, 9);
        read_back(&c, a, linear(&c, x, &low));
        read_back(&c, b, linear(&c, x, &high));
        for (int i = 0; i < R * OUT; i++)
            assert_true(fabsf(a[i] - b[i]) <= 2e-4f * (1 + fabsf(b[i])));
        ctx_free(&c);
    }
}

/* --- the head has one kernel ------------------------------------------------------------------------ */

static void test_head(void **state)
{
    (void)state;
    enum { IN = 300, OUT = 50 };
    float many[R * OUT], one[OUT];
    Param w = param(OUT, IN, 1, 0);
    Ctx c;
    ctx_init(&c, on);
    ctx_begin(&c, ROLE_ENCODE); /* a prompt, and its last row as a step */
    Tensor *x = normal(&c, R, IN, 6);
    read_back(&c, many, head(&c, x, &w));
    c.role = ROLE_DECODE;
    read_back(&c, one, head(&c, rows(&c, x, R - 1, 1), &w));
    assert_memory_equal(many + (R - 1) * OUT, one, sizeof one);
    ctx_free(&c);
}

/* --- Params that a kernel would misread ------------------------------------------------------------- */

typedef enum Defect { PANELS, LOW, LOW_UNSCALED, LOW_BLOCKS, NIBBLES, WIDE, ABSENT } Defect;

static Param defect(Param p, Defect d)
{
    static float scale[2 * D];
    p.layout = d == PANELS ? LAYOUT_PANEL : LAYOUT_ROWS;
    bool low = d == LOW || d == LOW_UNSCALED || d == LOW_BLOCKS;
    p.dtype = low ? I8 : d == NIBBLES ? I4 : d == WIDE ? F64 : p.dtype;
    p.scale = d == LOW || d == LOW_BLOCKS ? scale : NULL;
    p.block = d == LOW_BLOCKS ? D / 2 : 0;
    p.data = d == ABSENT ? NULL : p.data;
    return p;
}

/* The Params that the ops below read, one of them with a defect. */
typedef struct Parts {
    Linear l;
    Norm n;
    Param table;
    Rms r;
} Parts;

static Tensor *op_embed(Ctx *c, Tensor *x, const Parts *p)
{
    (void)x;
    return embed(c, &p->table, IDS, R);
}

static Tensor *op_linear(Ctx *c, Tensor *x, const Parts *p)
{
    return linear(c, x, &p->l);
}

static Tensor *op_linear_act(Ctx *c, Tensor *x, const Parts *p)
{
    return linear_act(c, x, &p->l, ACT_RELU);
}

static Tensor *op_linear_add(Ctx *c, Tensor *x, const Parts *p)
{
    return linear_add(c, x, &p->l, x);
}

static Tensor *op_head(Ctx *c, Tensor *x, const Parts *p)
{
    return head(c, x, &p->l.w);
}

static Tensor *op_layernorm(Ctx *c, Tensor *x, const Parts *p)
{
    return layernorm(c, x, &p->n);
}

static Tensor *op_rmsnorm(Ctx *c, Tensor *x, const Parts *p)
{
    return rmsnorm(c, x, &p->r);
}

enum { TABLE, WEIGHT, BIAS, GAMMA, BETA, RMS };

typedef struct Refusal {
    Tensor *(*op)(Ctx *c, Tensor *x, const Parts *p);
    int of;
    Defect defect;
    const char *message;
} Refusal;

static const Refusal refusals[] = {
    {op_embed, TABLE, PANELS, "p: layout: expected rows, got panels"},
    {op_embed, TABLE, LOW, "p: type: expected F32, F16 or BF16, got I8"},
    {op_embed, TABLE, ABSENT, "p: values: expected some, got none"},
    {op_linear, WEIGHT, PANELS, "p: layout: expected rows, got panels"},
    {op_linear, WEIGHT, LOW_UNSCALED, "p: scale: expected one factor per row, got none"},
    {op_linear, WEIGHT, LOW_BLOCKS,
     "p: scale: expected one factor per row, got one per block of it"},
    {op_linear, WEIGHT, NIBBLES, "p: layout: expected panels, got rows"},
    {op_linear, WEIGHT, WIDE, "p: type: expected F32, F16, BF16, I8 or I4, got F64"},
    {op_linear, WEIGHT, ABSENT, "p: values: expected some, got none"},
    {op_linear, BIAS, WIDE, "p: type: expected F32, got F64"},
    {op_linear_act, WEIGHT, PANELS, "p: layout: expected rows, got panels"},
    {op_linear_act, WEIGHT, LOW_UNSCALED, "p: scale: expected one factor per row, got none"},
    {op_linear_add, WEIGHT, PANELS, "p: layout: expected rows, got panels"},
    {op_linear_add, WEIGHT, LOW_UNSCALED, "p: scale: expected one factor per row, got none"},
    {op_head, WEIGHT, PANELS, "p: layout: expected rows, got panels"},
    {op_head, WEIGHT, LOW_UNSCALED, "p: scale: expected one factor per row, got none"},
    {op_head, WEIGHT, LOW_BLOCKS, "p: scale: expected one factor per row, got one per block of it"},
    {op_layernorm, GAMMA, PANELS, "p: layout: expected rows, got panels"},
    {op_layernorm, GAMMA, LOW, "p: type: expected F32, got I8"},
    {op_layernorm, BETA, PANELS, "p: layout: expected rows, got panels"},
    {op_layernorm, BETA, ABSENT, "p: values: expected some, got none"},
    {op_rmsnorm, RMS, PANELS, "p: layout: expected rows, got panels"},
    {op_rmsnorm, RMS, LOW, "p: type: expected F32, got I8"},
    {op_rmsnorm, RMS, ABSENT, "p: values: expected some, got none"},
};

static void spoil(Parts *p, const Refusal *r)
{
    Param *all[] = {&p->table, &p->l.w, &p->l.b, &p->n.w, &p->n.b, &p->r.w};
    *all[r->of] = defect(*all[r->of], r->defect);
}

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        for (int back = 0; back < 2; back++) { /* back: spoiled between forward and backward */
            const Refusal *r = &refusals[i];
            Parts p = {mk_linear(D, D), mk_norm(D), param(V, D, 1, 0), {param(1, D, 0.3f, 1), 0}};
            Ctx c;
            if (back && r->of == BIAS)
                continue;
            ctx_init(&c, on);
            /* products read panels, their gradients do not */
            c.record = back || (r->of == WEIGHT && r->defect == PANELS);
            Tensor *x = normal(&c, R, D, 8);
            if (!back)
                spoil(&p, r);
            Tensor *y = r->op(&c, x, &p);
            if (back) {
                y = softmax_loss(&c, y, SMALL);
                spoil(&p, r);
                assert_false(backward(&c, y));
            } else {
                assert_null(y);
            }
            assert_int_equal(c.err.code, ERR_BAD_MODEL);
            assert_string_equal(c.err.message, r->message);
            ctx_free(&c);
        }
}

/* What does not fit: a bias that does not reach far enough, is not odd or of other heads; causal groups with more
 * queries than keys; groups that leave a rest; shapes that differ. */
static void test_misfits(void **state)
{
    (void)state;
    static const AttnSpan SPANS[] = {{0, 4, 0, 2}, {4, 2, 2, 4}};
    static const char SAYS[] = "attention: q 6x8, k 6x8, v 6x8 do not fit 2 heads, 2 groups";
    Ctx c;
    ctx_init(&c, on);
    for (int i = 0; i < 7; i++) {
        ctx_begin(&c, ROLE_ENCODE);
        Tensor *x = normal(&c, R, D, 8);
        Spans spans = spans_upload(&c, SPANS, 2);
        Attn how = {.heads = 2, .groups = 2, .bias = normal(&c, 5, 2, 1)};
        if (i == 0)
            how.bias = normal(&c, 3, 2, 1); /* reaches 1 */
        if (i == 1)
            how.bias = normal(&c, 6, 2, 1);
        if (i == 2)
            how.bias = normal(&c, 5, 3, 1);
        if (i >= 3)
            how = (Attn){.heads = 2, .spans = &spans, .causal = i == 3};
        if (i == 4)
            how.bias = normal(&c, 5, 2, 1); /* as far as 4 queries and keys need, less 1 */
        if (i == 5)
            how.bias = normal(&c, 7, 2, 1); /* as far as that */
        Tensor *y = attention(&c, x, x, x, how);
        if (i < 5) {
            assert_null(y);
            assert_string_equal(c.err.message, SAYS);
        } else {
            assert_non_null(y);
        }
    }
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(mean_rows(&c, normal(&c, R, D, 8), 4));
    assert_string_equal(c.err.message, "mean: expected groups of 4 rows, got 6 rows");
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(multiply(&c, normal(&c, R, D, 8), normal(&c, R, D + 1, 8)));
    assert_string_equal(c.err.message, "multiply: expected two equal shapes, got 6x8 and 6x9");
    ctx_free(&c);
}

/* A cache of another type is refused until kernels can read it. */
static void test_cache_type(void **state)
{
    (void)state;
    CacheRows cache = {.k = {.dtype = F32}, .v = {.dtype = BF16}};
    Ctx c;
    ctx_init(&c, on);
    Tensor *x = normal(&c, R, D, 8);
    assert_null(attention(&c, x, x, x, (Attn){.heads = 2, .groups = 1, .cache = &cache}));
    assert_string_equal(c.err.message, "key/value cache: type: expected F32, got BF16");
    ctx_free(&c);
}

/* --- errors are sticky, and name both sides -------------------------------------------------------- */

static void test_errors(void **state)
{
    (void)state;
    Ctx c;
    ctx_init(&c, on);
    make_net();
    Tensor *x = tensor_new(&c, R, D + 1);
    assert_null(layernorm(&c, linear(&c, x, &net.a), &net.norm));
    assert_string_equal(c.err.message, "p: expected an input of width 8, got 9");
    assert_null(embed(&c, &net.table, (int[]){3, V}, 2)); /* the first error stays */
    assert_string_equal(c.err.message, "p: expected an input of width 8, got 9");
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(embed(&c, &net.table, (int[]){3, V}, 2));
    assert_string_equal(c.err.message, "p: id 11: expected one of 0..10");
    ctx_begin(&c, ROLE_ENCODE);
    x = normal(&c, R, D, 1);
    assert_null(gather_rows(&c, x, NULL, (int[]){0, R}, 2));
    assert_string_equal(c.err.message, "gather_rows: row 6: expected one of 0..5");
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(resize_grid(&c, normal(&c, R, D, 1), 2, 3, 3, false));
    assert_string_equal(c.err.message, "positions: expected 1 + 2x2 rows, got 6");
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(unfold(&c, normal(&c, 1, 3 * 28 * 28, 1), 28, 42, 14));
    assert_string_equal(c.err.message, "pixels: expected rows of 3x28x42, got 2352");
    static const int SIDE[][2] = {{28, 27}, {1 << 16, 1 << 16}, {INT_MAX, INT_MAX}};
    for (int i = 0; i < 3; i++) { /* the last two: 3 * h * w is no int */
        char want[128];
        snprintf(want, sizeof want, "pixels: expected rows of 3x%dx%d, got 2352", SIDE[i][0],
                 SIDE[i][1]);
        ctx_begin(&c, ROLE_ENCODE);
        assert_null(unfold(&c, normal(&c, 1, 2352, 1), SIDE[i][0], SIDE[i][1], 1));
        assert_string_equal(c.err.message, want);
    }
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(unfold(&c, &(Tensor){.rows = INT_MAX, .cols = 12, .ld = 12}, 2, 2, 1));
    assert_string_equal(c.err.message, "pixels: expected fewer patches than 2147483647 x 2x2");
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(resize_grid(&c, normal(&c, 5, D, 1), 2, 1 << 16, 1 << 16, false));
    assert_string_equal(c.err.message, "positions: expected a grid that fits, got 65536x65536");
    ctx_begin(&c, ROLE_ENCODE);
    assert_null(resize_grid(&c, normal(&c, 1, D, 1), 1 << 16, 2, 2, false));
    assert_string_equal(c.err.message, "positions: expected 1 + 65536x65536 rows, got 1");
    ctx_free(&c);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    bool flag = true, done = false;
    for (long n = 1; !done; n++) {
        Ctx c;
        ctx_init(&c, on);
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
    dev = cpu_device(&e);
    on = dev ? dev->stream(dev, &(StreamOptions){.threads = 2}, &e) : NULL;
    if (!on)
        print_error("%s\n", e.message);
    return on ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    on->close(on);
    dev->close(dev);
    arena_free(&mem);
    assert_int_equal(mem_in_use(), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_more_gradients),
        cmocka_unit_test(test_block_same_bits),
        cmocka_unit_test(test_resized_positions),
        cmocka_unit_test(test_other_shapes),
        cmocka_unit_test(test_block_with),
        cmocka_unit_test(test_block_undeclared),
        cmocka_unit_test(test_block_memory),
        cmocka_unit_test(test_block_nested),
        cmocka_unit_test(test_block_taped_input),
        cmocka_unit_test(test_lazy_gradients),
        cmocka_unit_test(test_int8_linear),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_cache_type),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
