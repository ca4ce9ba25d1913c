/* A packed file's language model against the same weights as they came: every logit of a prompt and of some steps
 * behind it, and the id that each step chooses. */
#include <math.h>

#include "test_ckpt_files.h"

#include "ckpt/source.h"
#include "cpu/cpu.h"
#include "models/convert.h"
#include "task/engine.h"

enum { STEPS = 4, SIDE = 56, VOCAB_MAX = 256 };

static Device *dev;

static Blip2 *load(const char *path)
{
    ModelSource s = {0};
    Error e = {0};
    Blip2 *m = source_find(&s, path, NULL, &e) ? model_load(dev, &s, PRESET_NONE, &e) : NULL;
    source_free(&s);
    if (!m)
        fail_msg("%s", e.message);
    return m;
}

static void pack(const char *dir, const char *to)
{
    ModelSource s = {0};
    Error e = {0};
    if (!source_find(&s, dir, NULL, &e) ||
        !model_convert(&s, to, &(ConvertOptions){.to = CONVERT_PACKED}, &e))
        fail_msg("%s", e.message);
    source_free(&s);
}

static int best(const float *logits, int n)
{
    int at = 0;
    for (int i = 1; i < n; i++)
        at = logits[i] > logits[at] ? i : at;
    return at;
}

/* Logits of the prompt and of STEPS - 1 steps, each with the best id of the last. */
static void run(Stream *on, const Blip2 *m, float logits[STEPS][VOCAB_MAX])
{
    static const int IDS[] = {2, 5, 9, 17};
    static float pixels[3 * SIDE * SIDE];
    Error e = {0};
    Encoder en;
    Ctx c;
    int row, next, vocab = config_language(&m->config).vocab;
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        pixels[i] = (float)(i * 37 % 101 - 50) * 0.03f;
    encoder_init(&en, on, m, 1);
    ctx_init(&c, on);
    Lm *lm = lm_new(&c, m, &e);
    EncodeJob job = {.pixels = pixels, .height = SIDE, .width = SIDE};
    encoder_encode(&en, &job, 1);
    assert_true(lm && job.encoded && vocab <= VOCAB_MAX);
    LmPrompt p = {.image_embeds = &job.encoded->part[ENCODED_EMBEDS],
                  .ids = IDS,
                  .n = 4,
                  .rows = 1,
                  .steps = STEPS};
    const Tensor *t = lm->prefill(lm, &p, 1, &row, &e);
    for (int i = 0; i < STEPS; i++) {
        if (!t)
            fail_msg("%s", e.message);
        assert_true(tensor_download(&c, logits[i], t));
        int id = best(logits[i], vocab);
        if (i + 1 < STEPS) {
            t = lm->advance(lm, 1, &row, &id, &next, &e);
            lm->drop(lm, &row, 1);
            row = next;
        }
    }
    lm->drop(lm, &row, 1);
    encoder_release(&en, job.encoded);
    lm->free(lm);
    ctx_free(&c);
    encoder_free(&en);
}

static void check(const char *isa, const Blip2 *rows, const Blip2 *panels)
{
    static float want[STEPS][VOCAB_MAX], got[STEPS][VOCAB_MAX];
    Error e = {0};
    Stream *on = dev->stream(dev, &(StreamOptions){.threads = 2, .isa = isa}, &e);
    int vocab = config_language(&rows->config).vocab;
    assert_non_null(on);
    run(on, rows, want);
    run(on, panels, got);
    for (int s = 0; s < STEPS; s++) {
        double top = 0;
        for (int i = 0; i < vocab; i++)
            top = fmax(top, fabs((double)want[s][i]));
        for (int i = 0; i < vocab; i++)
            assert_true(fabs((double)want[s][i] - (double)got[s][i]) <= 1e-5 * top);
        assert_int_equal(best(want[s], vocab), best(got[s], vocab));
    }
    on->close(on);
}

static void language(const char *dir)
{
    pack(dir, at("packed.safetensors"));
    Blip2 *rows = load(dir), *panels = load(at("packed.safetensors"));
    assert_int_equal(panels->vit.block[0].fc1.w.layout, LAYOUT_PANEL);
    assert_int_equal(rows->vit.block[0].fc1.w.layout, LAYOUT_ROWS);
    assert_int_equal(panels->vit.cls.layout, LAYOUT_ROWS);
    for (const char *const *isa = cpu_isas(); *isa; isa++)
        check(*isa, rows, panels);
    model_close(rows);
    model_close(panels);
}

static void opt(void **state)
{
    language(SOURCE_DIR "/tests/golden/opt");
}

static void t5(void **state)
{
    language(SOURCE_DIR "/tests/golden/t5");
}

static int setup(void **state)
{
    Error e = {0};
    dev = cpu_device(&e);
    return dev ? scratch_make(state) : -1;
}

static int teardown(void **state)
{
    dev->close(dev);
    return scratch_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(opt), cmocka_unit_test(t5)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
