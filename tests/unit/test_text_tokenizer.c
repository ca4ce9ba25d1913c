/* The OPT tokenizer against the reference's cases, by both loading routes; long texts; bad texts. */
#include "text_cases.h"

#define OPT SOURCE_DIR "/tests/data/tokenizers/opt"

static Tokenizer *opt;   /* from tokenizer.json */
static Tokenizer *files; /* from vocab.json and merges.txt */

static int set_up(void **state)
{
    static const char *const NAMES[] = {"vocab.json", "merges.txt", "added_tokens.json",
                                        "special_tokens_map.json", "tokenizer_config.json"};
    double start = now_ms();
    opt = load(OPT);
    print_message("tokenizer.json loaded in %.0f ms\n", now_ms() - start);
    files = load_some(OPT, NAMES, 5);
    return 0;
}

static int tear_down(void **state)
{
    tokenizer_free(opt);
    tokenizer_free(files);
    return mem_in_use() != 0;
}

/* --- tests -------------------------------------------------------------------------------------- */

static void all_cases(void **state)
{
    assert_int_equal(run_cases(opt, CASES "opt.jsonl", true), 831);
    assert_int_equal(run_cases(opt, CASES "opt.decode.jsonl", false), 120);
}

static void all_cases_from_vocab_and_merges(void **state)
{
    assert_int_equal(run_cases(files, CASES "opt.jsonl", true), 831);
    assert_int_equal(run_cases(files, CASES "opt.decode.jsonl", false), 120);
}

static void truncation(void **state)
{
    check_truncation(opt, CASES "opt.batch.json");
}

static void lookups(void **state)
{
    assert_int_equal(tokenizer_size(opt), 50266);
    assert_int_equal(tokenizer_size(files), 50266);
    assert_string_equal(tokenizer_kind(opt), "BPE");
    assert_int_equal(tokenizer_id(opt, "<image>"), 50265);
    assert_int_equal(tokenizer_id(opt, "\xc4\x8a"), 50118); /* newline */
    assert_int_equal(tokenizer_id(opt, "no such token"), -1);
    static const int SPECIAL[] = {1, 2, 50265}, PLAIN[] = {-1, 0, 3, 4, 50264, 50266, 1 << 30};
    for (int i = 0; i < 3; i++)
        assert_true(tokenizer_is_special(opt, SPECIAL[i]) &&
                    tokenizer_is_special(files, SPECIAL[i]));
    for (int i = 0; i < 7; i++)
        assert_false(tokenizer_is_special(opt, PLAIN[i]) || tokenizer_is_special(files, PLAIN[i]));
}

static void special_tokens_can_be_plain_text(void **state)
{
    static const char TEXT[] = "a</s>b";
    Ids ids = {0};
    StrBuf out = {0};
    assert_true(tokenizer_encode(opt, TEXT, 6, false, true, &ids, NULL));
    for (size_t i = 0; i < ids.n; i++)
        assert_false(tokenizer_is_special(opt, ids.id[i]));
    assert_true(tokenizer_decode(opt, ids.id, ids.n, true, &out));
    assert_string_equal(strbuf_cstr(&out), TEXT);
    ids.n = 0;
    assert_true(tokenizer_encode(opt, TEXT, 6, false, false, &ids, NULL));
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.id[1], 2);
    ids_free(&ids);
    strbuf_free(&out);
}

/* Another vocabulary: 588 ids, newline 202, five added tokens. */
static void the_embedded_model(void **state)
{
    Tokenizer *t = load(SOURCE_DIR "/models/scenes");
    Ids ids = encode(t, "\n<image>", 8);
    assert_int_equal(tokenizer_size(t), 588);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.id[0], 2);
    assert_int_equal(ids.id[1], 202);
    assert_int_equal(ids.id[2], 587);
    ids_free(&ids);
    tokenizer_free(t);
}

static void invalid_utf8_is_refused_with_its_offset(void **state)
{
    static const struct {
        const char *text, *message;
    } BAD[] = {
        {"abc\xff", "text: invalid UTF-8 at byte 3"},
        {"\xc3", "text: invalid UTF-8 at byte 0"},
        {"a\xed\xa0\x80z", "text: invalid UTF-8 at byte 1"},
        {"ab\xf4\x90\x80\x80", "text: invalid UTF-8 at byte 2"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Ids ids = {0};
        Error e = {0};
        assert_false(
            tokenizer_encode(opt, BAD[i].text, strlen(BAD[i].text), true, false, &ids, &e));
        assert_int_equal(e.code, ERR_USAGE);
        assert_string_equal(e.message, BAD[i].message);
        assert_int_equal(ids.n, 0);
        ids_free(&ids);
    }
}

/* n bytes of a repeated text, there and back; every one of them in seconds. */
static void check_long(const char *unit, size_t n)
{
    size_t k = strlen(unit);
    n -= n % k;
    char *s = mem_alloc(n);
    StrBuf out = {0};
    for (size_t i = 0; i < n; i++)
        s[i] = unit[i % k];
    double start = now_ms();
    Ids ids = encode(opt, s, n);
    assert_true(tokenizer_decode(opt, ids.id, ids.n, true, &out));
    double spent = now_ms() - start;
    print_message("%zu bytes of \"%s\": %zu ids, %.0f ms\n", n, unit, ids.n, spent);
    assert_true(spent < 60000);
    if (!strstr(unit, "</s>"))
        assert_true(out.len == n && memcmp(out.data, s, n) == 0);
    ids_free(&ids);
    strbuf_free(&out);
    mem_free(s);
}

static void long_texts_take_bounded_time(void **state)
{
    static const char *const UNITS[] = {"a", " ", "\xf0\x9f\x98\x80", "ab", "the ", "-", "</s>",
                                        "<", "'"};
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
        check_long(UNITS[i], 100 * 1000);
    for (size_t i = 0; i < 3; i++)
        check_long(UNITS[i], 5 * 1000 * 1000);
}

/* Each allocation of encode and decode fails once: an error, nothing leaked, `out` as before. */
static void failing_allocations(void **state)
{
    static const char TEXT[] = "a photo of </s> something unbelievably-long, isn't it?";
    size_t before = mem_in_use();
    long n = 0;
    for (bool hit = true; hit; n++) {
        Ids ids = {0};
        StrBuf out = {0};
        Error e = {0};
        mem_fail_at(n + 1);
        bool ok = tokenizer_encode(opt, TEXT, strlen(TEXT), true, false, &ids, &e);
        assert_true(ok || (e.code == ERR_MEMORY && ids.n == 0));
        ok = ok && tokenizer_decode(opt, ids.id, ids.n, true, &out);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(ok, !hit);
        ids_free(&ids);
        strbuf_free(&out);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_cases),
        cmocka_unit_test(all_cases_from_vocab_and_merges),
        cmocka_unit_test(truncation),
        cmocka_unit_test(lookups),
        cmocka_unit_test(special_tokens_can_be_plain_text),
        cmocka_unit_test(the_embedded_model),
        cmocka_unit_test(invalid_utf8_is_refused_with_its_offset),
        cmocka_unit_test(long_texts_take_bounded_time),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
