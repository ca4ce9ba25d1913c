/* A matching model against transformers (Blip2ForImageTextRetrieval, the projection classes) on its tiny goldens:
 * tower, queries, texts, both together, features and scores, on every kernel set; several together as each
 * alone, to the last bit. */
#define GOLDEN SOURCE_DIR "/tests/golden/itm"
#include "fenced.h"
#include "golden_values.h"

static void check_features(Engine *en, const char *isa)
{
    static const struct {
        FeatureKind kind;
        const char *name;
    } KINDS[] = {{FEATURE_VISION, "vision.out"},    {FEATURE_QUERIES, "qformer.out"},
                 {FEATURE_IMAGE, "image_features"}, {FEATURE_WORDS, "text_embeds"},
                 {FEATURE_TEXT, "text_features"},   {FEATURE_BOTH, "multimodal_embeds"}};
    enum { K = sizeof KINDS / sizeof *KINDS, N = BATCH * K };
    int ids[BATCH][64];
    FeatureJob job[N];
    for (int i = 0; i < N; i++) {
        size_t p = (size_t)(i % BATCH);
        job[i] = (FeatureJob){.kind = KINDS[i / BATCH].kind, .image = pixels_job(p), .ids = ids[p]};
        job[i].n_ids = text_of(p, ids[p]);
    }
    engine_features(en, job, N);
    for (int i = 0; i < N; i++) {
        FeatureJob alone = job[i];
        size_t n = (size_t)job[i].rows * (size_t)job[i].cols;
        if (!job[i].values)
            fail_msg("%s: %s", KINDS[i / BATCH].name, job[i].error.message);
        check_values(isa, KINDS[i / BATCH].name, (size_t)(i % BATCH), job[i].values, n, 5e-5);
        engine_features(en, &alone, 1);
        assert_memory_equal(alone.values, job[i].values, n * sizeof(float));
        mem_free(alone.values);
    }
    for (int i = 0; i < N; i++)
        mem_free(job[i].values);
}

static void check_match(Engine *en, const char *isa)
{
    int ids[BATCH][64];
    MatchJob job[BATCH * BATCH];
    for (int i = 0; i < BATCH * BATCH; i++) {
        int text = i % BATCH;
        job[i] = (MatchJob){.image = pixels_job((size_t)(i / BATCH)), .ids = ids[text]};
        job[i].n_ids = text_of((size_t)text, ids[text]);
    }
    engine_match(en, job, BATCH * BATCH);
    size_t n;
    for (int i = 0; i < BATCH * BATCH; i++) {
        size_t p = (size_t)(i / BATCH), text = (size_t)(i % BATCH);
        if (job[i].error.code)
            fail_msg("%s", job[i].error.message);
        assert_true(fabs((double)job[i].itc - (double)want_f32("itc_all_pairs", p, &n)[text]) <
                    5e-5);
        if (p != text)
            continue;
        check_values(isa, "itm_logits", p, job[i].itm, 2, 5e-5);
        assert_true(fabs((double)job[i].itc - (double)want_f32("itc_sim", p, &n)[0]) < 5e-5);
        MatchJob alone = job[i];
        engine_match(en, &alone, 1);
        assert_memory_equal(alone.itm, job[i].itm, sizeof alone.itm);
        assert_memory_equal(&alone.itc, &job[i].itc, sizeof alone.itc);
    }
}

/* The rows of the words, too, of pictures and texts together. */
static void check_both(Engine *en, const char *isa)
{
    int ids[64];
    Reading r = {.n = 0};
    for (size_t p = 0; p < BATCH; p++) {
        EncodeJob job = pixels_job(p);
        job.parts = 1u << ENCODED_VISION;
        encoder_encode(&en->encoder, &job, 1);
        assert_non_null(job.encoded);
        r = (Reading){.n = 0};
        reading_add(&r, job.encoded, ids, text_of(p, ids));
        Taps taps = {.c = &en->text, .isa = isa, .picture = p};
        ctx_begin(&en->text, ROLE_ENCODE);
        compare(&taps, "multimodal_all", reading_run(&en->text, &en->net->qformer, &r));
        encoder_release(&en->encoder, job.encoded);
    }
}

static void check_on(Device *dev, const char *isa)
{
    Error e = {0};
    const char *name = isa ? isa : "fenced device";
    Tiny t = tiny_open(dev, isa, 2);
    Engine en;
    if (!engine_init(&en, t.m, NULL, t.on, 0, &e))
        fail_msg("%s", e.message);
    for (size_t p = 0; p < BATCH; p++) {
        EncodeJob job = pixels_job(p);
        Taps taps = {.c = &en.encoder.c, .isa = name, .picture = p};
        job.parts = 1u << ENCODED_QUERIES;
        en.encoder.c.tap = compare;
        en.encoder.c.tap_user = &taps;
        encoder_encode(&en.encoder, &job, 1);
        en.encoder.c.tap = NULL;
        assert_non_null(job.encoded);
        assert_int_equal(taps.seen, 1 + 3 + 1 + 4 + 1);
        encoder_release(&en.encoder, job.encoded);
    }
    check_features(&en, name);
    check_match(&en, name);
    check_both(&en, name);
    engine_free(&en);
    tiny_close(&t);
}

static void test_goldens(void **state)
{
    (void)state;
    Error e = {0};
    for (const char *const *isa = card_isas(); *isa; isa++)
        check_on(device_of(*isa, &e), *isa);
    check_on(fenced_device(&e), NULL);
}

/* What the model lacks, and what is no text. */
static void test_refusals(void **state)
{
    (void)state;
    static const int LONG[64], BEYOND[] = {1, 120};
    Error e = {0};
    Tiny t = tiny_open(cpu_device(&e), NULL, 1);
    Engine en;
    assert_true(engine_init(&en, t.m, NULL, t.on, 0, &e));
    FeatureJob job[] = {{.kind = FEATURE_LANGUAGE, .image = pixels_job(0)},
                        {.kind = FEATURE_WORDS, .ids = LONG, .n_ids = 41},
                        {.kind = FEATURE_TEXT, .ids = BEYOND, .n_ids = 2},
                        {.kind = FEATURE_WORDS, .ids = LONG, .n_ids = 40}};
    engine_features(&en, job, 4);
    assert_string_equal(job[0].error.message,
                        "image embeddings of a language model: expected a model "
                        "with a language model, as opt-2.7b, got one without");
    assert_string_equal(job[1].error.message, "text: expected 1 to 40 tokens, got 41");
    assert_string_equal(job[2].error.message,
                        "text: token 1: expected an id below the vocabulary's 120, got 120");
    assert_non_null(job[3].values);
    mem_free(job[3].values);
    EngineRequest r = {.ids = LONG, .image = pixels_job(0), .options = GEN_NEUTRAL};
    assert_false(engine_check(&en, &r, &e));
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.message, "cls.predictions"));
    engine_free(&en);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, golden_setup, golden_teardown);
}
