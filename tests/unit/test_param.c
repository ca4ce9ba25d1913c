/* Weights: how many bytes and scales they have, what a walk says about a layer, and that a tied
 * weight is one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "models/opt.h"
#include "models/quantise.h"
#include "models/recipe.h"
#include "base/rng.h"

static void bytes_of_types(void **state)
{
    static const struct {
        DType type;
        size_t n, bytes;
    } CASES[] = {
        {F32, 3, 12},
        {BF16, 3, 6},
        {F64, 9, 72},
        {BOOL, 5, 5},
        {I8, 0, 0},
        {I4, 0, 0},
        {I4, 1, 1},
        {I4, 2, 1},
        {I4, 7, 4},
        {I4, 8, 4},
        {I4, 9, 5},
        {I4, 4097, 2049},
        {I4, SIZE_MAX, (SIZE_MAX >> 1) + 1},
        {U8, SIZE_MAX - 1, SIZE_MAX - 1},
        {F16, SIZE_MAX / 2 + 1, SIZE_MAX},
        {F64, SIZE_MAX / 8 + 1, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (dtype_bytes(CASES[i].type, CASES[i].n) != CASES[i].bytes)
            fail_msg("%zu of %s: expected %zu bytes, got %zu", CASES[i].n,
                     dtype_name(CASES[i].type), CASES[i].bytes,
                     dtype_bytes(CASES[i].type, CASES[i].n));
}

static void names_of_types(void **state)
{
    DType t;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        assert_true(dtype_from_name(dtype_name((DType)i), &t));
        assert_int_equal(t, i);
    }
    assert_string_equal(dtype_name(I4), "I4");
    assert_false(dtype_from_name("I5", &t));
    assert_false(dtype_is_float(I4));
}

static void scales_of_a_weight(void **state)
{
    Param p = {.dtype = F32, .rows = 3, .cols = 70};
    assert_int_equal(param_scales(&p), 0);
    assert_int_equal(param_bytes(&p), 840);
    p.dtype = I8;
    assert_int_equal(param_scales(&p), 3);
    assert_int_equal(param_bytes(&p), 210 + 12);
    p.block = 32; /* the last block of a row has 6 */
    assert_int_equal(param_scales(&p), 9);
    p.block = 35;
    assert_int_equal(param_scales(&p), 6);
    p = (Param){.dtype = I4, .layout = LAYOUT_PANEL, .rows = 33, .cols = 70};
    assert_int_equal(param_scales(&p), 0); /* they are among the values */
    assert_int_equal(param_bytes(&p), 2 * 3 * 576);
}

/* --- walks ------------------------------------------------------------------------------------ */

/* A walk that gives every parameter random values, and some of them a gradient. */
typedef struct Giver {
    Visitor base;
    Arena *mem;
    const char *trained; /* those with this in their name; "": all; NULL: none */
    const char *stop;    /* ends the walk here */
} Giver;

static bool give(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Giver *g = (Giver *)v;
    if (g->stop && strcmp(name, g->stop) == 0)
        return false;
    if (spec->optional)
        return true;
    size_t n = (size_t)spec->rows * (size_t)spec->cols;
    float *w = arena_alloc(g->mem, 4 * n);
    for (size_t i = 0; i < n; i++)
        w[i] = 0.5f * (float)rng_normal(strlen(name) + n, i);
    *p = (Param){.name = "p", .dtype = F32, .rows = spec->rows, .cols = spec->cols, .data = w};
    if (g->trained && strstr(name, g->trained))
        p->grad = arena_calloc(g->mem, 4 * n);
    return true;
}

enum { VOCAB = 9, WIDTH = 8, LAYERS = 2 };

static void make_opt(Opt *m, Arena *mem)
{
    static const OptConfig SMALL = {
        .vocab = VOCAB, .width = WIDTH, .layers = LAYERS, .heads = 2, .mlp = 12, .positions = 8};
    assert_true(opt_init(m, &SMALL, mem));
}

static void blocks_know_whether_they_train(void **state)
{
    Arena mem = {0};
    Opt m;
    make_opt(&m, &mem);
    Giver g = {.base.param = give, .mem = &mem};
    opt_visit(&g.base, &m);
    assert_false(m.layer[0].base.trainable || m.layer[1].base.trainable);
    g.trained = "layers.1.fc2.bias";
    opt_visit(&g.base, &m);
    assert_false(m.layer[0].base.trainable);
    assert_true(m.layer[1].base.trainable);
    g.trained = "embed_tokens"; /* outside of the layers */
    opt_visit(&g.base, &m);
    assert_false(m.layer[0].base.trainable || m.layer[1].base.trainable);
    g.trained = "";
    opt_visit(&g.base, &m);
    assert_true(m.layer[0].base.trainable && m.layer[1].base.trainable);
    g.trained = NULL;
    g.stop = "language_model.model.decoder.layers.1.fc1.weight";
    opt_visit(&g.base, &m); /* ends inside layer 1: what was known of it stands */
    assert_false(m.layer[0].base.trainable);
    assert_true(m.layer[1].base.trainable);
    arena_free(&mem);
}

/* --- the tied head ---------------------------------------------------------------------------- */

static const int IDS[] = {1, 4, 4, 7}, TARGETS[] = {4, 4, 7, 2}, POSITIONS[] = {0, 1, 2, 3};

