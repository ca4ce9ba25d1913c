/* One model, its weights once in safetensors and once in files of torch.save: what it says of the sample
 * pictures is the same to the last bit. */
#include "test_torch_files.h"

#include "test_api.h"

static Sample sample[SAMPLES];

static int setup(void **state)
{
    open_samples(sample);
    return scratch_make(state);
}

static int teardown(void **state)
{
    close_samples(sample);
    return scratch_remove(state);
}

/* models/scenes in the scratch directory, its weights as pytorch_model.bin. */
static void put_model(void)
{
    static const char *const FILES[] = {"config.json",           "generation_config.json",
                                        "tokenizer.json",        "preprocessor_config.json",
                                        "tokenizer_config.json", "processor_config.json"};
    Error e = {0};
    char from[512];
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        snprintf(from, sizeof from, SCENES "/%s", FILES[i]);
        assert_int_equal(symlink(from, at(FILES[i])), 0);
    }
    Checkpoint *c = ckpt_open(SCENES, &e);
    assert_non_null(c);
    put_torch("pytorch_model.bin", c, 0, 1);
    ckpt_close(c);
}

static blip2_result *captions(const char *dir, blip2_dtype dtype)
{
    blip2_image *images[SAMPLES];
    for (int i = 0; i < SAMPLES; i++)
        images[i] = sample[i].image;
    blip2_model *m = open_model(dir, dtype);
    blip2_session *s = open_session(m, 0, NULL);
    blip2_result *r = ask_all(s, images, SAMPLES, &ITEM(.task = BLIP2_CAPTION));
    blip2_session_free(s);
    blip2_model_free(m);
    return r;
}

static void same_as_safetensors(void **state)
{
    static const blip2_dtype TYPES[] = {BLIP2_AUTO, BLIP2_INT8};
    put_model();
    for (int t = 0; t < 2; t++) {
        blip2_result *a = captions(SCENES, TYPES[t]), *b = captions(scratch, TYPES[t]);
        for (size_t i = 0; i < SAMPLES; i++) {
            assert_string_equal(blip2_result_text(b, i), sample[i].caption);
            assert_same(a, i, b, i);
        }
        blip2_result_free(a);
        blip2_result_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_safetensors)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
