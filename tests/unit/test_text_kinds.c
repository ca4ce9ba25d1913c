/* Unigram (Flan-T5) and WordPiece (BERT) against the reference's cases, by all loading routes; long texts; bad
 * files. */
#include "text_cases.h"

#define T5   SOURCE_DIR "/tests/data/tokenizers/flan-t5"
#define BERT SOURCE_DIR "/tests/data/tokenizers/bert"

static const char *const SPIECE[] = {"spiece.model", "added_tokens.json", "special_tokens_map.json",
                                     "tokenizer_config.json"};
static const char *const VOCAB[] = {"vocab.txt", "added_tokens.json", "special_tokens_map.json",
                                    "tokenizer_config.json"};

static Tokenizer *t5[3],
    *bert[3]; /* of tokenizer.json; of the older files; of the vocabulary alone */

static int set_up(void **state)
{
    t5[0] = load(T5);
    t5[1] = load_some(T5, SPIECE, 4);
    t5[2] = load_some(T5, SPIECE, 1);
    bert[0] = load(BERT);
    bert[1] = load_some(BERT, VOCAB, 4);
    bert[2] = load_some(BERT, VOCAB, 1);
    return 0;
}

static int tear_down(void **state)
{
    for (int i = 0; i < 3; i++) {
        tokenizer_free(t5[i]);
        tokenizer_free(bert[i]);
    }
    return mem_in_use() != 0;
}

static void all_cases(void **state)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(run_cases(t5[i], CASES "flan-t5.jsonl", true), 831);
        assert_int_equal(run_cases(t5[i], CASES "flan-t5.decode.jsonl", false), 120);
        assert_int_equal(run_cases(bert[i], CASES "bert.jsonl", true), 831);
        assert_int_equal(run_cases(bert[i], CASES "bert.decode.jsonl", false), 120);
        check_truncation(t5[i], CASES "flan-t5.batch.json");
        check_truncation(bert[i], CASES "bert.batch.json");
    }
}

/* google/flan-t5-* and bert-base-uncased as LAVIS loads them: without [DEC] and <image>. */
static void the_vocabulary_alone(void **state)
{
    static const struct {
        Tokenizer **t;
        int n, ids[8];
    } WANT[] = {{&t5[2], 5, {3, 9, 1202, 13, 1}}, {&bert[2], 6, {101, 1037, 6302, 1997, 102}}};
    for (int i = 0; i < 2; i++) {
        Ids ids = encode(*WANT[i].t, "a photo of", 10);
        assert_int_equal(ids.n, 5);
        for (size_t k = 0; k < ids.n; k++)
            assert_int_equal(ids.id[k], WANT[i].ids[k]);
        ids_free(&ids);
    }
    assert_string_equal(tokenizer_kind(t5[2]), "Unigram");
    assert_string_equal(tokenizer_kind(bert[2]), "WordPiece");
    assert_int_equal(tokenizer_size(t5[2]), 32100);
    assert_int_equal(tokenizer_id(t5[2], "<extra_id_0>"), 32099);
    assert_true(tokenizer_is_special(t5[2], 32000) && tokenizer_is_special(t5[2], 1));
    assert_int_equal(tokenizer_size(bert[2]), 30522);
    assert_true(tokenizer_is_special(bert[2], 101) && !tokenizer_is_special(bert[2], 1037));
}

static void check_long(const Tokenizer *t, const char *unit, size_t n)
{
    size_t k = strlen(unit);
    n -= n % k;
    char *s = mem_alloc(n);
    StrBuf out = {0};
    for (size_t i = 0; i < n; i++)
        s[i] = unit[i % k];
    double start = now_ms();
    Ids ids = encode(t, s, n);
    assert_true(tokenizer_decode(t, ids.id, ids.n, true, &out));
    double spent = now_ms() - start;
    print_message("%s: %zu bytes of \"%s\": %zu ids, %.0f ms\n", tokenizer_kind(t), n, unit, ids.n,
                  spent);
    assert_true(spent < 60000);
    ids_free(&ids);
    strbuf_free(&out);
    mem_free(s);
}

