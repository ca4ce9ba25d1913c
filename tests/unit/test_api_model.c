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
    blip2_model *m = blip2_debug_load(dir, NULL, &err);
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

/* The model loads, and its notice says so. */
static blip2_model *must_notice(const char *part)
{
    blip2_error err = {0};
    blip2_model *m = blip2_model_load(dir, NULL, &err);
    if (!m)
        fail_msg("%s", err.message);
    const char *notice = blip2_model_info(m)->notice;
    if (!notice || !strstr(notice, part))
        fail_msg("expected a notice with \"%s\", got \"%s\"", part, notice ? notice : "none");
    return m;
}

/* The error of item i, which ends before any picture is looked at. */
static void check_fails(blip2_model *m, const blip2_item *item, blip2_error_code code,
                        const char *part)
{
    blip2_error err = {0};
    blip2_session *s = open_session(m, 1, NULL);
    bool ok = blip2_check(s, item, &err);
    if (ok != !part || err.code != code || (part && !strstr(err.message, part)))
        fail_msg("expected %d with \"%s\", got %d \"%s\"", code, part ? part : "", err.code,
                 err.message);
    blip2_session_free(s);
}

static void test_foreign_image_token(void **state)
{
    change("config.json", "\"image_token_index\": 587", "\"image_token_index\": 900000");
    blip2_model_free(must_notice("image_token_index: 900000, beyond the vocabulary of 588"));
    blip2_model_free(
        must_notice("tokenizer: <image> is 587, where config.json's image_token_index says"));
}

/* Tokens that the language model does not know are an error only in a prompt that has one. */
static void test_tokens_beyond(void **state)
{
    change("tokenizer.json", "\"added_tokens\": [",
           "\"added_tokens\": "
           "[{\"id\":588,\"content\":\"<extra>\",\"special\":true,\"normalized\":false},");
    blip2_model *m = must_notice("ids up to 588, beyond the vocabulary of 588 (1 in all)");
    blip2_item item = blip2_item_default();
    check_fails(m, &item, BLIP2_OK, NULL);
    item.prompt = "a <extra> of";
    check_fails(m, &item, BLIP2_FAILED,
                "prompt: token 3: expected an id below the vocabulary's 588, got 588");
    blip2_model_free(m);
}

/* What only HF's rules read is an error under them alone, and only where it counts. */
static void test_unfollowed_settings(void **state)
{
    static const struct {
        const char *setting, *says;
        bool needs_sampling;
    } CASES[] = {{"\"suppress_tokens\": [5]", "suppress_tokens: expected it unset", false},
                 {"\"min_p\": 0.05", "min_p: expected it unset", true},
                 {"\"num_beams\": 0", "num_beams: expected an integer in [1, 1000], got 0", false}};
    char text[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "\"bos_token_id\": 2, %s", CASES[i].setting);
        change("generation_config.json", "\"bos_token_id\": 2", text);
        blip2_model *m = must_notice("generation_config.json: ");
        blip2_item item = blip2_item_default();
        check_fails(m, &item, BLIP2_OK, NULL);
        blip2_options o = blip2_options_default(m, BLIP2_CAPTION, BLIP2_HF);
        item.options = &o;
        bool counts = !CASES[i].needs_sampling;
        check_fails(m, &item, counts ? BLIP2_BAD_MODEL : BLIP2_OK, counts ? CASES[i].says : NULL);
        o.sample = true;
        check_fails(m, &item, BLIP2_BAD_MODEL, CASES[i].says);
        blip2_model_free(m);
        change("generation_config.json", text, "\"bos_token_id\": 2");
    }
}

/* -1 and ids beyond the vocabulary: there is none, and nothing depends on it. */
static void test_ids_that_are_none(void **state)
{
    blip2_error err = {0};
    change("generation_config.json", "\"pad_token_id\": 1", "\"pad_token_id\": -1");
    blip2_model *m = blip2_model_load(dir, NULL, &err);
    assert_non_null(m);
    assert_null(blip2_model_info(m)->notice);
    blip2_model_free(m);
    change("generation_config.json", "\"eos_token_id\": 202", "\"eos_token_id\": 900");
    blip2_model_free(must_notice("eos_token_id: 900, where text_config of config.json says 202"));
    blip2_model_free(must_notice("eos_token_id: 900, beyond the vocabulary of 588"));
    static const char *const NONE[] = {"\"eos_token_id\": 900", "\"eos_token_id\": -1",
                                       "\"eos_token_id\": [900, -7]", "\"eos_token_id\": 202"};
    for (int i = 1; i <= 4; i++) {
        blip2_item item = blip2_item_default();
        m = blip2_model_load(dir, NULL, &err);
        check_fails(m, &item, BLIP2_OK, NULL);
        blip2_options o = blip2_options_default(m, BLIP2_CAPTION, BLIP2_HF);
        o.max_new_tokens = 3;
        item.options = &o;
        check_fails(m, &item, BLIP2_OK, NULL);
        blip2_model_free(m);
        change("generation_config.json", NONE[i - 1], NONE[i % 4]);
    }
}

