/* Greedy and beam search against transformers' own generate(): 5.x for hf, 4.33.2 for lavis. The
 * expectations in tests/data/generate were written by reference.py there, which runs both on the
 * same formula in place of a model. */
#include "test_generate.h"

#include <stdio.h>
#include "base/json.h"

enum { MAX_CAPTIONS = 8, MAX_LIST = 16 };

typedef struct Case {
    GenOptions o;
    int banned[MAX_LIST], history[MAX_LIST];
    FormulaText text;
    float bonus;
    json_t *ids, *scores;
} Case;

static int get_int(json_t *c, const char *key)
{
    json_t *v = json_object_get(c, key);
    assert_true(json_is_integer(v));
    return (int)json_integer_value(v);
}

static double get_real(json_t *c, const char *key)
{
    json_t *v = json_object_get(c, key);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static int get_list(json_t *c, const char *key, int *out)
{
    json_t *v = json_object_get(c, key);
    int n = (int)json_array_size(v);
    assert_true(json_is_array(v) && n <= MAX_LIST);
    for (int i = 0; i < n; i++)
        out[i] = (int)json_integer_value(json_array_get(v, (size_t)i));
    return n;
}

static EarlyStopping get_early(json_t *c)
{
    const char *s = json_string_value(json_object_get(c, "early_stopping"));
    assert_non_null(s);
    return !strcmp(s, "true") ? EARLY_TRUE : !strcmp(s, "never") ? EARLY_NEVER : EARLY_FALSE;
}

static void read_case(json_t *j, Library library, Case *c)
{
    GenOptions *o = &c->o;
    *o = neutral_options(library);
    o->num_beams = get_int(j, "num_beams");
    o->num_captions = get_int(j, "num_captions");
    o->max_length = get_int(j, "max_length");
    o->max_new_tokens = get_int(j, "max_new_tokens");
    o->min_length = get_int(j, "min_length");
    o->min_new_tokens = get_int(j, "min_new_tokens");
    o->no_repeat_ngram = get_int(j, "no_repeat_ngram");
    o->length_penalty = get_real(j, "length_penalty");
    o->repetition_penalty = get_real(j, "repetition_penalty");
    o->early_stopping = get_early(j);
    o->n_eos = get_list(j, "eos", o->eos);
    o->n_banned = get_list(j, "banned", c->banned);
    o->banned = c->banned;
    c->text = (FormulaText){.salt = (uint32_t)get_int(j, "salt"),
                            .history = c->history,
                            .n_history = get_list(j, "history", c->history)};
    c->bonus = (float)get_real(j, "bonus");
    c->ids = json_object_get(j, "ids");
    c->scores = json_object_get(j, "scores");
}

static bool same_ids(const GenSequence *s, json_t *ids)
{
    if (s->n != (int)json_array_size(ids))
        return false;
    for (int i = 0; i < s->n; i++)
        if (s->ids[i] != json_integer_value(json_array_get(ids, (size_t)i)))
            return false;
    return true;
}

static void print_difference(int number, int caption, const GenSequence *s, json_t *ids)
{
    char *want = json_dumps(ids, JSON_COMPACT);
    printf("case %d, sequence %d: expected %s, got [", number, caption, want);
    for (int i = 0; i < s->n; i++)
        printf("%s%d", i ? "," : "", s->ids[i]);
    printf("]\n");
    free(want);
}

/* Returns how many sequences differ; the largest relative error of a score goes to *worst. */
static int run_case(Formula *f, json_t *j, Library library, int number, double *worst)
{
    Case c;
    read_case(j, library, &c);
    GenSequence out[MAX_CAPTIONS] = {{0}};
    int n = c.o.num_captions, bad = 0;
    f->bonus = c.bonus;
    run_alone(f, &c.text, &c.o, out);
    assert_int_equal(json_array_size(c.ids), n);
    for (int i = 0; i < n; i++) {
        json_t *ids = json_array_get(c.ids, (size_t)i);
        if (!same_ids(&out[i], ids)) {
            print_difference(number, i, &out[i], ids);
            bad++;
        } else if (json_array_size(c.scores)) {
            double want = json_number_value(json_array_get(c.scores, (size_t)i));
            double off = fabs(out[i].score - want) / (fabs(want) + 1e-30);
            *worst = off > *worst ? off : *worst;
        }
    }
    sequences_free(out, n);
    return bad;
}

static void run_file(const char *path, Library library)
{
    Error e = {0};
    json_t *doc = json_load_path(path, 1 << 22, ERR_FAILED, &e);
    assert_non_null(doc);
    json_t *cases = json_object_get(doc, "cases"), *j;
    size_t i;
    int bad = 0;
    double worst = 0;
    Formula *f = formula_new();
    json_array_foreach(cases, i, j) bad += run_case(f, j, library, (int)i, &worst);
    formula_free(f);
    printf("%s: %zu cases, %d sequences differ, worst score error %.2g\n",
           json_string_value(json_object_get(doc, "reference")), json_array_size(cases), bad,
           worst);
    assert_true(json_array_size(cases) > 400);
    assert_int_equal(bad, 0);
    assert_true(worst < 2e-6);
    json_decref(doc);
}

static void test_hf(void **state)
{
    run_file(SOURCE_DIR "/tests/data/generate/hf.json", LIB_HF);
}

static void test_lavis(void **state)
{
    run_file(SOURCE_DIR "/tests/data/generate/lavis.json", LIB_LAVIS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hf), cmocka_unit_test(test_lavis)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