static void long_texts_take_bounded_time(void **state)
{
    static const char *const UNITS[] = {
        "a",         " ",        "\xf0\x9f\x98\x80", "the ",        "-",
        "</s>[SEP]", "\xcc\x81", "\xed\x95\x9c",     "\xe2\x96\x81"};
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        check_long(t5[0], UNITS[i], 2 * 1000 * 1000);
        check_long(bert[0], UNITS[i], 2 * 1000 * 1000);
    }
}

/* Each allocation of encode and decode fails once: an error, nothing leaked, `out` as before. */
static void fail_each(const Tokenizer *t)
{
    static const char TEXT[] =
        "a photo of </s> something unbelievably-long, isn't it? \xe4\xb8\xad";
    size_t before = mem_in_use();
    long n = 0;
    for (bool hit = true; hit; n++) {
        Ids ids = {0};
        StrBuf out = {0};
        Error e = {0};
        mem_fail_at(n + 1);
        bool ok = tokenizer_encode(t, TEXT, strlen(TEXT), true, false, &ids, &e);
        assert_true(ok || (e.code == ERR_MEMORY && ids.n == 0));
        ok = ok && tokenizer_decode(t, ids.id, ids.n, true, &out);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(ok, !hit);
        ids_free(&ids);
        strbuf_free(&out);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(n > 4);
}

static void failing_allocations(void **state)
{
    fail_each(t5[0]);
    fail_each(bert[0]);
}

/* --- bad files ----------------------------------------------------------------------------------- */

static void refused(const char *file, const void *bytes, size_t n, const char *want)
{
    char dir[] = "/tmp/blip2-text-XXXXXX";
    Error e = {0};
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    Tokenizer *t = tokenizer_load(dir, &e);
    unlink(path);
    rmdir(dir);
    mem_free(path);
    if (t || !strstr(e.message, want) || !strstr(e.message, file) || e.code != ERR_BAD_MODEL)
        fail_msg("%s, expected %s", t ? "loaded" : e.message, want);
}

static void bad_files(void **state)
{
    static const struct {
        const char *file, *bytes, *want;
    } BAD[] = {
        {"spiece.model", "hello", "expected a sentencepiece model"},
        {"spiece.model",
         "\x0a\x05\x0a\x03"
         "abc",
         "expected a piece for what is unknown"},
        {"spiece.model",
         "\x0a\x07\x0a\x03"
         "abc\x18\x02",
         "expected a token \"</s>\""},
        {"spiece.model",
         "\x0a\x07\x0a\x03"
         "a\xff"
         "c\x18\x02",
         "invalid UTF-8 at byte 1"},
        {"spiece.model", "\x12\x02\x18\x02", "expected 1 (unigram), got 2"},
        {"spiece.model", "\x0a\x7f", "damaged"},
        {"spiece.model", "version https://git-lfs.github.com/spec/v1\n",
         "expected a sentencepiece model"},
        {"spiece.model", "\x1a\x06\x12\x04\xff\xff\xff\x7f", "precompiled_charsmap: damaged"},
        {"vocab.txt", "[PAD]\n[UNK]\n", "expected a token \"[CLS]\""},
        {"vocab.txt", "[PAD]\n[CLS]\n[SEP]\n", "unk_token"},
        {"vocab.txt", "a\nb\na\n", "\"a\": expected one id, got 0 and 2"},
        {"vocab.txt", "a\n\xff\n", "invalid UTF-8 at byte 2"},
        {"vocab.txt", "version https://git-lfs.github.com/spec/v1\n",
         "expected one token per line, got"},
        {"tokenizer.json", "{\"model\": {\"type\": \"WordLevel\"}}",
         "expected BPE, Unigram or WordPiece"},
        {"tokenizer.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}}}",
         "normalizer: expected BertNormalizer"},
        {"tokenizer.json",
         "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]], \"unk_id\": 1}, "
         "\"pre_tokenizer\": {\"pretokenizers\": [{\"type\": \"WhitespaceSplit\"}, {\"type\": "
         "\"Metaspace\"}]}, \"decoder\": {\"type\": \"Metaspace\"}}",
         "unk_id: expected the id of a piece"},
        {"tokenizer.json",
         "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]], \"unk_id\": 0}, "
         "\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"?\"}}",
         "expected base64"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        refused(BAD[i].file, BAD[i].bytes, strlen(BAD[i].bytes), BAD[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_cases),
        cmocka_unit_test(the_vocabulary_alone),
        cmocka_unit_test(long_texts_take_bounded_time),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
