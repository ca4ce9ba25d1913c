/* The generator: sampling, independence of the batch, stopping, limits, wrong options, failures. Ids
 * and scores of greedy and beam search are compared in test_generate_reference.c; items that come and
 * go in test_generator.c. */
#include "test_generate.h"

#include <stdio.h>
#include "task/decode.h"

enum { V = FORMULA_VOCAB, DRAWS = 20000 };

static const int short_history[] = {2}, long_history[] = {7, 7, 7, 2, 11, 1000};

static FormulaText short_text(uint32_t salt)
{
    return (FormulaText){.salt = salt, .history = short_history, .n_history = 1};
}

/* The logits behind `length` ids, the last two being before and last. */
static void logits_behind(uint32_t salt, int length, int before, int last, float *x)
{
    static Formula f = {.spread = 6};
    FormulaText t = short_text(salt);
    FormulaRow r = {.text = &t, .length = length, .before = before, .last = last};
    formula_logits(&f, &r, x);
}

static void run_one(uint32_t salt, const GenOptions *o, GenSequence *out)
{
    Formula *f = formula_new();
    FormulaText t = short_text(salt);
    run_alone(f, &t, o, out);
    formula_free(f);
}

/* --- sampling ----------------------------------------------------------------------------------- */

/* What the draws should follow: softmax(x / t) over the ids that top-k and then top-p leave, by the
 * definition: an id stays when those strictly more likely have less than p together. */
static void expected_distribution(const float *x, double t, int k, double p, double *prob)
{
    double sum = 0;
    for (int i = 0; i < V; i++) {
        int above = 0;
        for (int j = 0; j < V; j++)
            above += x[j] > x[i];
        prob[i] = k == 0 || above < k ? exp(x[i] / t) : 0;
        sum += prob[i];
    }
    double kept[FORMULA_VOCAB], total = 0;
    for (int i = 0; i < V; i++) {
        double above = 0;
        for (int j = 0; j < V; j++)
            above += x[j] > x[i] ? prob[j] / sum : 0;
        kept[i] = above < p || above == 0 ? prob[i] : 0;
        total += kept[i];
    }
    for (int i = 0; i < V; i++)
        prob[i] = kept[i] / total;
}

/* Draws the first id with DRAWS seeds: forbidden ids never come, and chi-squared per degree of
 * freedom is near 1. */
static void check_distribution(double t, int k, double p)
{
    float x[FORMULA_VOCAB];
    double prob[FORMULA_VOCAB], chi = 0;
    int count[FORMULA_VOCAB] = {0}, kinds = 0;
    logits_behind(77, 1, 0, 2, x);
    expected_distribution(x, t, k, p, prob);
    GenOptions o = neutral_options(LIB_HF);
    o.sample = true;
    o.max_new_tokens = 1;
    o.temperature = t;
    o.top_k = k;
    o.top_p = p;
    Formula *f = formula_new();
    FormulaText text = short_text(77);
    for (int i = 0; i < DRAWS; i++) {
        GenSequence out = {0};
        o.seed = (uint64_t)i;
        run_alone(f, &text, &o, &out);
        count[out.ids[0]]++;
        sequences_free(&out, 1);
    }
    formula_free(f);
    for (int i = 0; i < V; i++) {
        double want = prob[i] * DRAWS;
        if (want == 0)
            assert_int_equal(count[i], 0);
        else
            chi += (count[i] - want) * (count[i] - want) / want, kinds++;
    }
    printf("t %.2g k %d p %.2g: %d ids, chi-squared %.1f\n", t, k, p, kinds, chi);
    assert_true(chi < kinds + 4 * sqrt(2.0 * kinds)); /* 4 sigma; the seeds are fixed */
}

static void test_distribution(void **state)
{
    check_distribution(1, 0, 1);
    check_distribution(0.5, 0, 1);
    check_distribution(2, 0, 1);
}

static void test_truncation(void **state)
{
    check_distribution(1, 5, 1);
    check_distribution(1, 0, 0.6);
    check_distribution(1.5, 8, 0.7);
    check_distribution(1, 1, 1);
    check_distribution(1, 0, 0);
}

