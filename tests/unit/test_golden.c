/* The whole network against the reference (transformers) on the tiny OPT goldens: every activation
 * of every kernel set, and every generation case of both libraries. Prints the worst error. */
#include "golden_check.h"

static void test_activations(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++)
        check_isa(*isa);
}

static void test_generation(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++) {
        Session s = open_session(*isa);
        int hf = check_hf(&s), lavis = check_lavis(&s);
        printf("%s: %d sequences as transformers 5, %d as LAVIS: all ids equal\n", *isa, hf, lavis);
        assert_int_equal(hf, 26);
        assert_int_equal(lavis, 16);
        blip2_session_free(s.s);
        blip2_model_free(s.model);
    }
}

/* --- several rows over shared slots ---------------------------------------------------------------- */

/* A language model with the prompts of both pictures. */
typedef struct Rows {
    Tiny t;
    Encoder en;
    Ctx c;
    Lm *lm;
    int ids[BATCH][64];
    LmPrompt prompt[BATCH];
} Rows;

enum { BEAMS = 5, ROWS = BATCH * BEAMS, V = GOLDEN_VOCAB };

static const int STEP[ROWS] = {6, 45, 133, 54, 115, 68, 185, 46, 204, 217};

/* rows and steps: of each prompt. */
static Rows *rows_open(int rows, int steps)
{
    Rows *s = calloc(1, sizeof *s);
    Error e = {0};
    s->t = tiny_open(cpu_device(&e), NULL, 2);
    encoder_init(&s->en, s->t.on, s->t.m, BATCH);
    ctx_init(&s->c, s->t.on);
    s->lm = opt_lm_new(&s->c, s->t.m, &e);
    assert_non_null(s->lm);
    EncodeJob job[BATCH];
    for (size_t p = 0; p < BATCH; p++)
        job[p] = pixels_job(p);
    encoder_encode(&s->en, job, BATCH);
    for (size_t p = 0; p < BATCH; p++)
        s->prompt[p] = (LmPrompt){.image_embeds = embeds_of(&s->en, &job[p]),
                                  .ids = s->ids[p],
                                  .n = prompt_of(p, s->ids[p]),
                                  .rows = rows,
                                  .steps = steps};
    return s;
}

static void rows_close(Rows *s)
{
    s->lm->free(s->lm);
    ctx_free(&s->c);
    encoder_free(&s->en);
    tiny_close(&s->t);
    free(s);
}

static void take(Rows *s, float *to, const Tensor *logits, const Error *e)
{
    if (!logits)
        fail_msg("%s", e->message);
    assert_true(tensor_download(&s->c, to, logits));
}

static void start(Rows *s, const LmPrompt *p, int n, int *row, float *logits)
{
    Error e = {0};
    take(s, logits, s->lm->prefill(s->lm, p, n, row, &e), &e);
}

static void advance(Rows *s, int n, const int *parent, const int *ids, int *row, float *logits)
{
    Error e = {0};
    take(s, logits, s->lm->advance(s->lm, n, parent, ids, row, &e), &e);
}

/* One step of five beams each for two pictures, from shared slots, equals each beam on its own. It
 * needs one slot a row and no more. */
static void test_shared_slots(void **state)
{
    (void)state;
    static float together[ROWS * V], first[BATCH * V], alone[V];
    int parent[ROWS], row[ROWS], prompt_row[BATCH];
    Rows *s = rows_open(BEAMS, 1);
    Error e = {0};
    start(s, s->prompt, BATCH, prompt_row, first);
    for (int i = 0; i < ROWS; i++)
        parent[i] = prompt_row[i / BEAMS];
    advance(s, ROWS, parent, STEP, row, together);
    assert_null(s->lm->advance(s->lm, 1, parent, STEP, row + 1, &e)); /* all is used */
    assert_non_null(strstr(e.message, "out of slots"));
    s->lm->drop(s->lm, &row[3], 1);
    advance(s, 1, &parent[3], &STEP[3], &row[3], alone); /* what one gave back another takes */
    assert_memory_equal(alone, together + 3 * V, sizeof alone);
    for (int i = 0; i < ROWS; i++) {
        LmPrompt one = s->prompt[i / BEAMS];
        int first_row, next_row;
        one.rows = 1;
        start(s, &one, 1, &first_row, alone);
        assert_memory_equal(alone, first + i / BEAMS * V, sizeof alone);
        advance(s, 1, &first_row, &STEP[i], &next_row, alone);
        assert_memory_equal(alone, together + i * V, sizeof alone);
        s->lm->drop(s->lm, &first_row, 1);
        s->lm->drop(s->lm, &next_row, 1);
        s->lm->release(s->lm, &one);
    }
    rows_close(s);
}

/* Two steps of the first picture's beams; with `grow`, prompts for which the cache has to grow begin in
 * between, again and again. */
static void two_steps(bool grow, float *out)
{
    Rows *s = rows_open(BEAMS, 2);
    int row[BEAMS], next[BEAMS], other[16], parent[BEAMS] = {0};
    float unused[V];
    start(s, &s->prompt[0], 1, &parent[0], out);
    for (int i = 1; i < BEAMS; i++)
        parent[i] = parent[0];
    for (int i = 0; grow && i < 8; i++)
        start(s, &s->prompt[1], 1, &other[i], unused);
    advance(s, BEAMS, parent, STEP, row, out + V);
    s->lm->drop(s->lm, parent, 1);
    for (int i = 8; grow && i < 16; i++)
        start(s, &s->prompt[1], 1, &other[i], unused);
    advance(s, BEAMS, row, STEP + BEAMS, next, out + V + BEAMS * V);
    rows_close(s);
}

static void test_cache_grows(void **state)
{
    (void)state;
    enum { ALL = (1 + 2 * BEAMS) * V };
    static float still[ALL], grown[ALL];
    two_steps(false, still);
    two_steps(true, grown);
    assert_memory_equal(still, grown, sizeof still);
}

/* A teacher-forced pass takes no room for rows and steps, however many are asked for, and leaves
 * nothing behind. */
static void test_forward_keeps_nothing(void **state)
{
    (void)state;
    Rows *s = rows_open(BEAMS, 1);
    LmPrompt p = s->prompt[0];
    size_t after_first = 0;
    p.rows = p.steps = 1 << 20;
    for (int i = 0; i < 50; i++) {
        Error e = {0};
        if (!s->lm->forward(s->lm, &p, &e))
            fail_msg("%s", e.message);
        if (i == 0)
            after_first = mem_in_use();
    }
    assert_int_equal(mem_in_use(), after_first);
    rows_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),           cmocka_unit_test(test_generation),
        cmocka_unit_test(test_shared_slots),          cmocka_unit_test(test_cache_grows),
        cmocka_unit_test(test_forward_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, golden_setup, golden_teardown);
}
