/* tokenizer.json and the files beside it, where they say different things: as transformers reads them
 * (tests/data/tokenizer_beside, made with it): cases.json for BPE, classes.json for Unigram and WordPiece. */
#include "test_ckpt_files.h"

#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"

#define BESIDE  SOURCE_DIR "/tests/data/tokenizer_beside/"
#define DATA    BESIDE "cases.json"
#define CLASSES BESIDE "classes.json"
#define BASE    SOURCE_DIR "/models/scenes/tokenizer.json"

static json_t *load(const char *path)
{
    Error e = {0};
    json_t *doc = json_load_path(path, 1 << 20, ERR_FAILED, &e);
    if (!doc)
        fail_msg("%s", e.message);
    return doc;
}

/* RFC 7396; gives `to` up and returns a new reference. */
static json_t *merge(json_t *to, json_t *patch)
{
    const char *key;
    json_t *v;
    if (!json_is_object(patch)) {
        json_decref(to);
        return json_incref(patch);
    }
    json_t *out = json_is_object(to) ? to : json_object();
    json_object_foreach(patch, key, v)
    {
        if (json_is_null(v))
            json_object_del(out, key);
        else
            json_object_set_new(out, key, merge(json_incref(json_object_get(out, key)), v));
    }
    return out;
}

static void put_json(const char *name, const json_t *doc)
{
    char *text = json_dumps(doc, 0);
    put_text(name, text);
    free(text);
}

static void write_case(json_t *c)
{
    static const char *const ALL[] = {"tokenizer_config.json", "special_tokens_map.json",
                                      "added_tokens.json", "config.json"};
    const char *name;
    const char *kind = json_string_value(json_object_get(c, "base"));
    const char *base = !kind                     ? BASE
                       : strcmp(kind, "t5") == 0 ? BESIDE "t5.json"
                                                 : BESIDE "bert.json";
    json_t *doc = merge(load(base), json_object_get(c, "patch")), *file;
    put_json("tokenizer.json", doc);
    json_decref(doc);
    for (size_t i = 0; i < 4; i++)
        unlink(at(ALL[i]));
    json_object_foreach(json_object_get(c, "files"), name, file)
    {
        put_json(name, file);
    }
}

static void check_ids(const char *name, const char *text, const Ids *got, const json_t *want)
{
    bool same = got->n == json_array_size(want);
    for (size_t i = 0; same && i < got->n; i++)
        same = got->id[i] == json_integer_value(json_array_get(want, i));
    if (same)
        return;
    printf("%s: \"%s\": expected %s, got", name, text, json_dumps(want, 0));
    for (size_t i = 0; i < got->n; i++)
        printf(" %d", got->id[i]);
    printf("\n");
    fail();
}

static void check_text(const Tokenizer *t, const char *name, const char *input, const json_t *ids,
                       const char *text)
{
    Error e = {0};
    Ids got = {0};
    StrBuf back = {0};
    assert_true(tokenizer_encode(t, input, strlen(input), true, false, &got, &e));
    check_ids(name, input, &got, ids);
    assert_true(tokenizer_decode(t, got.id, got.n, true, &back));
    if (strcmp(strbuf_cstr(&back), text) != 0)
        fail_msg("%s: \"%s\": expected \"%s\", got \"%s\"", name, input, text, strbuf_cstr(&back));
    strbuf_free(&back);
    ids_free(&got);
}

static void check_case(json_t *c, const json_t *inputs)
{
    Error e = {0};
    const char *name = json_string_value(json_object_get(c, "name"));
    write_case(c);
    Tokenizer *t = tokenizer_load(scratch, &e);
    if (json_is_true(json_object_get(c, "refused"))) {
        assert_null(t);
        check_error(&e, ERR_BAD_MODEL, scratch, "tokenizer_config.json: ", "false is not supported",
                    NULL);
        return;
    }
    if (!t)
        fail_msg("%s: %s", name, e.message);
    assert_true(json_array_size(inputs) > 4);
    for (size_t k = 0; k < json_array_size(inputs); k++)
        check_text(t, name, json_string_value(json_array_get(inputs, k)),
                   json_array_get(json_object_get(c, "ids"), k),
                   json_string_value(json_array_get(json_object_get(c, "texts"), k)));
    tokenizer_free(t);
}