static void warp_fixed(const float *x, int n, const GenOptions *o, int min_keep, int want)
{
    float row[8];
    Cand cand[8];
    memcpy(row, x, (size_t)n * sizeof(float));
    assert_int_equal(warp_row(o, row, n, min_keep, cand), want);
}

/* Ties with the k-th stay, min_keep holds for both cuts, forbidden ids do not come back. */
static void test_warp_edges(void **state)
{
    const float ties[] = {1, 2, 1, 1, 0}, few[] = {-INFINITY, 3, -INFINITY, -INFINITY};
    GenOptions o = neutral_options(LIB_HF);
    o.top_k = 2;
    warp_fixed(ties, 5, &o, 1, 4);
    o.top_k = 1;
    warp_fixed(ties, 5, &o, 1, 1);
    warp_fixed(ties, 5, &o, 2, 4);
    o.top_k = 0;
    o.top_p = 0.01;
    warp_fixed(ties, 5, &o, 1, 1);
    warp_fixed(ties, 5, &o, 3, 3);
    warp_fixed(few, 4, &o, 3, 1);
    o.top_k = 3;
    warp_fixed(few, 4, &o, 1, 1);
    o.top_k = 0;
    o.top_p = 0.5; /* what together has exactly p is enough */
    warp_fixed((const float[]){2, 2, 2, 2}, 4, &o, 1, 2);
}

/* P(first i, second j) = p_i p_j / (1 - p_i). */
static void test_draw_without_replacement(void **state)
{
    const double p[] = {0.5, 0.3, 0.2};
    int count[3][3] = {{0}};
    for (int s = 0; s < DRAWS; s++) {
        Cand cand[3], out[2];
        for (int i = 0; i < 3; i++)
            cand[i] = (Cand){0, (float)log(p[i]), i};
        assert_int_equal(draw(cand, 3, 2, (uint64_t)s * 7919, out), 2);
        count[out[0].index][out[1].index]++;
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            double want = i == j ? 0 : p[i] * p[j] / (1 - p[i]) * DRAWS;
            assert_true(fabs(count[i][j] - want) <= 4 * sqrt(want));
        }
}

/* Equal keys: the lowest indices stay, in order, wherever they come in. */
static void test_top_ties(void **state)
{
    Cand best[3];
    Top top = {best, 0, 3};
    const int order[] = {4, 2, 5, 0, 3, 1};
    for (int i = 0; i < 6; i++)
        top_push(&top, (Cand){order[i] == 5 ? 2 : 1, 0, order[i]});
    top_sort(&top);
    assert_int_equal(best[0].index, 5);
    assert_int_equal(best[1].index, 0);
    assert_int_equal(best[2].index, 1);
}

static void test_draw_few(void **state)
{
    Cand cand[2] = {{0, -1e9f, 0}, {0, 0, 4}}, out[5];
    assert_int_equal(draw(cand, 2, 5, 1, out), 2);
    assert_int_equal(out[0].index, 4);
    assert_int_equal(draw(cand, 0, 5, 1, out), 0);
}

static bool same(const GenSequence *a, const GenSequence *b)
{
    return a->n == b->n && a->score == b->score &&
           !memcmp(a->ids, b->ids, (size_t)a->n * sizeof(int));
}

static GenOptions sampling_options(Library library, int beams)
{
    GenOptions o = neutral_options(library);
    o.sample = true;
    o.num_beams = beams;
    o.num_captions = 3;
    o.top_k = 10;
    o.top_p = 0.9;
    o.temperature = 1.2;
    o.seed = 42;
    return o;
}

static void test_seed(void **state)
{
    for (int beams = 1; beams <= 4; beams += 3) {
        GenOptions o = sampling_options(LIB_LAVIS, beams);
        GenSequence a[3] = {{0}}, b[3] = {{0}}, c[3] = {{0}};
        run_one(5, &o, a);
        run_one(5, &o, b);
        o.seed++;
        run_one(5, &o, c);
        for (int i = 0; i < 3; i++)
            assert_true(same(&a[i], &b[i]));
        assert_false(same(&a[0], &c[0]));
        assert_true(beams > 1 || (!same(&a[0], &a[1]) && !same(&a[1], &a[2])));
        sequences_free(a, 3);
        sequences_free(b, 3);
        sequences_free(c, 3);
    }
}

