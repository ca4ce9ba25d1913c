/* Tokenizer files that are damaged, hostile or of another kind: one line naming the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/tokenizer.h"

#define MODEL \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"
#define PARTS    "\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"decoder\":{\"type\":\"ByteLevel\"}"
#define DOC(x)   "{" MODEL "," PARTS "," x "}"
#define VOCAB(v) "{\"model\":{\"type\":\"BPE\",\"vocab\":" v ",\"merges\":[]}," PARTS "}"
#define MERGES(m)                                                                             \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":3},\"merges\":" m \
    "}," PARTS "}"
#define ADDED(a)    DOC("\"added_tokens\":[" a "]")
#define TEMPLATE(t) DOC("\"post_processor\":{\"type\":\"TemplateProcessing\"," t "}")

static Tokenizer *parse(const char *json, Error *e)
{
    return tokenizer_parse(json, strlen(json), "tokenizer.json", e);
}

static void bad_documents(void **state)
{
    static const struct {
        const char *json, *message; /* the message, or how it begins after "tokenizer.json: " */
    } BAD[] = {
        {"", "file: expected JSON, got an empty file"},
        {"{", "line 1: bad JSON"},
        {"\xff\xfe", "line 1: bad JSON"},
        {"[]", "model: expected an object"},
        {"7", "line 1: bad JSON"},
        {"{}", "model: expected an object"},
        {"{\"model\":7}", "model: expected an object"},
        {"{\"model\":{\"type\":\"WordLevel\"}}",
         "model.type: expected BPE, Unigram or WordPiece, got \"WordLevel\""},
        {"{\"model\":{\"type\":\"Unigram\"}}",
         "pre_tokenizer: expected WhitespaceSplit and Metaspace, got another"},
        {"{\"model\":{\"type\":\"WordPiece\"}}", "normalizer: expected BertNormalizer, got none"},
        {"{\"model\":{\"type\":7}}", "model.type: expected BPE, Unigram or WordPiece, got \"?\""},
        {"{\"model\":{\"type\":\"BPE\"}," PARTS "}", "vocab: expected an object"},
        {"{\"a\":1,\"a\":2}", "line 1: bad JSON: duplicate object key"},
        {"{" MODEL ",\"decoder\":{\"type\":\"ByteLevel\"}}",
         "pre_tokenizer: expected ByteLevel, got none"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"decoder\":7}",
         "decoder: expected ByteLevel, got ?"},
        {DOC("\"normalizer\":{\"type\":\"NFC\"}"), "normalizer: expected none, got NFC"},
        {"{\"model\":{\"type\":\"BPE\",\"dropout\":0.5}}", "dropout: not supported"},
        {"{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true}}", "byte_fallback: not supported"},
        {"{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\"}}",
         "end_of_word_suffix: not supported"},
        /* vocabulary */
        {VOCAB("{}"), "vocab: expected an object"},
        {VOCAB("[1]"), "vocab: expected an object"},
        {VOCAB("{\"a\":\"0\"}"), "\"a\": expected an integer id"},
        {VOCAB("{\"a\":1.5}"), "\"a\": expected an integer id"},
        {VOCAB("{\"a\":-1}"), "\"a\": expected an id in [0, 1048575], got -1"},
        {VOCAB("{\"a\":1048576}"), "\"a\": expected an id in [0, 1048575], got 1048576"},
        {VOCAB("{\"a\":9223372036854775807}"), "\"a\": expected an id in [0, 1048575], got 9223"},
        {VOCAB("{\"a\":99999999999999999999}"), "\"a\": expected an id in [0, 1048575], got 9999"},
        {VOCAB("{\"a\":5,\"b\":5}"), "id 5: expected one token, got \"a\" and \"b\""},
        {VOCAB("{\"a\":5,\"a\":6}"), "line 1: bad JSON: duplicate object key"},
        {VOCAB("{\"\xff\":5}"), "line 1: bad JSON"},
        /* merges */
        {MERGES("null"), "merges: expected a list"},
        {MERGES("{}"), "merges: expected a list"},
        {MERGES("[7]"), "merges[0]: expected \"a b\" or [\"a\", \"b\"]"},
        {MERGES("[\"a b\",\"ab\"]"), "merges[1]: expected \"a b\" or [\"a\", \"b\"]"},
        {MERGES("[\"a b c\"]"), "merges[0]: expected \"a b\" or [\"a\", \"b\"]"},
        {MERGES("[[\"a\"]]"), "merges[0]: expected \"a b\" or [\"a\", \"b\"]"},
        {MERGES("[[\"a\",\"b\",\"c\"]]"), "merges[0]: expected \"a b\" or [\"a\", \"b\"]"},
        {MERGES("[[\"a\",1]]"), "merges[0]: expected \"a b\" or [\"a\", \"b\"]"},
        {MERGES("[\"a b\",\"a c\"]"),
         "merge 1: expected tokens of the vocabulary, got \"a\" + \"c\""},
        {MERGES("[[\"x\",\"b\"]]"),
         "merge 0: expected tokens of the vocabulary, got \"x\" + \"b\""},
        {MERGES("[\" \"]"), "merge 0: expected tokens of the vocabulary, got \"\" + \"\""},
        /* added tokens */
        {DOC("\"added_tokens\":{}"), "added_tokens: expected a list"},
        {ADDED("7"), "added_tokens[0]: expected \"content\" and an integer \"id\""},
        {ADDED("{\"content\":\"x\"}"),
         "added_tokens[0]: expected \"content\" and an integer \"id\""},
        {ADDED("{\"id\":9,\"content\":7}"), "added_tokens[0]: expected \"content\" and an integer"},
        {ADDED("{\"id\":-1,\"content\":\"x\"}"), "\"x\": expected an id in [0, 1048575], got -1"},
        {ADDED("{\"id\":4294967298,\"content\":\"ab\"}"),
         "\"ab\": expected an id in [0, 1048575], got 4294967298"},
        {ADDED("{\"id\":1,\"content\":\"x\"}"), "id 1: expected one token, got \"b\" and \"x\""},
        {ADDED("{\"id\":5,\"content\":\"a\"}"), "\"a\": expected one id, got 0 and 5"},
        {ADDED("{\"id\":5,\"content\":\"x\",\"special\":1}"), "special: expected true or false"},
        {ADDED("{\"id\":5,\"content\":\"x\",\"single_word\":true}"), "single_word: not supported"},
        /* template */
        {DOC("\"post_processor\":{\"type\":\"Other\"}"),
         "post_processor: expected TemplateProcessing, got Other"},
        {DOC("\"post_processor\":7"), "post_processor: expected TemplateProcessing, got ?"},
        {TEMPLATE("\"single\":7"), "post_processor: expected one text in \"single\""},
        {TEMPLATE("\"single\":[{\"Sequence\":{}},{\"Sequence\":{}}]"),
         "post_processor: expected one text in \"single\""},
        {TEMPLATE("\"single\":[{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{}}]"),
         "post_processor: special token without ids"},
        {TEMPLATE("\"single\":[{\"SpecialToken\":7},{\"Sequence\":{}}]"),
         "post_processor: special token without ids"},
        {TEMPLATE("\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],"
                  "\"special_tokens\":{\"x\":{\"ids\":[3]}}"),
         "post_processor: expected ids of tokens"},
        {TEMPLATE("\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],"
                  "\"special_tokens\":{\"x\":{\"ids\":[-1]}}"),
         "post_processor: expected ids of tokens"},
        {TEMPLATE("\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],\"special_tokens\":{\"x\":{"
                  "\"ids\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}}"),
         "post_processor: expected at most 16 ids on each side"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Error e = {0};
        char want[256];
        Tokenizer *t = parse(BAD[i].json, &e);
        snprintf(want, sizeof want, "tokenizer.json: %s", BAD[i].message);
        if (t || strncmp(e.message, want, strlen(want)) != 0)
            fail_msg("%s\ngot      \"%s\"\nexpected \"%s\"", BAD[i].json, e.message, want);
        assert_int_equal(e.code, ERR_BAD_MODEL);
        assert_null(strchr(e.message, '\n'));
        assert_int_equal(mem_in_use(), 0);
    }
}

