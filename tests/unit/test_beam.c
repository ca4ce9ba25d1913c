/* Beam search where its candidates are equal, and beam sampling at low temperatures, under the rules of
 * transformers 4.33, which LAVIS pins. */
#include "test_generate.h"

#include <stdio.h>
#include "task/beam.h"

/* --- equal scores --------------------------------------------------------------------------------- */

enum { BEAMS = 2 };

typedef struct Pool {
    GenOptions o;
    BeamState b;
    Beam run[BEAMS];
    Hyp pool[BEAMS + 1];
} Pool;

static void pool_open(Pool *p)
{
    *p = (Pool){.o = neutral_options(LIB_LAVIS)};
    p->o.num_beams = BEAMS;
    p->o.length_penalty = 0;
    p->b = (BeamState){.prompt = 1, .room = 100, .run = p->run, .pool = p->pool};
    beam_rules_lavis.start(&p->o, &p->b);
}

/* One step with one candidate that ends; node stands for its ids. */
static void ends(Pool *p, double score, int node)
{
    const Ranked next[] = {{score, node, 0, true}, {-50, 100 + node, 0, false}};
    beam_rules_lavis.step(&p->o, &p->b, next, 2);
}

static void expect_nodes(Pool *p, int first, int second)
{
    beam_rules_lavis.finish(&p->o, &p->b);
    assert_int_equal(p->b.n_pool, 2);
    assert_int_equal(p->b.pool[0].node, first);
    assert_int_equal(p->b.pool[1].node, second);
}

/* BeamHypotheses.add deletes sorted([(score, index) ...])[0]: of equals the oldest. */
static void test_who_leaves(void **state)
{
    Pool p;
    pool_open(&p);
    ends(&p, -2, 1);
    ends(&p, -2, 2);
    ends(&p, -1, 3);
    expect_nodes(&p, 3, 2);
    pool_open(&p);
    ends(&p, -3, 1);
    ends(&p, -2, 2);
    ends(&p, -2, 3); /* better than the worst */
    expect_nodes(&p, 3, 2);
}

/* add takes in only what is better than the worst of a full pool, and the worst is that of those that
 * stay. */
static void test_who_enters(void **state)
{
    Pool p;
    pool_open(&p);
    ends(&p, -2, 1);
    ends(&p, -1, 2);
    ends(&p, -2, 3);
    expect_nodes(&p, 2, 1);
    pool_open(&p);
    ends(&p, -3, 1);
    ends(&p, -2, 2);
    ends(&p, -1, 3);
    assert_true(p.b.worst == -2);
    ends(&p, -2, 4);
    expect_nodes(&p, 3, 2);
}

/* BeamSearchScorer.finalize sorts upwards, equals in their order, and takes from the end: of equals the
 * youngest comes first. */
static void test_who_is_first(void **state)
{
    Pool p;
    pool_open(&p);
    ends(&p, -1, 1);
    ends(&p, -1, 2);
    expect_nodes(&p, 2, 1);
}

/* --- low temperatures ------------------------------------------------------------------------------ */

static const int history[] = {2};

static float formula_logprob(uint32_t salt, const int *ids, int n)
{
    static Formula f = {.spread = 6};
    float x[FORMULA_VOCAB];
    double sum = 0;
    FormulaText t = {.salt = salt, .history = history, .n_history = 1};
    FormulaRow r = {.text = &t,
                    .length = 1 + n,
                    .before = n > 1 ? ids[n - 2]
                              : n   ? history[0]
                                    : 0,
                    .last = n ? ids[n - 1] : history[0]};
    formula_logits(&f, &r, x);
    for (int i = 0; i < FORMULA_VOCAB; i++)
        sum += exp((double)x[i]);
    return (float)((double)x[ids[n]] - log(sum));
}

/* beam_sample: next_token_scores + beam_scores, then the warpers: the temperature divides the sum. */
static double sampled_score(uint32_t salt, const GenSequence *s, double temperature)
{
    double score = 0;
    for (int i = 0; i < s->n; i++)
        score = (score + (double)formula_logprob(salt, s->ids, i)) / temperature;
    return score;
}

static void sample(uint32_t salt, int steps, double temperature, GenSequence out[3])
{
    GenOptions o = neutral_options(LIB_LAVIS);
    FormulaText t = {.salt = salt, .history = history, .n_history = 1};
    Formula *f = formula_new();
    o.sample = true;
    o.num_beams = o.num_captions = 3;
    o.top_k = 50;
    o.top_p = 0.9;
    o.temperature = temperature;
    o.max_new_tokens = steps;
    o.length_penalty = 0;
    o.n_eos = 0;
    run_alone(f, &t, &o, out);
    formula_free(f);
}

static void test_sampled_scores(void **state)
{
    const double temperatures[] = {0.3, 0.7, 1, 1.5};
    for (int i = 0; i < 4; i++)
        for (uint32_t salt = 1; salt < 20; salt++) {
            GenSequence out[3] = {{0}};
            sample(salt, 12, temperatures[i], out);
            for (int j = 0; j < 3; j++) {
                double want = sampled_score(salt, &out[j], temperatures[i]);
                assert_true(fabs(out[j].score - want) <= 1e-5 * fabs(want));
                assert_true(j == 0 || out[j].score <= out[j - 1].score);
            }
            sequences_free(out, 3);
        }
}

/* The best sequence is then that of the greedy search, and what is divided again and again stays a
 * number. */
static void test_cold(void **state)
{
    const double temperatures[] = {1e-4, 1e-6};
    const int steps[] = {5, 60, 200};
    for (int i = 0; i < 6; i++) {
        GenSequence out[3] = {{0}}, greedy = {0};
        GenOptions o = neutral_options(LIB_LAVIS);
        FormulaText t = {.salt = 21, .history = history, .n_history = 1};
        Formula *f = formula_new();
        o.n_eos = 0;
        o.max_new_tokens = steps[i / 2];
        run_alone(f, &t, &o, &greedy);
        formula_free(f);
        sample(21, steps[i / 2], temperatures[i % 2], out);
        assert_int_equal(out[0].n, greedy.n);
        assert_memory_equal(out[0].ids, greedy.ids, (size_t)greedy.n * sizeof(int));
        for (int j = 0; j < 3; j++)
            assert_true(isfinite(out[j].score) && out[j].n == greedy.n);
        sequences_free(out, 3);
        sequences_free(&greedy, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_leaves),   cmocka_unit_test(test_who_enters),
        cmocka_unit_test(test_who_is_first), cmocka_unit_test(test_sampled_scores),
        cmocka_unit_test(test_cold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