/* Every item draws from its own seed, whichever place it has. */
static void test_item_seed(void **state)
{
    GenOptions o[3];
    FormulaText t[3];
    GenRequest r[3];
    GenSequence out[9] = {{0}};
    Error error[3] = {{0}};
    for (int i = 0; i < 3; i++) {
        o[i] = sampling_options(LIB_HF, 1);
        o[i].seed += i == 1;
        t[i] = short_text(5);
        r[i] = formula_request(&t[i], &o[i]);
    }
    Formula *f = formula_new();
    assert_true(run_formula(f, r, 3, out, 3, error, NULL));
    assert_false(same(&out[0], &out[3]));
    for (int i = 0; i < 3; i++)
        assert_true(same(&out[i], &out[6 + i]));
    sequences_free(out, 9);
    formula_free(f);
}

/* log softmax of the formula behind `length` ids, the last two being before and last. */
static float log_prob(uint32_t salt, int length, int before, int last, int id)
{
    float x[FORMULA_VOCAB];
    double sum = 0;
    logits_behind(salt, length, before, last, x);
    for (int i = 0; i < V; i++)
        sum += exp(x[i]);
    return (float)(x[id] - log(sum));
}

static void test_stream_score(void **state)
{
    GenOptions o = sampling_options(LIB_HF, 1);
    GenSequence out[3] = {{0}};
    o.max_new_tokens = 2;
    o.n_eos = 0;
    run_one(9, &o, out);
    for (int i = 0; i < 3; i++) {
        const int *id = out[i].ids;
        float want = log_prob(9, 1, 0, 2, id[0]) + log_prob(9, 2, 2, id[0], id[1]);
        assert_float_equal(out[i].score, want, 1e-5);
    }
    sequences_free(out, 3);
}

/* Beam sampling: 4.33 divides the running sum by the temperature again at every step and starts all
 * beams alike; 5.x tempers each step's log-probabilities and starts with one beam. */
static void test_beam_sampling_scores(void **state)
{
    for (int lib = LIB_LAVIS; lib <= LIB_HF; lib++) {
        GenOptions o = sampling_options((Library)lib, 3);
        GenSequence out[3] = {{0}};
        o.max_new_tokens = 2;
        o.n_eos = 0;
        o.temperature = 2;
        o.length_penalty = 0;
        run_one(9, &o, out);
        for (int i = 0; i < 3; i++) {
            const int *id = out[i].ids;
            float a = log_prob(9, 1, 0, 2, id[0]), b = log_prob(9, 2, 2, id[0], id[1]);
            float want = lib == LIB_HF ? a / 2 + b / 2 : (a / 2 + b) / 2;
            assert_float_equal(out[i].score, want, 1e-5);
        }
        sequences_free(out, 3);
    }
}

/* Nearly no noise: 5.x draws what beam search would take; 4.33's equal beams take the same id. */
static void test_cold_beam_sampling(void **state)
{
    GenOptions o = sampling_options(LIB_HF, 3), plain = neutral_options(LIB_HF);
    GenSequence cold[3] = {{0}}, beam[3] = {{0}};
    o.top_k = 0;
    o.top_p = 1;
    o.temperature = 1e-4;
    plain.num_beams = plain.num_captions = 3;
    run_one(21, &o, cold);
    run_one(21, &plain, beam);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cold[i].n, beam[i].n);
        assert_memory_equal(cold[i].ids, beam[i].ids, (size_t)beam[i].n * sizeof(int));
    }
    sequences_free(cold, 3);
    o.library = LIB_LAVIS;
    o.max_new_tokens = 1;
    run_one(21, &o, cold);
    assert_int_equal(cold[0].ids[0], cold[1].ids[0]);
    assert_int_equal(cold[0].ids[0], cold[2].ids[0]);
    sequences_free(cold, 3);
    sequences_free(beam, 3);
}

/* Two beams over the end ids and the first n of these alone, the best sequence: whether ten seeds give
 * the same. */
