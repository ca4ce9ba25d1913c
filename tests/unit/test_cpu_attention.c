/* Attention kernels of every set that runs here, against softmax(q k^T * scale) v in double. */
#include "cpu_bench.h"
#include "base/mem.h"

typedef struct Case {
    int heads, hd, groups, nq, nk;
    bool causal;
    int pad; /* columns between the rows of all four matrices */
} Case;

static const Case cases[] = {
    {16, 88, 1, 257, 257, false, 0},                                 /* ViT-g */
    {16, 88, 2, 30, 30, false, 176}, {12, 64, 1, 32, 257, false, 0}, /* Q-Former */
    {12, 64, 3, 33, 41, false, 5},   {32, 80, 1, 41, 41, true, 160}, /* OPT prompt */
    {2, 128, 1, 20, 700, false, 1},  {2, 8, 3, 5, 7, false, 3},      {3, 10, 2, 9, 9, true, 0},
    {2, 12, 2, 3, 40, true, 7},      {4, 32, 2, 60, 65, true, 1},    {1, 1, 1, 1, 1, true, 0},
    {1, 100, 2, 1, 33, false, 0},    {5, 17, 1, 64, 31, false, 2},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

typedef struct Setup {
    Tensor q, k, v, out;
    AttentionArgs args;
} Setup;

static void setup(Setup *s, const Case *c)
{
    int width = c->heads * c->hd;
    s->q = matrix(c->groups * c->nq, width, c->pad, false);
    s->k = matrix(c->groups * c->nk, width, c->pad, false);
    s->v = matrix(c->groups * c->nk, width, c->pad, false);
    s->out = matrix(c->groups * c->nq, width, c->pad, false);
    s->args = (AttentionArgs){.q = &s->q,
                              .k = &s->k,
                              .v = &s->v,
                              .out = &s->out,
                              .heads = c->heads,
                              .groups = c->groups,
                              .scale = 1 / sqrtf((float)c->hd),
                              .causal = c->causal};
}

static void setup_free(Setup *s)
{
    matrix_free(&s->q);
    matrix_free(&s->k);
    matrix_free(&s->v);
    matrix_free(&s->out);
}

static double dot64(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* What is added to the score of key j: rows of a bias from `at` on, a column of them; NULL: nothing. */
typedef struct Added {
    const Tensor *bias;
    int at, column;
} Added;

static double added(const Added *a, int j)
{
    return a->bias ? (double)row_f32(a->bias, a->at + j)[a->column] : 0;
}

/* One row of one head: the keys k[j], values v[j], j < n, given by their rows. */
static void attend64(double *out, const float *q, const float **k, const float **v, int n, int hd,
                     double scale, const Added *bias)
{
    double *p = malloc((size_t)n * sizeof(double)), max = -INFINITY, sum = 0;
    for (int j = 0; j < n; j++) {
        p[j] = scale * dot64(q, k[j], hd) + added(bias, j);
        max = fmax(max, p[j]);
    }
    for (int j = 0; j < n; j++)
        sum += p[j] = exp(p[j] - max);
    for (int i = 0; i < hd; i++) {
        out[i] = 0;
        for (int j = 0; j < n; j++)
            out[i] += p[j] / sum * v[j][i];
    }
    free(p);
}

static AttnSpan span64(const AttentionArgs *a, int group)
{
    int nq = a->q->rows / a->groups, nk = a->k->rows / a->groups;
    return a->span ? a->span[group] : (AttnSpan){group * nq, nq, group * nk, nk};
}

static void group64(double *out, const AttentionArgs *a, const AttnSpan *s, int h)
{
    int hd = a->q->cols / a->heads;
    const float **k = malloc((size_t)s->nk * sizeof(*k)), **v = malloc((size_t)s->nk * sizeof(*v));
    for (int j = 0; j < s->nk; j++) {
        k[j] = row_f32(a->k, s->k + j) + h * hd;
        v[j] = row_f32(a->v, s->k + j) + h * hd;
    }
    for (int i = 0; i < s->nq; i++) {
        int at = i + s->nk - s->nq, n = a->causal ? at + 1 : s->nk;
        Added bias = {a->bias, a->bias ? a->bias->rows / 2 - at : 0, h};
        attend64(out + (size_t)(s->q + i) * (size_t)a->q->cols + h * hd,
                 row_f32(a->q, s->q + i) + h * hd, k, v, n, hd, (double)a->scale, &bias);
    }
    free(k);
    free(v);
}

static double *reference(const AttentionArgs *a)
{
    double *out = malloc((size_t)a->q->rows * (size_t)a->q->cols * sizeof(double));
    for (int g = 0; g < a->groups; g++)
        for (int h = 0; h < a->heads; h++) {
            AttnSpan s = span64(a, g);
            group64(out, a, &s, h);
        }
    return out;
}

static void right_values(Stream *d)
{
    for (int i = 0; i < CASES; i++) {
        const Case *c = &cases[i];
        Setup s;
        setup(&s, c);
        double *ref = reference(&s.args);
        assert_true(d->k->attention(d, &s.args));
        char what[80];
        snprintf(what, sizeof(what), "%dx%d %d groups %dx%d%s ld +%d", c->heads, c->hd, c->groups,
                 c->nq, c->nk, c->causal ? " causal" : "", c->pad);
        /* values are of size 1, scores of size 1..5 */
        check_error(d, what, worst_error(f32(&s.out), s.out.ld, ref, s.out.rows, s.out.cols, 1),
                    2e-6);
        check_guards(&s.out);
        free(ref);
        setup_free(&s);
    }
}

/* A row's bits do not depend on threads, groups, heads or rows that are computed with it. */
static void bits_alone(Stream *d, const Setup *s, const Case *c, const float *all)
{
    int width = c->heads * c->hd;
    for (int t = 0; t < 6; t++) {
        int g = draw_below(c->groups), h = draw_below(c->heads);
        int r = c->causal ? 0 : draw_below(c->nq), n = c->causal ? c->nq : 1;
        Tensor q = part(&s->q, g * c->nq + r, n, h * c->hd, c->hd);
        Tensor k = part(&s->k, g * c->nk, c->nk, h * c->hd, c->hd);
        Tensor v = part(&s->v, g * c->nk, c->nk, h * c->hd, c->hd);
        Tensor out = part(&s->out, g * c->nq + r, n, h * c->hd, c->hd);
        AttentionArgs a = {.q = &q,
                           .k = &k,
                           .v = &v,
                           .out = &out,
                           .heads = 1,
                           .groups = 1,
                           .scale = s->args.scale,
                           .causal = c->causal};
        for (int i = 0; i < n; i++)
            memset(row_f32(&out, i), 0, (size_t)c->hd * 4);
        assert_true(d->k->attention(d, &a));
        assert_true(same_bits(f32(&s->out), s->out.ld, all, s->out.ld, s->out.rows, width));
    }
}

static void same_for_any_company(Stream *d)
{
    for (int i = 0; i < CASES; i++) {
        const Case *c = &cases[i];
        Setup s;
        setup(&s, c);
        d->threads = 1;
        assert_true(d->k->attention(d, &s.args));
        float *all = copy_of(f32(&s.out), &s.out);
        for (int threads = 2; threads <= 7; threads += d->threads > 2 ? 4 : 1) {
            memset(s.out.data, 0, (size_t)s.out.rows * (size_t)s.out.ld * 4);
            d->threads = threads;
            assert_true(d->k->attention(d, &s.args));
            assert_true(same_bits(f32(&s.out), s.out.ld, all, s.out.ld, s.out.rows, s.out.cols));
        }
        d->threads = 2;
        bits_alone(d, &s, c, all);
        free(all);
        setup_free(&s);
    }
}

/* A NaN key reaches the rows that see it, and no other. */
static void nan_is_seen(Stream *d)
{
    const Case c = {3, 10, 2, 40, 45, true, 3};
    for (int in_values = 0; in_values < 2; in_values++) {
        Setup s;
        setup(&s, &c);
        assert_true(d->k->attention(d, &s.args));
        float *clean = copy_of(f32(&s.out), &s.out);
        int key = 25; /* of group 1, head 2: seen by the queries 20.. */
        row_f32(in_values ? &s.v : &s.k, c.nk + key)[2 * c.hd + 4] = NAN;
        assert_true(d->k->attention(d, &s.args));
        for (int r = 0; r < s.out.rows; r++)
            for (int col = 0; col < s.out.cols; col++) {
                bool sees = r >= c.nq + key - 5 && col / c.hd == 2;
                float y = row_f32(&s.out, r)[col];
                if (sees && (!in_values || col % c.hd == 4))
                    assert_true(isnan(y));
                else
                    assert_memory_equal(&y, clean + r * s.out.ld + col, 4);
            }
        free(clean);
        setup_free(&s);
    }
}

/* Groups of different lengths, some of which share their keys, with and without a bias; each group's bits are
 * those that it has alone. */
static void spans(Stream *d)
{
    static const AttnSpan SPANS[] = {
        {0, 33, 0, 41}, {33, 1, 41, 1}, {34, 64, 42, 64}, {98, 7, 0, 41}, {105, 20, 106, 90}};
    enum { GROUPS = 5, HEADS = 3, HD = 20, Q = 125, K = 196, FAR = 95 };
    Case c = {HEADS, HD, 1, Q, K, false, 4};
    Tensor bias = matrix(2 * FAR + 1, HEADS, 2, false);
    for (int how = 0; how < 4; how++) {
        Setup s;
        setup(&s, &c);
        s.args.span = SPANS;
        s.args.groups = GROUPS;
        s.args.most_q = 64;
        s.args.most_k = 90;
        s.args.bias = how & 1 ? &bias : NULL;
        s.args.causal = how & 2;
        double *ref = reference(&s.args);
        float *first = NULL;
        for (d->threads = 1; d->threads <= 3; d->threads++) {
            assert_true(d->k->attention(d, &s.args));
            first = first ? first : copy_of(f32(&s.out), &s.out);
            assert_true(same_bits(f32(&s.out), s.out.ld, first, s.out.ld, Q, HEADS * HD));
        }
        d->threads = 2;
        char what[80];
        snprintf(what, sizeof(what), "spans%s%s", how & 1 ? " with bias" : "",
                 how & 2 ? " causal" : "");
        check_error(d, what, worst_error(f32(&s.out), s.out.ld, ref, Q, HEADS * HD, 1), 2e-6);
        check_guards(&s.out);
        for (int g = 0; g < GROUPS; g++) {
            AttentionArgs one = s.args;
            one.span += g;
            one.groups = 1;
            one.most_q = SPANS[g].nq;
            one.most_k = SPANS[g].nk;
            for (int i = 0; i < SPANS[g].nq; i++)
                memset(row_f32(&s.out, SPANS[g].q + i), 0, HEADS * HD * 4);
            assert_true(d->k->attention(d, &one));
        }
        assert_true(same_bits(f32(&s.out), s.out.ld, first, s.out.ld, Q, HEADS * HD));
        free(first);
        free(ref);
        setup_free(&s);
    }
    matrix_free(&bias);
}

/* The bias of more queries than keys: the first queries stand before all keys. */
static void many_queries(Stream *d)
{
    const Case c = {2, 12, 2, 70, 9, false, 3};
    Tensor bias = matrix(2 * 69 + 1, 2, 1, false);
    Setup s;
    setup(&s, &c);
    s.args.bias = &bias;
    double *ref = reference(&s.args);
    assert_true(d->k->attention(d, &s.args));
    check_error(d, "more queries than keys, bias",
                worst_error(f32(&s.out), s.out.ld, ref, 140, 24, 1), 2e-6);
    free(ref);
    matrix_free(&bias);
    setup_free(&s);
}

/* Scores of many hundreds: no overflow, the largest wins. */
static void large_scores(Stream *d)
{
    const Case c = {2, 16, 1, 20, 50, false, 0};
    Setup s;
    setup(&s, &c);
    s.args.scale = 300;
    double *ref = reference(&s.args);
    assert_true(d->k->attention(d, &s.args));
    check_error(d, "scores of size 1000", worst_error(f32(&s.out), s.out.ld, ref, 20, 32, 1), 2e-3);
    free(ref);
    setup_free(&s);
}

/* --- slots -------------------------------------------------------------------------------------- */

enum { CAPACITY = 700, MAX_ROWS = 45 };

typedef struct Slots {
    Tensor q, out, k, v;
    int slots[MAX_ROWS * CAPACITY], first[MAX_ROWS], n[MAX_ROWS]; /* lists, one after another */
    SlotAttentionArgs args;
} Slots;

/* Lists of random slots up to `longest`, or (prefill) one list of which row r sees r + 1. */
static void slots_setup(Slots *s, int rows, int heads, int hd, int longest, int pad)
{
    s->q = matrix(rows, heads * hd, pad, false);
    s->out = matrix(rows, heads * hd, pad, false);
    s->k = matrix(CAPACITY, heads * hd, 0, false);
    s->v = matrix(CAPACITY, heads * hd, 0, false);
    for (int r = 0; r < rows; r++) {
        s->n[r] = longest ? 1 + draw_below(longest) : r + 1;
        s->first[r] = r ? s->first[r - 1] + s->n[r - 1] : 0;
        for (int i = 0; i < s->n[r]; i++)
            s->slots[s->first[r] + i] = longest ? draw_below(CAPACITY) : 3 * i + 7;
    }
    s->args = (SlotAttentionArgs){.q = &s->q,
                                  .out = &s->out,
                                  .k = {F32, s->k.data},
                                  .v = {F32, s->v.data},
                                  .slots = s->slots,
                                  .first = s->first,
                                  .n = s->n,
                                  .heads = heads,
                                  .scale = 1 / sqrtf((float)hd)};
}

static void slots_free(Slots *s)
{
    matrix_free(&s->q);
    matrix_free(&s->out);
    matrix_free(&s->k);
    matrix_free(&s->v);
}

static double *slots_reference(const Slots *s)
{
    int width = s->q.cols, hd = width / s->args.heads;
    double *out = malloc((size_t)s->q.rows * (size_t)width * sizeof(double));
    const float *k[CAPACITY], *v[CAPACITY];
    for (int r = 0; r < s->q.rows; r++)
        for (int h = 0; h < s->args.heads; h++) {
            for (int j = 0; j < s->n[r]; j++) {
                k[j] = row_f32(&s->k, s->slots[s->first[r] + j]) + h * hd;
                v[j] = row_f32(&s->v, s->slots[s->first[r] + j]) + h * hd;
            }
            const Tensor *bias = s->args.bias;
            attend64(out + r * width + h * hd, row_f32(&s->q, r) + h * hd, k, v, s->n[r], hd,
                     (double)s->args.scale, &(Added){bias, bias ? bias->rows - s->n[r] : 0, h});
        }
    return out;
}

static void slots_one(Stream *d, int rows, int heads, int hd, int longest, int pad, bool biased)
{
    Slots s;
    Tensor bias = matrix(CAPACITY, heads, 1, false);
    slots_setup(&s, rows, heads, hd, longest, pad);
    s.args.bias = biased ? &bias : NULL;
    double *ref = slots_reference(&s);
    d->threads = 2;
    assert_true(d->k->attention_slots(d, &s.args));
    char what[80];
    snprintf(what, sizeof(what), "slots: %d rows, %dx%d, up to %d%s", rows, heads, hd,
             longest ? longest : rows, biased ? ", bias" : "");
    check_error(d, what, worst_error(f32(&s.out), s.out.ld, ref, rows, s.out.cols, 1), 2e-6);
    check_guards(&s.out);
    float *all = copy_of(f32(&s.out), &s.out);
    d->threads = 1;
    for (int r = 0; r < rows; r++) { /* alone, on one thread */
        Tensor q = part(&s.q, r, 1, 0, s.q.cols), out = part(&s.out, r, 1, 0, s.out.cols);
        SlotAttentionArgs a = s.args;
        a.q = &q;
        a.out = &out;
        a.first += r;
        a.n += r;
        memset(out.data, 0, (size_t)out.cols * 4);
        assert_true(d->k->attention_slots(d, &a));
    }
    assert_true(same_bits(f32(&s.out), s.out.ld, all, s.out.ld, rows, s.out.cols));
    free(all);
    free(ref);
    slots_free(&s);
    matrix_free(&bias);
}

static void slots(Stream *d)
{
    slots_one(d, 1, 32, 80, 600, 0, false);
    slots_one(d, 5, 32, 80, 100, 160, false);
    slots_one(d, 41, 12, 64, 0, 0, false);
    slots_one(d, 3, 2, 8, 30, 1, false);
    slots_one(d, 4, 3, 10, 33, 0, false);
    slots_one(d, 2, 2, 300, 20, 3, false);
    slots_one(d, 7, 5, 1, 9, 0, false);
    slots_one(d, 40, 4, 12, 64, 0, false);
    slots_one(d, 5, 32, 64, 100, 0, true);
    slots_one(d, 21, 3, 10, 0, 1, true);
}

/* Scratch that cannot be had is an answer, not a crash; the next call works again. */
static void no_memory(Stream *d)
{
    const Case c = {2, 16, 1, 20, 50, false, 0};
    Setup s;
    if (card_is(d->isa)) /* whose memory no hook ends */
        return;
    setup(&s, &c);
    mem_fail_at(1);
    assert_false(d->k->attention(d, &s.args));
    assert_true(mem_fail_hit());
    assert_true(d->k->attention(d, &s.args));
    setup_free(&s);
    Stream *fresh = open_isa(d->isa, 2);
    Slots t;
    slots_setup(&t, 3, 2, 8, 30, 0);
    mem_fail_at(1);
    assert_false(fresh->k->attention_slots(fresh, &t.args));
    assert_true(fresh->k->attention_slots(fresh, &t.args));
    mem_fail_at(0);
    slots_free(&t);
    fresh->close(fresh);
}

static void test_memory(void **state)
{
    each_isa(no_memory);
}

static void test_values(void **state)
{
    each_isa(right_values);
}

static void test_bits(void **state)
{
    each_isa(same_for_any_company);
}

static void test_nan(void **state)
{
    each_isa(nan_is_seen);
}

static void test_large(void **state)
{
    each_isa(large_scores);
}

static void test_spans(void **state)
{
    each_isa(spans);
    each_isa(many_queries);
}

static void test_slots(void **state)
{
    each_isa(slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_bits),   cmocka_unit_test(test_nan),
        cmocka_unit_test(test_large),  cmocka_unit_test(test_memory), cmocka_unit_test(test_slots),
        cmocka_unit_test(test_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