static void test_cases(void **state)
{
    json_t *doc = load(DATA), *c;
    size_t i;
    json_array_foreach(json_object_get(doc, "cases"), i, c)
    {
        check_case(c, json_object_get(doc, "inputs"));
    }
    assert_true(i > 30);
    json_decref(doc);
    assert_int_equal(mem_in_use(), 0);
}

static void test_classes(void **state)
{
    json_t *doc = load(CLASSES), *c;
    size_t i;
    json_array_foreach(json_object_get(doc, "cases"), i, c)
    {
        const char *kind = json_string_value(json_object_get(c, "base"));
        check_case(c, json_object_get(json_object_get(doc, "inputs"), kind));
    }
    assert_true(i > 50);
    json_decref(doc);
    assert_int_equal(mem_in_use(), 0);
}

/* Any of the files may be what a download left. */
static void test_pointers(void **state)
{
    static const char *const NAMES[] = {"tokenizer_config.json", "special_tokens_map.json",
                                        "added_tokens.json", "tokenizer.json"};
    json_t *doc = load(DATA);
    for (size_t i = 0; i < 4; i++) {
        Error e = {0};
        write_case(json_array_get(json_object_get(doc, "cases"), 0));
        put_text(NAMES[i], "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
        assert_null(tokenizer_load(scratch, &e));
        check_error(&e, ERR_BAD_MODEL, at(NAMES[i]), "expected JSON, got a Git LFS pointer", NULL);
        unlink(at(NAMES[i]));
    }
    json_decref(doc);
}

/* Numbers that no integer holds (transformers' model_max_length), and those that only look long. */
static void test_long_numbers(void **state)
{
    static const char *const NUMBERS[] = {
        "1000000000000000019884624838656", "-1000000000000000019884624838656",
        "0.00016276041666666666",          "0.1234567890123456789012e-7",
        "12345678901234567890123.5",       "1000000000000000000000E+3"};
    json_t *doc = load(DATA);
    write_case(json_array_get(json_object_get(doc, "cases"), 0));
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        char text[200];
        Error e = {0};
        snprintf(text, sizeof text, "{\"tokenizer_class\": \"GPT2Tokenizer\", \"x\": [%s, %s]}",
                 NUMBERS[i], NUMBERS[i]);
        put_text("tokenizer_config.json", text);
        Tokenizer *t = tokenizer_load(scratch, &e);
        if (!t)
            fail_msg("%s: %s", NUMBERS[i], e.message);
        tokenizer_free(t);
    }
    json_decref(doc);
}

/* Each allocation of loading fails once. */
static void fail_each(json_t *c)
{
    write_case(c);
    for (long n = 1;; n++) {
        Error e = {0};
        mem_fail_at(n);
        Tokenizer *t = tokenizer_load(scratch, &e);
        bool hit = mem_fail_hit();
        mem_fail_at(0);
        tokenizer_free(t);
        if (!hit)
            break;
        assert_null(t);
        assert_int_equal(e.code, ERR_MEMORY);
    }
}

static void test_no_memory(void **state)
{
    json_t *doc = load(DATA), *classes = load(CLASSES), *cases = json_object_get(classes, "cases");
    fail_each(json_array_get(json_object_get(doc, "cases"), 11));
    fail_each(json_array_get(cases, 0));
    fail_each(json_array_get(cases, json_array_size(cases) - 1));
    json_decref(doc);
    json_decref(classes);
    assert_int_equal(mem_in_use(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_classes),
                                       cmocka_unit_test(test_pointers),
                                       cmocka_unit_test(test_long_numbers),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