static bool seeds_agree(GenOptions *o, int n, GenSequence *first)
{
    static const int ALLOWED[] = {3, 8};
    int banned[V];
    bool agree = true;
    o->banned = banned;
    o->n_banned = 0;
    for (int id = 0; id < V; id++)
        if (id != ALLOWED[0] && id != ALLOWED[n - 1])
            banned[o->n_banned++] = id; /* end ids cannot be banned */
    for (o->seed = 0; o->seed < 10; o->seed++) {
        GenSequence out = {0};
        run_one(33, o, o->seed ? &out : first);
        agree = agree && (!o->seed || same(&out, first));
        sequences_free(&out, 1);
    }
    return agree;
}

/* Where as many are drawn as there are, drawing decides nothing, for what was drawn is ranked: 5.x then
 * finds what beam search finds. It draws enough for every end id; 4.33 two for each beam. */
static void test_beam_sampling_of_all(void **state)
{
    for (int lib = LIB_LAVIS; lib <= LIB_HF; lib++) {
        GenOptions o = neutral_options((Library)lib);
        GenSequence all = {0}, beam = {0};
        o.num_beams = 2;
        o.n_eos = 0;
        o.max_new_tokens = 6;
        assert_true(seeds_agree(&o, 2, &beam));
        o.sample = true;
        assert_true(seeds_agree(&o, 2, &all));
        assert_true(lib == LIB_LAVIS || same(&all, &beam));
        sequences_free(&all, 1);
        sequences_free(&beam, 1);
        o.n_eos = 3;
        o.eos[1] = 9;
        o.eos[2] = 13;
        o.temperature = 4;
        assert_int_equal(seeds_agree(&o, 1, &all), lib == LIB_HF);
        sequences_free(&all, 1);
    }
}

/* However hard top-k and top-p cut, each beam keeps more ids than there are end ids: with 5, 9 and
 * 13 far ahead and top-k 1, there is still an id to go on with: no beam runs on behind an end id. */
static void test_beam_sampling_goes_on(void **state)
{
    GenOptions o = sampling_options(LIB_HF, 2);
    GenSequence out[2] = {{0}};
    Formula *f = formula_new();
    FormulaText text = short_text(9);
    f->bonus = 30;
    o.num_captions = 2;
    o.n_eos = 3;
    o.eos[1] = 9;
    o.eos[2] = 13;
    o.top_k = 1;
    o.early_stopping = EARLY_NEVER;
    o.length_penalty = 9;
    run_alone(f, &text, &o, out);
    assert_true(f->calls >= 2);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j + 1 < out[i].n; j++)
            assert_false(out[i].ids[j] == 5 || out[i].ids[j] == 9 || out[i].ids[j] == 13);
    sequences_free(out, 2);
    formula_free(f);
}

/* --- the batch ---------------------------------------------------------------------------------- */

enum { ITEMS = 5, EACH = 3 };

/* Items with texts and options of their own, and what became of them. */
typedef struct Batch {
    FormulaText text[ITEMS];
    GenOptions o[ITEMS];
    GenRequest r[ITEMS];
    GenSequence out[ITEMS * EACH]; /* EACH places an item */
    Error error[ITEMS];
} Batch;

static void make_batch(Batch *b, const GenOptions *o)
{
    static const uint32_t SALTS[ITEMS] = {3, 14, 15, 92, 65};
    *b = (Batch){.out = {{0}}};
    for (int i = 0; i < ITEMS; i++) {
        b->text[i] = short_text(SALTS[i]);
        if (i % 2) {
            b->text[i].history = long_history;
            b->text[i].n_history = 5 + i % 3 / 2;
        }
        b->o[i] = *o;
        b->r[i] = formula_request(&b->text[i], &b->o[i]);
    }
    b->o[3].max_new_tokens = 4;
}

static void run_batch(Formula *f, Batch *b)
{
    assert_true(run_formula(f, b->r, ITEMS, b->out, EACH, b->error, NULL));
}

static void free_batch(Batch *b)
{
    sequences_free(b->out, ITEMS * EACH);
}

