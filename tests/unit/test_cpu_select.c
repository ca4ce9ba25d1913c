/* log_softmax and top_k of every kernel set, against double precision and the definition. */
#include "cpu_bench.h"

#include "ops/ops.h"

enum { ROWS_MAX = 40, LISTED = 6 };

/* The kinds of rows: what is in them. */
enum { NORMAL, TIES, HOLES, ONE, EQUAL, WIDE, NOT_A_NUMBER, POSITIVE, NOTHING, KINDS };

static float entry(int kind, int i, int n)
{
    float x = draw();
    switch (kind) {
    case TIES: return floorf(2 * x);
    case HOLES: return draw_below(3) ? x : -INFINITY;
    case ONE: return i == n / 2 ? x : -INFINITY;
    case EQUAL: return -1.5f;
    case WIDE: return 1e3f * x;
    case NOT_A_NUMBER: return i == 2 * n / 3 ? NAN : x;
    case POSITIVE: return i == n / 3 ? INFINITY : x;
    case NOTHING: return -INFINITY;
    default: return x;
    }
}

/* A row is one of these kinds, or HOLES that happened to leave nothing. */
static bool is_bad(const float *x, int n)
{
    bool some = false;
    for (int i = 0; i < n; i++) {
        if (isnan(x[i]) || x[i] == INFINITY)
            return true;
        some |= x[i] > -INFINITY;
    }
    return !some;
}

static float *random_rows(int rows, int n)
{
    float *x = malloc((size_t)rows * (size_t)n * sizeof *x);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < n; i++)
            x[(size_t)r * (size_t)n + (size_t)i] = entry(r % KINDS, i, n);
    return x;
}

static float *get(Ctx *c, const Tensor *t)
{
    float *x = malloc((size_t)t->rows * (size_t)t->cols * sizeof *x);
    assert_true(tensor_download(c, x, t));
    return x;
}

/* --- log_softmax ------------------------------------------------------------------------------------ */

/* Largest error of a row, relative to the value or 1. */
static double row_error(const float *y, const float *x, int n)
{
    double max = -INFINITY, sum = 0, worst = 0;
    for (int i = 0; i < n; i++)
        max = fmax(max, (double)x[i]);
    for (int i = 0; i < n; i++)
        sum += exp((double)x[i] - max);
    for (int i = 0; i < n; i++) {
        double want = (double)x[i] - max - log(sum);
        if (x[i] == -INFINITY)
            assert_true(y[i] == -INFINITY);
        else
            worst = fmax(worst, fabs((double)y[i] - want) / fmax(1, fabs(want)));
    }
    return worst;
}

static float *softmax_of(Ctx *c, const float *x, int rows, int n, int threads)
{
    ctx_begin(c, ROLE_DECODE);
    c->on->threads = threads;
    Tensor *y = log_softmax(c, tensor_upload(c, x, rows, n));
    assert_non_null(y);
    return get(c, y);
}

/* A row's bits are its own: with other threads, alone, and in a view. */
static void check_own_bits(Ctx *c, const float *x, const float *y, int rows, int n)
{
    float *two = softmax_of(c, x, rows, n, 2);
    assert_memory_equal(y, two, (size_t)rows * (size_t)n * sizeof *y);
    free(two);
    for (int r = 0; r < rows; r++) {
        float *one = softmax_of(c, x + (size_t)r * (size_t)n, 1, n, 2);
        assert_memory_equal(y + (size_t)r * (size_t)n, one, (size_t)n * sizeof *y);
        free(one);
    }
    if (n < 5)
        return;
    ctx_begin(c, ROLE_DECODE);
    float *view = get(c, log_softmax(c, columns(c, tensor_upload(c, x, rows, n), 0, n)));
    assert_memory_equal(y, view, (size_t)rows * (size_t)n * sizeof *y);
    Tensor *part = columns(c, tensor_upload(c, x, rows, n), 2, n - 3);
    float *from_part = get(c, log_softmax(c, part)), *dense = get(c, part);
    float *again = softmax_of(c, dense, rows, n - 3, 1);
    assert_memory_equal(from_part, again, (size_t)rows * (size_t)(n - 3) * sizeof *y);
    free(view);
    free(from_part);
    free(dense);
    free(again);
}

