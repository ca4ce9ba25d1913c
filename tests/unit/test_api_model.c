/* Model directories whose parts do not fit each other, and what a program is told about a model. */
#include <unistd.h>

#include "test_api.h"

static char dir[256];

static const char *const FILES[] = {"config.json",           "generation_config.json",
                                    "model.safetensors",     "preprocessor_config.json",
                                    "processor_config.json", "tokenizer.json",
                                    "tokenizer_config.json"};
enum { COUNT = sizeof FILES / sizeof *FILES };

static const char *at(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* The embedded model by links, so that a test can put one file of its own in place. */
static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.200s/blip2-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return -1;
    for (int i = 0; i < COUNT; i++) {
        char from[512];
        snprintf(from, sizeof from, SCENES "/%s", FILES[i]);
        if (symlink(from, at(FILES[i])) != 0)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < COUNT; i++)
        unlink(at(FILES[i]));
    return rmdir(dir);
}

static void refuse(blip2_error_code code, const char *part)
{
    blip2_error err = {0};
    assert_null(blip2_model_load(dir, NULL, &err));
    if (err.code != code || !strstr(err.message, part) ||
        strncmp(err.message, dir, strlen(dir)) != 0)
        fail_msg("expected %d with \"%s\", got %d \"%s\"", code, part, err.code, err.message);
}

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

/* The file with `from` replaced by `to`, in place of the link. */
static void change(const char *name, const char *from, const char *to)
{
    char *text = read_text(at(name)), *hit = strstr(text, from);
    assert_non_null(hit);
    unlink(at(name));
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    fprintf(f, "%.*s%s%s", (int)(hit - text), text, to, hit + strlen(from));
    assert_int_equal(fclose(f), 0);
    free(text);
}

static void test_no_tokenizer(void **state)
{
    blip2_error err = {0};
    unlink(at("tokenizer.json"));
    refuse(BLIP2_BAD_MODEL, "tokenizer: no tokenizer.json");
    blip2_model *m = blip2_debug_load(dir, BLIP2_AUTO, &err);
    assert_non_null(m); /* enough for the plumbing */
    assert_null(blip2_model_info(m)->tokenizer);
    assert_string_equal(blip2_model_info(m)->missing, "tokenizer");
    blip2_session *s = open_session(m, 1, NULL);
    blip2_item item = blip2_item_default();
    blip2_result *r = must_generate(s, &item, 1);
    assert_int_equal(blip2_result_error(r, 0)->code, BLIP2_BAD_MODEL);
    assert_non_null(strstr(blip2_result_error(r, 0)->message, "no tokenizer.json"));
    assert_false(blip2_check(s, &item, &err));
    assert_string_equal(err.message, blip2_result_error(r, 0)->message);
    blip2_result_free(r);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* Somebody else's tokenizer: its ids would reach beyond the table of the language model. */
static void test_foreign_tokenizer(void **state)
{
    unlink(at("tokenizer.json"));
    assert_int_equal(
        symlink(SOURCE_DIR "/tests/data/tokenizers/opt/tokenizer.json", at("tokenizer.json")), 0);
    refuse(BLIP2_BAD_MODEL, "tokenizer: expected ids below the vocabulary's 588, got 50265");
}

static void test_foreign_image_token(void **state)
{
    change("config.json", "\"image_token_index\": 587", "\"image_token_index\": 900000");
    refuse(BLIP2_BAD_MODEL, "image_token_index: expected an integer in [0, 587]");
}

static void test_wrong_sizes(void **state)
{
    change("config.json", "\"image_size\": 96", "\"image_size\": 64");
    refuse(BLIP2_BAD_MODEL, "expected shape [1,17,192], got [1,37,192]");
    change("config.json", "\"num_query_tokens\": 16", "\"num_query_tokens\": 8");
    refuse(BLIP2_BAD_MODEL, "num_query_tokens: expected 8 as in config.json, got 16");
}

static void test_dtypes(void **state)
{
    const blip2_dtype bad[] = {BLIP2_INT4, (blip2_dtype)99, (blip2_dtype)-1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        blip2_error err = {0};
        blip2_load_options o = blip2_load_options_default();
        o.dtype = bad[i];
        assert_null(blip2_model_load(dir, &o, &err));
        assert_int_equal(err.code, BLIP2_USAGE);
        assert_null(blip2_synthetic("opt-2.7b", bad[i], NULL));
    }
}

static void test_names(void **state)
{
    blip2_error err = {0};
    blip2_model *m = blip2_model_load(NULL, NULL, &err);
    assert_non_null(m);
    const blip2_info *info = blip2_model_info(m);
    assert_string_equal(info->architecture, "ViT 6x192, Q-Former 4x192, OPT 4x192");
    assert_string_equal(info->tokenizer, "BPE, 588 tokens");
    assert_int_equal(info->image_size, 96);
    assert_int_equal(info->query_tokens, 16);
    assert_int_equal(info->vocabulary, 588);
    assert_int_equal(info->positions, 256);
    uint64_t sum = 0;
    for (size_t i = 0; i < info->part_count; i++)
        sum += info->parts[i].parameters;
    assert_int_equal(sum, info->parameters);
    assert_in_range(info->parameters, 6500000, 7500000);
    blip2_model_free(m);
    assert_null(blip2_model_load("no such model", NULL, &err));
    assert_int_equal(err.code, BLIP2_NO_MODEL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_tokenizer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_tokenizer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_image_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dtypes, setup, teardown),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