/* Item i of the batch gives what it gives alone, to the bit. */
static void check_alone(Formula *f, const Batch *b, int i)
{
    GenSequence alone[EACH] = {{0}};
    Error error = {0};
    int n = b->o[i].num_captions;
    assert_true(run_formula(f, &b->r[i], 1, alone, 0, &error, NULL));
    assert_int_equal(error.code, b->error[i].code);
    for (int j = 0; j < n; j++)
        assert_true(same(&b->out[i * EACH + j], &alone[j]));
    sequences_free(alone, n);
}

static void test_batch(void **state)
{
    Formula *f = formula_new();
    for (int lib = LIB_LAVIS; lib <= LIB_HF; lib++)
        for (int mode = 0; mode < 12; mode++) {
            GenOptions o = neutral_options((Library)lib);
            Batch b;
            o.max_new_tokens = 25;
            o.sample = mode & 1;
            o.num_beams = mode & 2 ? 3 : 1;
            o.num_captions = mode & 3 ? 3 : 1;
            o.repetition_penalty = mode & 4 ? 1.2 : 1;
            o.no_repeat_ngram = mode & 4 ? 2 : 0;
            o.early_stopping = mode & 8 ? EARLY_TRUE : EARLY_FALSE;
            make_batch(&b, &o);
            run_batch(f, &b);
            for (int i = 0; i < ITEMS; i++)
                check_alone(f, &b, i);
            free_batch(&b);
        }
    formula_free(f);
}

static void test_no_items(void **state)
{
    Formula *f = formula_new();
    assert_true(run_formula(f, NULL, 0, NULL, 0, NULL, NULL));
    assert_int_equal(f->starts + f->calls, 0);
    formula_free(f);
}

/* --- the callback ------------------------------------------------------------------------------- */

typedef struct Heard {
    int n, ids[64];
    int left; /* stops when this many have been heard; 0: never */
} Heard;

static bool hear(void *user, int id)
{
    Heard *h = user;
    h->ids[h->n++] = id;
    return --h->left != 0;
}

static void listen(Batch *b, Heard *h)
{
    for (int i = 0; i < ITEMS; i++) {
        h[i] = (Heard){.left = 0};
        b->r[i].on_token = hear;
        b->r[i].user = &h[i];
    }
}

static void check_heard(const Heard *h, const GenSequence *out)
{
    assert_int_equal(h->n, out->n);
    assert_memory_equal(h->ids, out->ids, (size_t)h->n * sizeof(int));
}

static void test_callback(void **state)
{
    Formula *f = formula_new();
    for (int mode = 0; mode < 3; mode++) {
        GenOptions o = neutral_options(LIB_LAVIS);
        Batch b;
        Heard h[ITEMS];
        o.sample = mode == 1;
        o.num_beams = mode == 2 ? 3 : 1;
        o.num_captions = mode ? 3 : 1;
        make_batch(&b, &o);
        listen(&b, h);
        run_batch(f, &b);
        for (int i = 0; i < ITEMS; i++)
            check_heard(&h[i], &b.out[i * EACH]);
        free_batch(&b);
    }
    formula_free(f);
}

/* Greedy stops at once with what there is; the others go on untouched. */
static void test_callback_stops(void **state)
{
    GenOptions o = neutral_options(LIB_HF);
    Batch full, b;
    Heard h[ITEMS];
    Formula *f = formula_new();
    o.n_eos = 0;
    make_batch(&full, &o);
    run_batch(f, &full);
    make_batch(&b, &o);
    listen(&b, h);
    h[1].left = 8;
    h[3].left = 1;
    run_batch(f, &b);
    for (int i = 0; i < ITEMS; i++) {
        int want = i == 1 ? 8 : i == 3 ? 1 : full.out[i * EACH].n;
        assert_int_equal(b.error[i].code, i == 1 || i == 3 ? ERR_STOPPED : ERR_NONE);
        assert_int_equal(b.out[i * EACH].n, want);
        assert_memory_equal(b.out[i * EACH].ids, full.out[i * EACH].ids,
                            (size_t)want * sizeof(int));
        check_heard(&h[i], &b.out[i * EACH]);
    }
    free_batch(&full);
    free_batch(&b);
    formula_free(f);
}

