/* Items that join and leave at any time: each gets what it gets alone, whatever happens to the others. */
#include "test_generate.h"

#include <stdio.h>
#include "dice.h"

enum { TOTAL = 1000, RUNNING = 40, IDS = 8 };

/* --- random items ----------------------------------------------------------------------------------- */

typedef struct Job {
    FormulaText text;
    GenOptions o;
    int history[IDS], banned[BANNED];
    GenItem *item; /* NULL: not there */
} Job;

static void choose_ends(Dice *d, GenOptions *o)
{
    static const int ENDS[] = {5, 9, 13};
    o->n_eos = below(d, 4);
    memcpy(o->eos, ENDS, sizeof ENDS);
}

static void choose_text(Dice *d, Job *j, double bad)
{
    static const float BAD[] = {(float)NAN, (float)INFINITY, -(float)INFINITY};
    j->text = (FormulaText){
        .salt = (uint32_t)below(d, 1 << 20), .history = j->history, .n_history = 1 + below(d, IDS)};
    for (int i = 0; i < j->text.n_history; i++)
        j->history[i] = below(d, FORMULA_VOCAB + 3);
    if (chance(d, bad)) {
        j->text.bad = BAD[below(d, 3)];
        j->text.bad_at = below(d, 6);
    }
}

/* bad: how often some logits are no numbers. Some of the others, too, do not make sense (the history is
 * at the length limit, everything is forbidden): that is then their error. */
static void choose_job(Dice *d, Job *j, double bad)
{
    *j = (Job){.o = neutral_options((Library)below(d, 2))};
    choose_text(d, j, bad);
    choose_options(d, &j->o, j->text.n_history, FORMULA_VOCAB, j->banned);
    choose_ends(d, &j->o);
}

/* --- together and alone ----------------------------------------------------------------------------- */

typedef struct Crowd {
    Formula *f, *quiet; /* the items'; that of each alone */
    Generator *g;
    Dice d;
    Job *job;                              /* [TOTAL] */
    int joined, here, ended, failed, left; /* ended: those with and without an error */
} Crowd;

static void check_sequences(const GenSequence *got, const GenSequence *want, int n)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(got[i].n, want[i].n);
        assert_memory_equal(got[i].ids, want[i].ids, (size_t)want[i].n * sizeof(int));
        assert_memory_equal(&got[i].score, &want[i].score, sizeof got[i].score);
    }
}

/* An item that ended: its error or its sequences, to the bit. */
static void check_ended(Crowd *c, Job *j)
{
    GenRequest r = formula_request(&j->text, &j->o);
    GenSequence got[PLACES] = {{0}}, want[PLACES] = {{0}};
    Error error = item_result(j->item, j->o.num_captions, got), alone = {0};
    c->ended++;
    assert_int_equal(error.code == ERR_MEMORY, j->text.failed);
    if (error.code == ERR_MEMORY) {
        assert_string_equal(error.message, "formula: no memory on purpose");
        c->failed++;
        return;
    }
    assert_true(run_formula(c->quiet, &r, 1, want, 0, &alone, NULL));
    assert_int_equal(error.code, alone.code);
    assert_string_equal(error.message, alone.message);
    if (!error.code)
        check_sequences(got, want, j->o.num_captions);
    c->failed += error.code != ERR_NONE;
    sequences_free(got, PLACES);
    sequences_free(want, PLACES);
}

static void join_some(Crowd *c, double bad)
{
    GenRequest r[16];
    GenItem *item[16];
    Job given[16];            /* gone behind the join: all was copied */
    int n = below(&c->d, 13); /* up to several prefills */
    n = n < TOTAL - c->joined ? n : TOTAL - c->joined;
    Job *j = &c->job[c->joined];
    for (int i = 0; i < n; i++) {
        choose_job(&c->d, &j[i], bad);
        given[i] = j[i];
        given[i].o.banned = given[i].banned;
        r[i] = formula_request(&j[i].text, &given[i].o);
        r[i].prompt = r[i].history = given[i].history;
    }
    assert_true(generator_join(c->g, r, n, item, NULL));
    memset(given, 0xff, sizeof given);
    for (int i = 0; i < n; i++)
        j[i].item = item[i];
    c->joined += n;
    c->here += n;
}