static double softmax_size(Ctx *c, int rows, int n)
{
    float *x = random_rows(rows, n), *y = softmax_of(c, x, rows, n, 1);
    double worst = 0;
    for (int r = 0; r < rows; r++) {
        const float *in = x + (size_t)r * (size_t)n, *out = y + (size_t)r * (size_t)n;
        if (!is_bad(in, n))
            worst = fmax(worst, row_error(out, in, n));
        for (int i = 0; is_bad(in, n) && i < n;
             i += 1 + i / 64) /* is_bad looks at all of the row */
            assert_true(isnan(out[i]));
    }
    check_own_bits(c, x, y, rows, n);
    free(x);
    free(y);
    return worst;
}

/* Calls fn for 1 to 70 columns, 1000 and the vocabulary of OPT; returns the largest of its results. */
static double all_sizes(Stream *d, double (*fn)(Ctx *c, int rows, int n))
{
    double worst = 0;
    Ctx c;
    ctx_init(&c, d);
    for (int n = 1; n <= 70; n++)
        worst = fmax(worst, fn(&c, KINDS, n));
    worst = fmax(worst, fn(&c, ROWS_MAX, 1000)); /* so much that two threads share it */
    worst = fmax(worst, fn(&c, KINDS, 50272));
    ctx_free(&c);
    return worst;
}

static void softmax_isa(Stream *d)
{
    check_error(d, "log_softmax", all_sizes(d, softmax_size), 4e-7);
}

static void test_log_softmax(void **state)
{
    (void)state;
    each_isa(softmax_isa);
}

/* --- top_k ------------------------------------------------------------------------------------------ */

typedef struct Search {
    int rows, n, stride;
    float *logits;
    TopKRow row[ROWS_MAX];
    int ids[ROWS_MAX * 2 * LISTED], n_ids;
} Search;

typedef struct Found {
    float *logits, *logprobs; /* afterwards */
    TopEntry *out;
    int found[ROWS_MAX];
} Found;

/* Up to LISTED ids; distinct: none twice. Returns how many. */
static int list_ids(Search *s, bool distinct)
{
    int from = s->n_ids, many = draw_below(LISTED + 1);
    for (int i = 0; i < many; i++) {
        int id = draw_below(s->n);
        bool seen = false;
        for (int j = from; distinct && j < s->n_ids; j++)
            seen |= s->ids[j] == id;
        if (!seen)
            s->ids[s->n_ids++] = id;
    }
    return s->n_ids - from;
}

static void make_search(Search *s, int rows, int n)
{
    static const float ADD[] = {0, -3.25f, -1e9f, 1e-3f, 4.5f}, PENALTY[] = {1, 1.5f, 0.75f};
    *s = (Search){.rows = rows, .n = n, .logits = random_rows(rows, n)};
    for (int r = 0; r < rows; r++) {
        const int k[] = {0, 1, 2, 5, n < 70 ? n : 70, n < 70 ? n + 3 : 10};
        TopKRow *w = &s->row[r];
        *w = (TopKRow){.k = k[draw_below(6)],
                       .add = ADD[draw_below(5)],
                       .penalty = PENALTY[draw_below(3)],
                       .first = s->n_ids,
                       .logits = draw_below(2)};
        w->penalised = list_ids(s, true);
        w->forbidden = list_ids(s, false);
        s->stride = w->k > s->stride ? w->k : s->stride;
    }
}

static Found search_rows(Ctx *c, const Search *s, int from, int rows, int threads)
{
    Found f = {.out = NULL};
    ctx_begin(c, ROLE_DECODE);
    c->on->threads = threads;
    int stride = 0;
    for (int r = from; r < from + rows; r++)
        stride = s->row[r].k > stride ? s->row[r].k : stride;
    f.out = malloc((size_t)rows * (size_t)s->stride * sizeof *f.out + 1);
    TopEntry *dense = malloc((size_t)rows * (size_t)stride * sizeof *dense + 1);
    Tensor *x = tensor_upload(c, s->logits + (size_t)from * (size_t)s->n, rows, s->n);
    Tensor *y = log_softmax(c, x);
    if (!top_k(c, x, y, s->row + from, s->ids, s->n_ids, stride, dense, f.found))
        fail_msg("%s", c->err.message);
    for (int r = 0; r < rows && stride; r++)
        memcpy(f.out + r * s->stride, dense + r * stride, (size_t)stride * sizeof *dense);
    free(dense);
    f.logits = get(c, x);
    f.logprobs = get(c, y);
    return f;
}

static void found_free(Found *f)
{
    free(f->logits);
    free(f->logprobs);
    free(f->out);
}

/* v, the row before, becomes what it has to be afterwards. */
static void change(float *v, const TopKRow *w, const int *ids)
{
    for (int i = 0; i < w->penalised; i++) {
        float *x = &v[ids[w->first + i]];
        *x = *x < 0 ? *x * w->penalty : *x / w->penalty;
    }
    for (int i = 0; i < w->forbidden; i++)
        v[ids[w->first + w->penalised + i]] = -INFINITY;
}

