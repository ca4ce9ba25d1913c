/* A stage-1 model with CLIP's vision tower in LAVIS' files (tests/golden/vitl), against LAVIS' clip_vit.py and transformers'
 * matching model behind it: activations on every kernel set, both together, positions interpolated as LAVIS does
 * it; the same model converted. */
#define GOLDEN SOURCE_DIR "/tests/golden/vitl"
#include "fenced.h"
#include "golden_values.h"

#include "base/file.h"
#include "ckpt/source.h"
#include "models/convert.h"
#include "test_ckpt_files.h"

#define TRAINED GOLDEN "/blip2_pretrained_vitL.pth"

enum { LARGE = 84 };

typedef struct Opened {
    Device *dev;
    Stream *on;
    Blip2 *m;
    Engine en;
} Opened;

static Blip2 *load(Device *dev, const char *path, Error *e)
{
    ModelSource s = {0};
    Blip2 *m = source_find(&s, path, NULL, e) ? model_load(dev, &s, PRESET_NONE, e) : NULL;
    source_free(&s);
    return m;
}

/* The golden file NAME in the scratch directory. */
static void copy(const char *name)
{
    char from[512];
    Error e = {0};
    size_t n;
    snprintf(from, sizeof from, GOLDEN "/%s", name);
    unsigned char *bytes = file_read(from, 1 << 22, &n, ERR_FAILED, &e);
    if (!bytes)
        fail_msg("%s", e.message);
    put(name, bytes, n);
    mem_free(bytes);
}

static Opened *open_model(Device *dev, const char *isa, const char *path)
{
    static Opened o;
    Error e = {0};
    o = (Opened){.dev = dev};
    o.on = dev->stream(dev, &(StreamOptions){.threads = 2, .isa = isa}, &e);
    o.m = o.on ? load(dev, path, &e) : NULL;
    if (!o.m || !engine_init(&o.en, o.m, NULL, o.on, 0, &e))
        fail_msg("%s", e.message);
    return &o;
}

static void close_model(Opened *o)
{
    engine_free(&o->en);
    model_close(o->m);
    o->on->close(o->on);
    o->dev->close(o->dev);
}

/* The tower's output for pictures of the golden `pixels`, against the golden `name`. */
static void check_tower(Opened *o, const char *isa, const char *pixels, int side, const char *name)
{
    static float got[WIDEST];
    for (size_t p = 0; p < BATCH; p++) {
        size_t n;
        EncodeJob job = {.pixels = want_f32(pixels, p, &n), .height = side, .width = side};
        job.parts = 1u << ENCODED_VISION;
        encoder_encode(&o->en.encoder, &job, 1);
        if (!job.encoded)
            fail_msg("%s", job.error.message);
        const Tensor *t = &job.encoded->part[ENCODED_VISION];
        assert_true(tensor_download(&o->en.encoder.c, got, t));
        check_values(isa, name, p, got, (size_t)t->rows * (size_t)t->cols, 5e-5);
        encoder_release(&o->en.encoder, job.encoded);
    }
}

static void check_taps(Opened *o, const char *isa)
{
    for (size_t p = 0; p < BATCH; p++) {
        EncodeJob job = pixels_job(p);
        Taps taps = {.c = &o->en.encoder.c, .isa = isa, .picture = p};
        job.parts = 1u << ENCODED_VISION;
        o->en.encoder.c.tap = compare;
        o->en.encoder.c.tap_user = &taps;
        encoder_encode(&o->en.encoder, &job, 1);
        o->en.encoder.c.tap = NULL;
        assert_int_equal(taps.seen, 1 + 2 + 1);
        encoder_release(&o->en.encoder, job.encoded);
    }
}

/* Scores of every picture with every text. */
static void scores(Opened *o, MatchJob job[BATCH * BATCH])
{
    static int ids[BATCH][64];
    for (int i = 0; i < BATCH * BATCH; i++) {
        int text = i % BATCH;
        job[i] = (MatchJob){.image = pixels_job((size_t)(i / BATCH)), .ids = ids[text]};
        job[i].n_ids = text_of((size_t)text, ids[text]);
    }
    engine_match(&o->en, job, BATCH * BATCH);
    for (int i = 0; i < BATCH * BATCH; i++)
        if (job[i].error.code)
            fail_msg("%s", job[i].error.message);
}