/* Several drawn sequences: all are there as far as they came. */
static void test_callback_stops_streams(void **state)
{
    GenOptions o = sampling_options(LIB_HF, 1);
    FormulaText t = short_text(5);
    GenRequest r = formula_request(&t, &o);
    GenSequence full[3] = {{0}}, out[3] = {{0}};
    Formula *f = formula_new();
    Heard h = {.left = 4};
    Error error = {0};
    o.n_eos = 0;
    run_alone(f, &t, &o, full);
    r.on_token = hear;
    r.user = &h;
    assert_true(run_formula(f, &r, 1, out, 0, &error, NULL));
    assert_int_equal(error.code, ERR_STOPPED);
    assert_int_equal(out[0].n, 4);
    for (int i = 0; i < 3; i++) {
        assert_in_range(out[i].n, 3, 4);
        assert_memory_equal(out[i].ids, full[i].ids, (size_t)out[i].n * sizeof(int));
    }
    sequences_free(full, 3);
    sequences_free(out, 3);
    formula_free(f);
}

/* With beams everything is decided before the first call. */
static void test_callback_stops_beams(void **state)
{
    GenOptions o = neutral_options(LIB_HF);
    FormulaText t = short_text(4);
    GenRequest r = formula_request(&t, &o);
    GenSequence full = {0}, out = {0};
    Formula *f = formula_new();
    Error error = {0};
    Heard h = {.left = 1};
    o.num_beams = 3;
    run_alone(f, &t, &o, &full);
    r.on_token = hear;
    r.user = &h;
    assert_true(run_formula(f, &r, 1, &out, 0, &error, NULL));
    assert_int_equal(error.code, ERR_STOPPED);
    assert_int_equal(h.n, 1);
    assert_true(same(&full, &out));
    sequences_free(&full, 1);
    sequences_free(&out, 1);
    formula_free(f);
}

/* --- lengths ------------------------------------------------------------------------------------ */

static void check_lengths(Library library, int beams, int feed, const GenOptions *base, int want)
{
    GenOptions o = *base;
    GenSequence out = {0};
    Formula *f = formula_new();
    FormulaText t = short_text(8);
    f->feed = feed;
    o.library = library;
    o.num_beams = beams;
    o.n_eos = 0;
    run_alone(f, &t, &o, &out);
    assert_int_equal(out.n, want);
    assert_int_equal(f->most_fed, want - 1);
    sequences_free(&out, 1);
    formula_free(f);
}

static void test_default_length(void **state)
{
    GenOptions o = neutral_options(LIB_HF);
    o.max_new_tokens = 0;
    check_lengths(LIB_HF, 1, 100, &o, 20);
    check_lengths(LIB_HF, 3, 100, &o, 20);
    check_lengths(LIB_LAVIS, 1, 100, &o, 19);
    check_lengths(LIB_LAVIS, 3, INT_MAX, &o, 19);
    o.max_length = 9;
    check_lengths(LIB_HF, 3, 100, &o, 8);
    o.max_new_tokens = 4;
    check_lengths(LIB_LAVIS, 3, 100, &o, 4);
}

/* The model's positions end a sequence like a length limit; no more is fed than fits. */
static void test_position_limit(void **state)
{
    GenOptions o = neutral_options(LIB_HF);
    o.max_new_tokens = INT_MAX;
    for (int beams = 1; beams <= 3; beams += 2) {
        check_lengths(LIB_HF, beams, 3, &o, 4);
        check_lengths(LIB_LAVIS, beams, 3, &o, 4);
        check_lengths(LIB_LAVIS, beams, 0, &o, 1);
    }
}

