/* Captions by the Q-Former alone (LAVIS Blip2Qformer.generate) on a tiny matching model with the head for words:
 * next-word logits, and ids of greedy and beam search. The reference is a statement of the model in numpy in
 * which words see the queries and each other under one mask; ours keeps keys and values in a cache. */
#define GOLDEN SOURCE_DIR "/tests/golden/caption"
#include "golden_check.h"

static const float *logits_of(Engine *en, size_t picture)
{
    static float got[8 * 120];
    int fed[8];
    Error e = {0};
    EncodeJob job = pixels_job(picture);
    job.parts = 1u << ENCODED_VISION;
    encoder_encode(&en->encoder, &job, 1);
    assert_non_null(job.encoded);
    for (int i = 0; i < 8; i++)
        fed[i] = (int)want_int("decoder_input_ids", picture, (size_t)i);
    LmPrompt p = {
        .image_embeds = &job.encoded->part[ENCODED_VISION], .decoder = fed, .n_decoder = 8};
    Tensor *logits = en->lm->forward(en->lm, &p, &e);
    if (!logits)
        fail_msg("%s", e.message);
    assert_true(tensor_download(&en->text, got, logits));
    encoder_release(&en->encoder, job.encoded);
    return got;
}

static void test_logits(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++) {
        Error e = {0};
        Tiny t = tiny_open(device_of(*isa, &e), *isa, 2);
        Engine en;
        double worst = 0;
        assert_true(engine_init(&en, t.m, NULL, t.on, 0, &e));
        assert_int_equal(en.lm->start, 119);
        for (size_t p = 0; p < BATCH; p++) {
            size_t n;
            const float *g = want_f32("logits", p, &n), *got = logits_of(&en, p);
            assert_int_equal(n, 8 * 120);
            for (size_t i = 0; i < n; i++)
                worst = fmax(worst, fabs((double)got[i] - (double)g[i]));
        }
        printf("%s: worst error of a logit %.2e\n", *isa, worst);
        assert_true(worst < 1e-4);
        engine_free(&en);
        tiny_close(&t);
    }
}

static void test_generation(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++) {
        Session s = open_session(*isa);
        assert_int_equal(check_lavis(&s), 8);
        blip2_session_free(s.s);
        blip2_model_free(s.model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits),
                                       cmocka_unit_test(test_generation)};
    no_prompt = true;
    return cmocka_run_group_tests(tests, golden_setup, golden_teardown);
}