static void check_scores(Opened *o, const char *isa)
{
    MatchJob job[BATCH * BATCH];
    size_t n;
    scores(o, job);
    for (size_t i = 0; i < BATCH * BATCH; i++) {
        double want_itc = (double)want_f32("itc_all_pairs", i / BATCH, &n)[i % BATCH];
        assert_true(fabs((double)job[i].itc - want_itc) < 5e-5);
        if (i / BATCH == i % BATCH)
            check_values(isa, "itm_logits", i / BATCH, job[i].itm, 2, 5e-5);
    }
}

static void check_on(Device *dev, const char *isa)
{
    const char *name = isa ? isa : "fenced device";
    Opened *o = open_model(dev, isa, TRAINED);
    const VitConfig *k = &o->m->config.vit;
    assert_true(k->clip && k->quick_gelu && k->layers == 2 && k->heads == 1 && k->image == PIXELS);
    check_taps(o, name);
    check_tower(o, name, "pixel_values_84", LARGE, "vision.out_84");
    check_scores(o, name);
    close_model(o);
}

static void goldens(void **state)
{
    Error e = {0};
    for (const char *const *isa = card_isas(); *isa; isa++)
        check_on(device_of(*isa, &e), *isa);
    check_on(fenced_device(&e), NULL);
}

/* A config.json beside LAVIS' file is obeyed: four heads instead of the one that a width of 64 has in LAVIS. */
static void other_heads(void **state)
{
    static const char CONFIG[] =
        "{\"model_type\":\"blip-2\",\"architectures\":[\"Blip2ForImageTextRetrieval\"],"
        "\"num_query_tokens\":6,\"image_text_hidden_size\":24,\"vision_config\":{\"hidden_size\":"
        "64,"
        "\"intermediate_size\":256,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"image_"
        "size\":56,"
        "\"patch_size\":14,\"hidden_act\":\"quick_gelu\",\"layer_norm_eps\":1e-5,\"pre_layernorm\":"
        "true},"
        "\"qformer_config\":{\"hidden_size\":64,\"intermediate_size\":96,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":1,\"vocab_size\":120,\"max_position_embeddings\":40,"
        "\"use_qformer_text_input\":true}}";
    Error e = {0};
    put("config.json", CONFIG, sizeof CONFIG - 1);
    copy("blip2_pretrained_vitL.pth");
    copy("clip_vit_L.pth");
    Opened *o = open_model(cpu_device(&e), NULL, at("blip2_pretrained_vitL.pth"));
    check_tower(o, "best", "pixel_values", PIXELS, "heads4.vision.out");
    close_model(o);
}

static bool convert(ConvertTo to, const char *path, Error *e)
{
    ModelSource s = {0};
    bool ok = source_find(&s, TRAINED, NULL, e) &&
              model_convert(&s, path, &(ConvertOptions){.to = to}, e);
    source_free(&s);
    return ok;
}

static void same_scores(Device *dev, const char *path, const MatchJob *want_jobs)
{
    MatchJob got[BATCH * BATCH];
    Opened *o = open_model(dev, NULL, path);
    scores(o, got);
    for (int k = 0; k < BATCH * BATCH; k++) {
        assert_memory_equal(got[k].itm, want_jobs[k].itm, sizeof got[k].itm);
        assert_memory_equal(&got[k].itc, &want_jobs[k].itc, sizeof got[k].itc);
    }
    close_model(o);
}

/* Packed, and under LAVIS' names, it gives the same bits, also on a device that takes no panels; transformers has no class
 * for it. */
static void converted(void **state)
{
    Error e = {0};
    MatchJob want_jobs[BATCH * BATCH];
    Opened *o = open_model(cpu_device(&e), NULL, TRAINED);
    scores(o, want_jobs);
    close_model(o);
    static const ConvertTo FORMS[] = {CONVERT_PACKED, CONVERT_LAVIS};
    for (size_t i = 0; i < 2; i++) {
        if (!convert(FORMS[i], at("model.safetensors"), &e))
            fail_msg("%s", e.message);
        same_scores(cpu_device(&e), at("model.safetensors"), want_jobs);
        Device *rows = fenced_device(&e);
        rows->rows_only = true;
        same_scores(rows, at("model.safetensors"), want_jobs);
    }
    assert_false(convert(CONVERT_HF, at("dir"), &e));
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.message, "vision tower: expected one that transformers' BLIP-2 has"));
    assert_int_not_equal(access(at("dir"), F_OK), 0);
}

static int setup(void **state)
{
    return golden_setup(state) || scratch_make(state);
}

static int teardown(void **state)
{
    golden_teardown(state);
    return scratch_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(goldens), cmocka_unit_test(other_heads),
                                       cmocka_unit_test(converted)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