static void deep_nesting_is_refused(void **state)
{
    enum { N = 200000 };
    char *s = mem_alloc(N);
    Error e = {0};
    memset(s, '[', N);
    assert_null(tokenizer_parse(s, N, "tokenizer.json", &e));
    assert_int_equal(e.code, ERR_BAD_MODEL);
    mem_free(s);
}

/* An added token of 1025 bytes, and one of 1024 that is fine. */
static void added_tokens_have_a_limit(void **state)
{
    for (int n = 1024; n <= 1025; n++) {
        char name[1100], json[2000];
        Error e = {0};
        memset(name, 'x', (size_t)n);
        name[n] = 0;
        snprintf(json, sizeof json, ADDED("{\"id\":9,\"content\":\"%s\"}"), name);
        Tokenizer *t = parse(json, &e);
        assert_int_equal(t != NULL, n == 1024);
        assert_int_equal(e.code, n == 1024 ? ERR_NONE : ERR_BAD_MODEL);
        tokenizer_free(t);
    }
}

/* --- what a small file means -------------------------------------------------------------------- */

static void expect(const char *json, const char *text, bool split, const char *want)
{
    Error e = {0};
    Ids ids = {0};
    StrBuf got = {0};
    Tokenizer *t = parse(json, &e);
    if (!t || !tokenizer_encode(t, text, strlen(text), true, split, &ids, &e))
        fail_msg("%s: %s", json, e.message);
    for (size_t i = 0; i < ids.n; i++)
        strbuf_printf(&got, i ? " %d" : "%d", ids.id[i]);
    assert_string_equal(strbuf_cstr(&got), want);
    ids_free(&ids);
    strbuf_free(&got);
    tokenizer_free(t);
}