/* Those that ended leave, at once or later; some that run as well. */
static void leave_some(Crowd *c)
{
    for (int i = 0; i < c->joined; i++) {
        Job *j = &c->job[i];
        bool running = j->item && gen_running(j->item);
        if (!j->item || !chance(&c->d, running ? 0.01 : 0.5))
            continue;
        if (!running)
            check_ended(c, j);
        c->left += running;
        generator_leave(c->g, j->item);
        j->item = NULL;
        c->here--;
    }
}

/* A thousand items. bad: see choose_job; fail: how often a call of the language model fails. */
static void run_crowd(uint64_t seed, double bad, double fail)
{
    size_t before = mem_in_use();
    Crowd c = {.f = formula_new(), .quiet = formula_new(), .d = {seed, 0}};
    c.job = calloc(TOTAL, sizeof *c.job);
    c.g = generator_new(&c.f->lm, NULL);
    c.f->fail_chance = fail;
    while (c.joined < TOTAL || c.here > 0) {
        if (c.joined < TOTAL && c.here < RUNNING && chance(&c.d, 0.6))
            join_some(&c, bad);
        int running = generator_step(c.g);
        assert_true(running <= c.here && (running > 0) == (c.f->rows > 0));
        assert_int_equal(c.f->prompts, running);
        leave_some(&c);
    }
    printf("%d items: %d ended, %d of them with an error, %d left before; %d prefills, %d steps\n",
           TOTAL, c.ended, c.failed, c.left, c.f->starts, c.f->calls);
    assert_int_equal(c.ended + c.left, TOTAL);
    assert_true(c.failed < c.ended / 2);
    generator_free(c.g);
    formula_free(c.f);
    formula_free(c.quiet);
    free(c.job);
    assert_int_equal(mem_in_use(), before);
}

static void test_crowd(void **state)
{
    run_crowd(1, 0, 0);
}

static void test_crowd_bad_logits(void **state)
{
    run_crowd(2, 0.2, 0);
}

/* What fails for several is tried one by one; an item fails when a call for it alone does. */
static void test_crowd_failing(void **state)
{
    run_crowd(3, 0, 0.05);
    run_crowd(4, 0.1, 0.15);
}

/* The generator takes along what is still there. */
static void test_free_running(void **state)
{
    size_t before = mem_in_use();
    Crowd c = {.f = formula_new(), .d = {7, 0}};
    c.job = calloc(TOTAL, sizeof *c.job);
    c.g = generator_new(&c.f->lm, NULL);
    for (int i = 0; i < 6; i++) {
        join_some(&c, 0);
        generator_step(c.g);
    }
    assert_true(c.f->rows > 0);
    generator_free(c.g);
    formula_free(c.f);
    free(c.job);
    assert_int_equal(mem_in_use(), before);
}

/* --- one of many ------------------------------------------------------------------------------------- */

static const int START[] = {2};

/* Steps are as few passes as hold 256 rows each: what a pass holds does not grow with the items. */
static void test_rows_of_a_pass(void **state)
{
    enum { MANY = 100, BEAMS = 6 };
    static FormulaText text[MANY];
    GenOptions o = neutral_options(LIB_HF);
    GenRequest r[MANY];
    GenItem *item[MANY];
    Formula *f = formula_new();
    Generator *g = generator_new(&f->lm, NULL);
    o.num_beams = BEAMS;
    o.n_eos = 0;
    for (int i = 0; i < MANY; i++) {
        text[i] = (FormulaText){.salt = (uint32_t)i, .history = START, .n_history = 1};
        r[i] = formula_request(&text[i], &o);
    }
    assert_true(generator_join(g, r, MANY, item, NULL));
    for (int step = 1; step <= 3; step++) { /* 42 and 42 and 16 items */
        assert_int_equal(generator_step(g), MANY);
        assert_int_equal(f->calls, 3 * step);
    }
    assert_int_equal(f->most_rows, 42 * BEAMS);
    generator_free(g);
    formula_free(f);
}