/* The best id behind `last` in the order of v[id] + add, lower ids first; -1: none is left. */
static int next_best(const float *v, int n, float add, int last)
{
    int best = -1;
    for (int i = 0; i < n; i++) {
        float x = v[i] + add, b = best < 0 ? -INFINITY : v[best] + add;
        bool behind = last < 0 || x < v[last] + add || (x == v[last] + add && i > last);
        if (behind && x > b)
            best = i;
    }
    return best;
}

static void check_row(const Search *s, const Found *f, const float *logprobs, int r)
{
    size_t at = (size_t)r * (size_t)s->n, bytes = (size_t)s->n * sizeof(float);
    const TopKRow *w = &s->row[r];
    const TopEntry *out = f->out + r * s->stride;
    if (is_bad(s->logits + at, s->n)) {
        assert_int_equal(f->found[r], -1);
        return;
    }
    float *x = malloc(bytes), *y = malloc(bytes), *v = w->logits ? x : y;
    memcpy(x, s->logits + at, bytes);
    memcpy(y, logprobs + at, bytes);
    change(v, w, s->ids);
    assert_memory_equal(x, f->logits + at, bytes);
    assert_memory_equal(y, f->logprobs + at, bytes);
    int n = 0;
    for (int id = -1; n < w->k && (id = next_best(v, s->n, w->add, id)) >= 0; n++) {
        assert_int_equal(out[n].id, id);
        assert_true(out[n].logprob == y[id]);
    }
    assert_int_equal(f->found[r], n);
    free(x);
    free(y);
}

static void check_same(const Search *s, const Found *a, int at, const Found *b, int rows)
{
    assert_memory_equal(a->found + at, b->found, (size_t)rows * sizeof(int));
    for (int r = 0; r < rows; r++)
        if (b->found[r] > 0)
            assert_memory_equal(a->out + (at + r) * s->stride, b->out + r * s->stride,
                                (size_t)b->found[r] * sizeof(TopEntry));
}

static double top_size(Ctx *c, int rows, int n)
{
    Search s;
    make_search(&s, rows, n);
    float *logprobs = softmax_of(c, s.logits, rows, n, 1);
    Found one = search_rows(c, &s, 0, rows, 1), two = search_rows(c, &s, 0, rows, 2);
    for (int r = 0; r < rows; r++)
        check_row(&s, &one, logprobs, r);
    check_same(&s, &one, 0, &two, rows);
    for (int r = 0; r < rows; r++) {
        Found alone = search_rows(c, &s, r, 1, 2);
        check_same(&s, &one, r, &alone, 1);
        found_free(&alone);
    }
    found_free(&one);
    found_free(&two);
    free(logprobs);
    free(s.logits);
    return 0;
}

static void top_isa(Stream *d)
{
    for (int repeat = 0; repeat < 3; repeat++)
        all_sizes(d, top_size);
}

static void test_top_k(void **state)
{
    (void)state;
    each_isa(top_isa);
}

/* Nothing is asked for but the change: no place for entries is needed. */
static void nothing_wanted(Stream *d)
{
    const float x[] = {1, -2, 3, 4, -5, 6}, want[] = {0.5f, -4, 3, -INFINITY, -5, 6};
    const int ids[] = {0, 1, 0};
    const TopKRow row[2] = {{.penalty = 2, .penalised = 2, .logits = true},
                            {.penalty = 1, .first = 2, .forbidden = 1, .logits = true}};
    int found[2];
    Ctx c;
    ctx_init(&c, d);
    ctx_begin(&c, ROLE_DECODE);
    Tensor *logits = tensor_upload(&c, x, 2, 3), *logprobs = tensor_upload(&c, x, 2, 3);
    assert_true(top_k(&c, logits, logprobs, row, ids, 3, 0, NULL, found));
    assert_int_equal(found[0] | found[1], 0);
    float *got = get(&c, logits);
    assert_memory_equal(got, want, sizeof want);
    assert_true(top_k(&c, logits, logprobs, (TopKRow[2]){{.penalty = 1}}, NULL, 0, 0, NULL, found));
    free(got);
    assert_false(top_k(&c, NULL, NULL, row, ids, 3, 0, NULL, found));
    ctx_free(&c);
}

static void test_nothing_wanted(void **state)
{
    (void)state;
    each_isa(nothing_wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_softmax),
        cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_nothing_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