/* Expectations were computed with tokenizers 0.23.3. */
static void options_of_the_file(void **state)
{
#define V                                                 \
    "{\"a\":0,\"b\":1,\"ab\":2,\"\xc4\xa0\":3,\"\xc4\xa0" \
    "a\":4,\"<u>\":5}"
#define BPE(merges, more) "\"model\":{\"type\":\"BPE\",\"vocab\":" V ",\"merges\":" merges more "}"
#define PRE(flags) \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\"," flags "},\"decoder\":{\"type\":\"ByteLevel\"}"
#define NO_PREFIX PRE("\"add_prefix_space\":false")
#define BOTH      "[\"a b\",[\"\xc4\xa0\",\"a\"]]"
    expect("{" BPE(BOTH, "") "," NO_PREFIX "}", "ab ab", false, "2 3 2");
    expect("{" BPE("[\"\xc4\xa0 a\",\"a b\"]", "") "," NO_PREFIX "}", "ab ab", false, "2 4 1");
    expect("{" BPE(BOTH, "") "," PRE("\"add_prefix_space\":true") "}", "a a", false, "4 4");
    expect("{" BPE(BOTH, "") "," PRE("\"use_regex\":false,\"add_prefix_space\":false") "}", "a  a",
           false, "0 3 4");
    expect("{" BPE(BOTH, "") "," NO_PREFIX "}", "aXXb", false, "2");
    expect("{" BPE(BOTH, ",\"unk_token\":\"<u>\"") "," NO_PREFIX "}", "aXXb", false, "0 5 5 1");
    expect("{" BPE(BOTH, ",\"unk_token\":\"<u>\",\"fuse_unk\":true") "," NO_PREFIX "}", "aXXb",
           false, "0 5 1");
#define TOKENS                                                                          \
    "\"added_tokens\":[{\"id\":6,\"content\":\"<x\",\"special\":true},"                 \
    "{\"id\":7,\"content\":\"<xy>\",\"special\":true,\"lstrip\":true,\"rstrip\":true}," \
    "{\"id\":8,\"content\":\">a\",\"normalized\":false}]"
    expect("{" BPE(BOTH, "") "," TOKENS "," NO_PREFIX "}", "a  <xy>  b<xa", false, "0 7 1 6 0");
    expect("{" BPE(BOTH, "") "," TOKENS "," NO_PREFIX "}", "<xy>a", false, "6 8");
    expect("{" BPE(BOTH, "") "," TOKENS "," NO_PREFIX "}", "b<xb>a", true, "1 1 8");
#define AROUND \
    "\"post_processor\":{\"type\":\"RobertaProcessing\",\"cls\":[\"a\",0],\"sep\":[\"b\",1]}"
    expect("{" BPE(BOTH, "") "," AROUND "," NO_PREFIX "}", "", false, "0 1");
    expect("{" BPE(BOTH, "") "," AROUND "," NO_PREFIX "}", "ab", false, "0 2 1");
}

/* --- directories -------------------------------------------------------------------------------- */