/* The item fails alone: those before and behind it in its join get what they get alone. */
static void expect_error(ErrorCode code, const char *part, Formula *f, FormulaText *text,
                         const GenOptions *o)
{
    GenOptions plain = neutral_options(LIB_HF);
    Batch b;
    make_batch(&b, &plain);
    b.r[2] = formula_request(text, o);
    run_batch(f, &b);
    assert_int_equal(b.error[2].code, code);
    if (!strstr(b.error[2].message, part))
        printf("expected \"%s\" in: %s\n", part, b.error[2].message);
    assert_non_null(strstr(b.error[2].message, part));
    for (int i = 0; i < ITEMS; i++)
        if (i != 2) {
            assert_int_equal(b.error[i].code, ERR_NONE);
            check_alone(f, &b, i);
        }
    free_batch(&b);
}

static void test_history_too_long(void **state)
{
    GenOptions o = neutral_options(LIB_HF);
    FormulaText t = {.history = long_history, .n_history = 5};
    Formula *f = formula_new();
    o.max_new_tokens = 0;
    o.max_length = 5;
    expect_error(ERR_USAGE, "max length: expected more than the 5 ids", f, &t, &o);
    formula_free(f);
}

/* --- wrong options, failures -------------------------------------------------------------------- */

static void expect_usage(const char *part, const GenOptions *o)
{
    Formula *f = formula_new();
    FormulaText t = short_text(8);
    expect_error(ERR_USAGE, part, f, &t, o);
    formula_free(f);
}

#define USAGE(part, ...)                        \
    do {                                        \
        GenOptions o = neutral_options(LIB_HF); \
        __VA_ARGS__;                            \
        expect_usage(part, &o);                 \
    } while (0)

static void test_usage(void **state)
{
    USAGE("captions", o.num_captions = 2);
    USAGE("captions", o.num_captions = 4, o.num_beams = 3);
    USAGE("captions", o.num_captions = 0);
    USAGE("captions", o.num_captions = 4, o.num_beams = 3, o.sample = true);
    USAGE("beams", o.num_beams = 0);
    USAGE("beams", o.num_beams = INT_MAX);
    USAGE("repetition penalty", o.repetition_penalty = 0);
    USAGE("repetition penalty", o.repetition_penalty = -1);
    USAGE("repetition penalty", o.repetition_penalty = (double)NAN);
    USAGE("length penalty", o.length_penalty = (double)INFINITY);
    USAGE("temperature", o.sample = true, o.temperature = 0);
    USAGE("temperature", o.sample = true, o.temperature = (double)NAN);
    USAGE("top-p", o.sample = true, o.top_p = 1.5);
    USAGE("top-p", o.sample = true, o.top_p = (double)NAN);
    USAGE("top-k", o.sample = true, o.top_k = -1);
    USAGE("n-gram", o.no_repeat_ngram = -1);
    USAGE("min length", o.min_length = -1);
    USAGE("min new tokens", o.min_new_tokens = -1);
    USAGE("max length", o.max_length = -1);
    USAGE("max new tokens", o.max_new_tokens = -1);
    USAGE("end ids", o.n_eos = 9);
    USAGE("end ids: expected 0 to 39, got 40", o.eos[0] = V);
    USAGE("end ids: expected 0 to 39, got -1", o.n_eos = 2, o.eos[1] = -1);
    const int beyond[] = {3, V}, below[] = {-1};
    USAGE("banned ids: expected 0 to 39, got 40", o.banned = beyond, o.n_banned = 2);
    USAGE("banned ids: expected 0 to 39, got -1", o.banned = below, o.n_banned = 1);
    USAGE("temperature: expected 1e-6 to 1e6, got 1e-38", o.sample = true, o.temperature = 1e-38);
    USAGE("temperature", o.sample = true, o.temperature = 1e300);
    USAGE("repetition penalty", o.repetition_penalty = 1e-300);
}

static void check_bad_logits(const GenOptions *o, float bad, int at, const char *part)
{
    Formula *f = formula_new();
    FormulaText t = short_text(8);
    t.bad = bad;
    t.bad_at = at;
    expect_error(ERR_FAILED, part, f, &t, o);
    formula_free(f);
}