static Tensor *loss_of(Ctx *c, const Opt *m)
{
    Tensor *x = opt_forward(c, m, embed(c, &m->tokens, IDS, 4), POSITIONS, NULL, 1);
    return softmax_loss(c, opt_logits(c, m, x), TARGETS);
}

static double loss_value(Stream *on, const Opt *m)
{
    Ctx c;
    ctx_init(&c, on);
    float v;
    assert_true(tensor_download(&c, &v, loss_of(&c, m)));
    ctx_free(&c);
    return (double)v;
}

static double difference(Stream *on, const Opt *m, float *w)
{
    const float h = 4e-3f, old = *w;
    *w = old + h;
    double up = loss_value(on, m);
    *w = old - h;
    double down = loss_value(on, m);
    *w = old;
    return (up - down) / (2 * (double)h);
}

/* A tied weight is looked up and multiplied with: its one gradient is the sum of both. */
static void tied_head_has_one_gradient(void **state)
{
    Error e = {0};
    Device *dev = cpu_device(&e);
    Stream *on = dev->stream(dev, &(StreamOptions){.threads = 1, .precision = PREC_F32}, &e);
    Arena mem = {0};
    Opt m;
    Ctx c;
    assert_non_null(on);
    make_opt(&m, &mem);
    opt_visit(&(Giver){.base.param = give, .mem = &mem, .trained = "embed_tokens"}.base, &m);
    assert_ptr_equal(opt_head(&m), &m.tokens);
    ctx_init(&c, on);
    c.record = true;
    assert_true(backward(&c, loss_of(&c, &m)));
    ctx_free(&c);
    for (int i = 0; i < VOCAB * WIDTH; i++) {
        double want = difference(on, &m, (float *)(uintptr_t)m.tokens.data + i);
        if (fabs(want - (double)m.tokens.grad[i]) > 1e-2 * (0.05 + fabs(want)))
            fail_msg("weight %d: expected the gradient %g, got %g", i, want,
                     (double)m.tokens.grad[i]);
    }
    arena_free(&mem);
    on->close(on);
    dev->close(dev);
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* Rows 3 and 4 of one tensor, a row of zeros, row 0 of another. */
static void pieces_of_tensors(void **state)
{
    float a[10], b[4] = {100, 101, 102, 103}, out[8], row[2];
    for (int i = 0; i < 10; i++)
        a[i] = (float)(i + 1);
    CkptTensor ta = {.data = a}, tb = {.data = b};
    Recipe r = {.piece = {{&ta, 3, 0, 2}, {NULL, 0, 2, 1}, {&tb, 0, 3, 1}},
                .n = 3,
                .dtype = F32,
                .width = 2};
    static const float WANT[] = {7, 8, 9, 10, 0, 0, 100, 101};
    assert_null(recipe_in_place(&r));
    memset(out, 1, sizeof out);
    recipe_copy(&r, out);
    assert_memory_equal(out, WANT, sizeof WANT);
    for (size_t i = 0; i < 4; i++) {
        recipe_floats(&r, row, i, 1);
        assert_memory_equal(row, WANT + 2 * i, sizeof row);
    }
    memset(out, 1, sizeof out);
    recipe_floats(&r, out, 1, 3);
    assert_memory_equal(out, WANT + 2, 6 * sizeof *out);
    r.n = 1;
    assert_ptr_equal(recipe_in_place(&r), a + 6);
    ta.data = (const char *)a + 2; /* kernels read it only where each number is aligned */
    assert_null(recipe_in_place(&r));
    r.dtype = F16;
    assert_ptr_equal(recipe_in_place(&r), (const char *)a + 14);
}

/* --- int8 ------------------------------------------------------------------------------------- */

static void one_row_as_int8(void **state)
{
    static const struct {
        float w[4], scale; /* scale: 0 or what the largest is 127 times of */
        int8_t q[4];
    } ROWS[] = {{{0.5f, -1, 0.25f, 0}, 1 / 127.0f, {64, -127, 32, 0}},
                {{-254, 253, 1, 3}, 2, {-127, 126, 0, 2}}, /* ties to even */
                {{0, 0, 0, 0}, 0, {0}},
                {{1e-40f, -1e-40f, 0, 0}, 0, {0}}, /* too small to divide by */
                {{3, NAN, 1, 0}, NAN, {0}},
                {{INFINITY, 1, 1, 1}, NAN, {0}},
                {{1, -INFINITY, 1, 1}, NAN, {0}}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        int8_t q[4];
        float scale = 7;
        quantise_row(q, &scale, ROWS[i].w, 4);
        if (isnan(ROWS[i].scale))
            assert_true(isnan(scale));
        else
            assert_true(fabsf(scale - ROWS[i].scale) <= 1e-6f * ROWS[i].scale);
        assert_memory_equal(q, ROWS[i].q, sizeof q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_types),
        cmocka_unit_test(names_of_types),
        cmocka_unit_test(scales_of_a_weight),
        cmocka_unit_test(blocks_know_whether_they_train),
        cmocka_unit_test(tied_head_has_one_gradient),
        cmocka_unit_test(pieces_of_tensors),
        cmocka_unit_test(one_row_as_int8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