static char dir[64];

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/blip2-load-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static void put(const char *name, const char *text)
{
    char *path = path_join(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    mem_free(path);
}

static int remove_dir(void **state)
{
    static const char *const NAMES[] = {
        "tokenizer.json",          "vocab.json",           "merges.txt", "added_tokens.json",
        "special_tokens_map.json", "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char *path = path_join(dir, NAMES[i]);
        unlink(path);
        mem_free(path);
    }
    return rmdir(dir);
}

static void expect_dir_error(ErrorCode code, const char *what)
{
    Error e = {0};
    char want[256];
    Tokenizer *t = tokenizer_load(dir, &e);
    snprintf(want, sizeof want, "%s%s", dir, what);
    if (t || strncmp(e.message, want, strlen(want)) != 0)
        fail_msg("got \"%s\", expected \"%s\"", e.message, want);
    assert_int_equal(e.code, code);
    assert_int_equal(mem_in_use(), 0);
}

static void bad_directories(void **state)
{
    expect_dir_error(ERR_NO_MODEL, ": tokenizer: no tokenizer.json, vocab.json");
    put("vocab.json", "{\"a\":0,\"b\":1,\"ab\":2,\"</s>\":3}");
    expect_dir_error(ERR_BAD_MODEL, "/merges.txt: ");
    put("merges.txt", "#version: 0.2\na b\nab\n");
    expect_dir_error(ERR_BAD_MODEL, ": merges.txt: merge 1: expected \"a b\"");
    put("merges.txt", "a c\n");
    expect_dir_error(ERR_BAD_MODEL, ": merges.txt: merge 0: expected tokens of the vocabulary");
    put("merges.txt", "a \xff\n");
    expect_dir_error(ERR_BAD_MODEL, ": merges.txt: invalid UTF-8 at byte 2");
    put("merges.txt", "#version: 0.2\r\na b\r\n\r\n");
    put("tokenizer_config.json", "[]");
    expect_dir_error(ERR_BAD_MODEL, "/tokenizer_config.json: expected an object");
    put("tokenizer_config.json", "{\"tokenizer_class\":\"CLIPTokenizer\"}");
    expect_dir_error(ERR_BAD_MODEL, ": tokenizer_config.json: tokenizer_class: expected GPT2Tok");
    put("tokenizer_config.json", "{\"add_bos_token\":true,\"bos_token\":7}");
    expect_dir_error(ERR_BAD_MODEL, ": tokenizer_config.json: expected a text or");
    put("tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}");
    expect_dir_error(ERR_BAD_MODEL, ": tokenizer_config.json: added_tokens_decoder: \"x\"");
    put("tokenizer_config.json", "{\"added_tokens_decoder\":{\"-4\":{\"content\":\"y\"}}}");
    expect_dir_error(ERR_BAD_MODEL, ": tokenizer_config.json: added_tokens_decoder: \"y\"");
    put("tokenizer_config.json", "{\"model_max_length\": 1000000000000000019884624838656}");
    put("added_tokens.json", "{\"x\":\"y\"}");
    expect_dir_error(ERR_BAD_MODEL, ": added_tokens.json: \"x\": expected an integer id");
    put("added_tokens.json", "{\"x\":4}");
    put("special_tokens_map.json", "{\"additional_special_tokens\":[\"x\",\"z\"]}");
    Error e = {0};
    Tokenizer *t = tokenizer_load(dir, &e);
    if (!t)
        fail_msg("%s", e.message);
    Ids ids = {0};
    assert_true(tokenizer_encode(t, "abxz", 4, true, false, &ids, &e));
    assert_int_equal(ids.n, 4); /* </s> in front, ab, x, z with the next id */
    assert_true(ids.id[0] == 3 && ids.id[1] == 2 && ids.id[2] == 4 && ids.id[3] == 5);
    assert_true(tokenizer_is_special(t, 4));
    ids_free(&ids);
    tokenizer_free(t);
    put("tokenizer.json", "{\"model\":{\"type\":\"WordLevel\"}}"); /* always wins */
    expect_dir_error(
        ERR_BAD_MODEL,
        "/tokenizer.json: model.type: expected BPE, Unigram or WordPiece, got \"WordLevel\"");
}

static void failing_allocations(void **state)
{
    static const char JSON[] =
        ADDED("{\"id\":9,\"content\":\"<x>\"},{\"id\":3,\"content\":\"<y>\",\"special\":true}");
    long n = 0;
    for (bool hit = true; hit; n++) {
        Error e = {0};
        mem_fail_at(n + 1);
        Tokenizer *t = parse(JSON, &e);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(t == NULL, hit);
        assert_int_equal(e.code, hit ? ERR_MEMORY : ERR_NONE);
        tokenizer_free(t);
        assert_int_equal(mem_in_use(), 0);
    }
    assert_true(n > 5);
}

static void failing_allocations_of_a_directory(void **state)
{
    long n = 0;
    put("vocab.json", "{\"a\":0,\"b\":1,\"ab\":2,\"</s>\":3}");
    put("merges.txt", "a b\n");
    put("added_tokens.json", "{\"x\":4}");
    for (bool hit = true; hit; n++) {
        Error e = {0};
        mem_fail_at(n + 1);
        Tokenizer *t = tokenizer_load(dir, &e);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(t == NULL, hit);
        assert_int_equal(e.code, hit ? ERR_MEMORY : ERR_NONE);
        tokenizer_free(t);
        assert_int_equal(mem_in_use(), 0);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_documents),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(added_tokens_have_a_limit),
        cmocka_unit_test(options_of_the_file),
        cmocka_unit_test_setup_teardown(bad_directories, make_dir, remove_dir),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test_setup_teardown(failing_allocations_of_a_directory, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