/* What is no number is named by its step and id, and only that item fails. */
static void test_bad_logits(void **state)
{
    const float inf = (float)INFINITY, nan = (float)NAN;
    for (int mode = 0; mode < 4; mode++) {
        GenOptions o = neutral_options(LIB_LAVIS);
        o.num_beams = mode & 1 ? 3 : 1;
        o.sample = mode & 2;
        o.n_eos = 0;
        check_bad_logits(&o, nan, 2, "logits: step 3: id 7: expected a number, got ");
        check_bad_logits(&o, nan, 0, "logits: step 1: id 7: expected a number, got ");
        check_bad_logits(&o, inf, 1, "logits: step 2: id 7: expected a number, got inf");
        check_bad_logits(&o, -inf, 3, "logits: step 4: expected a finite number, got only -inf");
    }
}

/* Of one item alone there is nothing to try again; of several each is, and nothing has changed. */
static void test_failing_step(void **state)
{
    for (int beams = 1; beams <= 3; beams += 2) {
        GenOptions o = neutral_options(LIB_LAVIS);
        FormulaText t = short_text(8);
        GenRequest r = formula_request(&t, &o);
        GenSequence out = {0};
        Formula *f = formula_new();
        Error error = {0};
        Batch b;
        o.num_beams = beams;
        o.n_eos = 0;
        f->fail_at = 3;
        assert_true(run_formula(f, &r, 1, &out, 0, &error, NULL));
        assert_int_equal(error.code, ERR_BAD_MODEL);
        assert_string_equal(error.message, "formula: broken on purpose");
        f->fail_at = f->calls + 3;
        make_batch(&b, &o);
        run_batch(f, &b);
        for (int i = 0; i < ITEMS; i++)
            check_alone(f, &b, i);
        free_batch(&b);
        formula_free(f);
    }
}

static void test_everything_forbidden(void **state)
{
    int all[FORMULA_VOCAB];
    for (int i = 0; i < V; i++)
        all[i] = i;
    for (int mode = 0; mode < 8; mode++) {
        GenOptions o = neutral_options(mode & 1 ? LIB_HF : LIB_LAVIS);
        Formula *f = formula_new();
        FormulaText t = short_text(8);
        o.num_beams = mode & 2 ? 3 : 1;
        o.sample = mode & 4;
        o.banned = all;
        o.n_banned = V;
        o.min_new_tokens = 3; /* the end id is not banned, but not yet allowed */
        expect_error(ERR_FAILED, "step 1: every id is forbidden", f, &t, &o);
        formula_free(f);
    }
}

/* Two ids are left: fewer candidates than beams want. What there is comes, the rest is empty. */
static void test_few_allowed(void **state)
{
    int banned[FORMULA_VOCAB];
    for (int i = 0; i < V; i++)
        banned[i] = i == 11 ? 0 : i;
    for (int mode = 0; mode < 4; mode++) {
        GenOptions o = neutral_options(mode & 1 ? LIB_HF : LIB_LAVIS);
        GenSequence out[4] = {{0}};
        o.num_beams = o.num_captions = 4;
        o.sample = mode & 2;
        o.banned = banned;
        o.n_banned = V;
        o.max_new_tokens = 1;
        run_one(8, &o, out);
        assert_int_equal(out[0].n, 1);
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < out[i].n; j++)
                assert_true(out[i].ids[j] == 11 || out[i].ids[j] == 5);
        sequences_free(out, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_warp_edges),
        cmocka_unit_test(test_draw_without_replacement),
        cmocka_unit_test(test_draw_few),
        cmocka_unit_test(test_top_ties),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_item_seed),
        cmocka_unit_test(test_stream_score),
        cmocka_unit_test(test_beam_sampling_scores),
        cmocka_unit_test(test_cold_beam_sampling),
        cmocka_unit_test(test_beam_sampling_of_all),
        cmocka_unit_test(test_beam_sampling_goes_on),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_no_items),
        cmocka_unit_test(test_callback),
        cmocka_unit_test(test_callback_stops),
        cmocka_unit_test(test_callback_stops_streams),
        cmocka_unit_test(test_callback_stops_beams),
        cmocka_unit_test(test_default_length),
        cmocka_unit_test(test_position_limit),
        cmocka_unit_test(test_history_too_long),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_bad_logits),
        cmocka_unit_test(test_failing_step),
        cmocka_unit_test(test_everything_forbidden),
        cmocka_unit_test(test_few_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