/* A byte order mark in front of any of the JSON files. */
static void test_byte_order_mark(void **state)
{
    blip2_error err = {0};
    for (int i = 0; i < COUNT; i++)
        if (strstr(FILES[i], ".json"))
            change(FILES[i], "{", "\xef\xbb\xbf{");
    blip2_model *m = blip2_model_load(dir, NULL, &err);
    if (!m)
        fail_msg("%s", err.message);
    blip2_model_free(m);
}

/* 96 pixels trained: others are interpolated and said, up to four times as many along a side. */
static void test_picture_size(void **state)
{
    change("preprocessor_config.json", "\"height\": 96", "\"height\": 384");
    change("preprocessor_config.json", "\"width\": 96", "\"width\": 384");
    blip2_model_free(must_notice(
        "preprocessor_config.json: size: 384 pixels, where the vision tower was trained with 96"));
    change("preprocessor_config.json", "\"height\": 384", "\"height\": 400");
    change("preprocessor_config.json", "\"width\": 384", "\"width\": 400");
    refuse(BLIP2_BAD_MODEL, "size: expected 16 to 384 pixels, at most 4 times the 96");
}

/* The placeholders of HF's processor must be as many as the queries; LAVIS has none. */
static void test_query_counts(void **state)
{
    change("processor_config.json", "\"num_query_tokens\": 16", "\"num_query_tokens\": 8");
    blip2_model *m = must_notice("num_query_tokens: 8, where config.json says 16");
    blip2_options o = blip2_options_default(m, BLIP2_CAPTION, BLIP2_HF);
    blip2_item item = blip2_item_default();
    check_fails(m, &item, BLIP2_OK, NULL);
    item.options = &o;
    check_fails(m, &item, BLIP2_BAD_MODEL,
                "num_query_tokens: expected 16 as in config.json, got 8");
    blip2_model_free(m);
}

static void test_wrong_sizes(void **state)
{
    change("config.json", "\"image_size\": 96", "\"image_size\": 64");
    refuse(BLIP2_BAD_MODEL, "expected shape [1,17,192], got [1,37,192]");
    change("config.json", "\"image_size\": 64", "\"image_size\": 96");
    change("config.json", "\"num_query_tokens\": 16", "\"num_query_tokens\": 8");
    refuse(BLIP2_BAD_MODEL, "tensor \"query_tokens\": expected shape [1,8,192], got [1,16,192]");
}

static void test_dtypes(void **state)
{
    const blip2_dtype bad[] = {(blip2_dtype)(BLIP2_MIXED + 1), (blip2_dtype)99, (blip2_dtype)-1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        blip2_error err = {0};
        blip2_load_options o = blip2_load_options_default();
        o.dtype = bad[i];
        assert_null(blip2_model_load(dir, &o, &err));
        assert_int_equal(err.code, BLIP2_USAGE);
        assert_null(blip2_synthetic("opt-2.7b", bad[i], NULL, NULL));
    }
}

/* Smaller weights in a file, and what the model then says of them. */
static void test_convert_dtypes(void **state)
{
    static const struct {
        blip2_dtype dtype;
        const char *language; /* precision of the language model; NULL: refused */
    } CASES[] = {
        {BLIP2_AUTO, "BF16"},          {BLIP2_INT8, "I8, BF16"}, {BLIP2_INT4, "I4, BF16, I8"},
        {BLIP2_MIXED, "I4, I8, BF16"}, {BLIP2_F32, NULL},        {BLIP2_BF16, NULL},
        {(blip2_dtype)99, NULL}};
    char to[600];
    snprintf(to, sizeof to, "%s/packed", dir);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        blip2_error err = {0};
        blip2_convert_options o = blip2_convert_options_default();
        o.dtype = CASES[i].dtype;
        bool ok = blip2_convert(SCENES, to, &o, &err);
        assert_int_equal(ok, CASES[i].language != NULL);
        assert_int_equal(err.code, ok ? BLIP2_OK : BLIP2_USAGE);
        if (!ok)
            continue;
        blip2_model *m = blip2_model_load(to, NULL, &err);
        assert_non_null(m);
        const blip2_info *info = blip2_model_info(m);
        assert_string_equal(info->parts[info->part_count - 1].name, "language model");
        assert_string_equal(info->parts[info->part_count - 1].dtype, CASES[i].language);
        blip2_model_free(m);
        assert_int_equal(unlink(to), 0);
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
        cmocka_unit_test_setup_teardown(test_tokens_beyond, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unfollowed_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_byte_order_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(test_picture_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_query_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dtypes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_convert_dtypes, setup, teardown),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