/* Items that have left take no room: those that come later find it. */
static void test_come_and_go(void **state)
{
    FormulaText text = {.salt = 4, .history = START, .n_history = 1};
    GenOptions o = neutral_options(LIB_HF);
    Formula *f = formula_new();
    Generator *g = generator_new(&f->lm, NULL);
    size_t after_first = 0;
    o.num_beams = 4;
    for (int i = 0; i < 500; i++) {
        GenRequest r = formula_request(&text, &o);
        GenItem *item;
        assert_true(generator_join(g, &r, 1, &item, NULL));
        generator_step(g);
        generator_leave(g, item);
        if (i == 0)
            after_first = mem_in_use();
    }
    assert_int_equal(mem_in_use(), after_first);
    generator_free(g);
    formula_free(f);
}

static bool (*copy_down)(Stream *on, void *to, const void *from, size_t bytes);
static bool row_failed;

/* The first row of logits does not come. */
static bool first_row_fails(Stream *on, void *to, const void *from, size_t bytes)
{
    if (!row_failed && bytes == FORMULA_VOCAB * sizeof(float)) {
        row_failed = true;
        return false;
    }
    return copy_down(on, to, from, bytes);
}

/* Of two that sample, and so take their rows down, one cannot: the other has what it gets alone. */
static void test_one_row_fails(void **state)
{
    FormulaText text[2] = {{.salt = 8, .history = START, .n_history = 1},
                           {.salt = 9, .history = START, .n_history = 1}};
    GenOptions o = neutral_options(LIB_HF);
    GenSequence out[2] = {{0}}, alone = {0};
    Error error[2] = {{0}};
    o.sample = true;
    GenRequest r[2] = {formula_request(&text[0], &o), formula_request(&text[1], &o)};
    Formula *f = formula_new();
    run_alone(f, &text[1], &o, &alone);
    Backend table = *f->on->k;
    copy_down = table.download;
    table.download = first_row_fails;
    f->on->k = &table;
    row_failed = false;
    assert_true(run_formula(f, r, 2, out, 1, error, NULL));
    assert_true(row_failed);
    assert_int_equal(error[0].code, ERR_FAILED);
    assert_string_equal(error[0].message, "cpu: download failed");
    assert_int_equal(error[1].code, ERR_NONE);
    check_sequences(&out[1], &alone, 1);
    sequences_free(out, 2);
    sequences_free(&alone, 1);
    formula_free(f);
}

/* --- memory ------------------------------------------------------------------------------------------ */

enum { FEW = 8, FEW_STEPS = 12 };

static void few_jobs(Job *j)
{
    Dice d = {5, 0};
    for (int i = 0; i < FEW; i++) {
        choose_job(&d, &j[i], 0);
        j[i].o.max_new_tokens = 8;
        j[i].o.n_banned = i % 3;
        j[i].o.n_eos = i % 2;
        j[i].o.sample = i % 4 >= 2;
        j[i].o.num_beams = i % 2 ? 3 : 1;
        j[i].o.num_captions = i % 2 ? 2 : j[i].o.sample ? 3 : 1;
        j[i].o.repetition_penalty = 1.2;
    }
}

/* Half of them join, the others two steps later; one leaves. Returns whether all could join. */
static bool run_few(Generator *g, Job *j, Error *e)
{
    GenRequest r[FEW];
    GenItem *item[FEW];
    for (int i = 0; i < FEW; i++)
        r[i] = formula_request(&j[i].text, &j[i].o);
    for (int step = 0; step < FEW_STEPS; step++) {
        int from = step == 0 ? 0 : step == 2 ? FEW / 2 : FEW, to = step == 0 ? FEW / 2 : FEW;
        if (from < to && !generator_join(g, r + from, to - from, item + from, e))
            return false;
        for (int i = from; i < to; i++)
            j[i].item = item[i];
        if (step == 3) {
            generator_leave(g, j[6].item);
            j[6].item = NULL;
        }
        generator_step(g);
    }
    return true;
}

/* At most one of them fails. */
static void check_few(const Job *j, const GenSequence *want, bool hit)
{
    int failed = 0;
    for (int i = 0; i < FEW; i++) {
        GenSequence got[PLACES] = {{0}};
        if (!j[i].item)
            continue;
        Error error = item_result(j[i].item, j[i].o.num_captions, got);
        assert_true(error.code == ERR_NONE || (hit && error.code == ERR_MEMORY));
        if (!error.code)
            check_sequences(got, want + i * PLACES, j[i].o.num_captions);
        failed += error.code != ERR_NONE;
        sequences_free(got, PLACES);
    }
    assert_true(failed <= 1);
}

/* One run in which the n-th allocation fails; false: there were not so many. */
static bool fail_one(long n, const GenSequence *want)
{
    size_t before = mem_in_use();
    Job job[FEW];
    Error e = {0};
    few_jobs(job);
    Formula *f = formula_new();
    mem_fail_at(n);
    Generator *g = generator_new(&f->lm, &e);
    bool ok = g && run_few(g, job, &e), hit = mem_fail_hit();
    mem_fail_at(0);
    assert_true(ok || (hit && e.code == ERR_MEMORY));
    if (ok)
        check_few(job, want, hit);
    generator_free(g);
    formula_free(f);
    assert_int_equal(mem_in_use(), before);
    return hit;
}

/* Each allocation in turn fails: nothing leaks, one item fails at most or the join as a whole, and the
 * others have what they get alone. */
static void test_memory(void **state)
{
    Formula *f = formula_new();
    GenSequence want[FEW * PLACES] = {{0}};
    Job job[FEW];
    long n = 1;
    few_jobs(job);
    for (int i = 0; i < FEW; i++)
        run_alone(f, &job[i].text, &job[i].o, want + i * PLACES);
    while (fail_one(n, want))
        n++;
    printf("%ld allocations\n", n - 1);
    assert_true(n > 100);
    sequences_free(want, FEW * PLACES);
    formula_free(f);
}

/* One with many rows that finds no room in the lists of a step leaves them as they are for those that
 * run. (An address sanitizer sees what else would be written beside them.) */
static bool join_large(long n, const GenSequence *want)
{
    Job job[FEW];
    GenRequest r[2];
    GenItem *item[2] = {NULL};
    GenSequence got[PLACES] = {{0}};
    Error e = {0};
    Formula *f = formula_new();
    Generator *g = generator_new(&f->lm, &e);
    few_jobs(job);
    GenOptions large = job[2].o;
    large.num_captions = 300;
    r[0] = formula_request(&job[3].text, &job[3].o);
    r[1] = formula_request(&job[2].text, &large);
    assert_true(generator_join(g, r, 1, item, &e));
    generator_step(g);
    mem_fail_at(n);
    bool in = generator_join(g, r + 1, 1, item + 1, &e), hit = mem_fail_hit();
    mem_fail_at(0);
    assert_true(in || hit);
    while (generator_step(g) > 0) {
    }
    assert_int_equal(item_result(item[0], job[3].o.num_captions, got).code, ERR_NONE);
    check_sequences(got, want, job[3].o.num_captions);
    sequences_free(got, PLACES);
    generator_free(g);
    formula_free(f);
    return hit;
}

static void test_large_without_memory(void **state)
{
    Formula *f = formula_new();
    GenSequence want[PLACES] = {{0}};
    Job job[FEW];
    long n = 1;
    few_jobs(job);
    run_alone(f, &job[3].text, &job[3].o, want);
    while (join_large(n, want))
        n++;
    assert_true(n > 5);
    sequences_free(want, PLACES);
    formula_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_crowd_bad_logits),
        cmocka_unit_test(test_crowd_failing),
        cmocka_unit_test(test_free_running),
        cmocka_unit_test(test_rows_of_a_pass),
        cmocka_unit_test(test_come_and_go),
        cmocka_unit_test(test_one_row_fails),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_large_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
