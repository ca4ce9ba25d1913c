/* Unigram (Flan-T5) and WordPiece (BERT) against the reference's cases, by all loading routes; long texts. */
#include "text_cases.h"
#include "text_parts.h"

#define T5   SOURCE_DIR "/tests/data/tokenizers/flan-t5"
#define BERT SOURCE_DIR "/tests/data/tokenizers/bert"

static const char *const SPIECE[] = {"spiece.model", "added_tokens.json", "special_tokens_map.json",
                                     "tokenizer_config.json"};
static const char *const VOCAB[] = {"vocab.txt", "added_tokens.json", "special_tokens_map.json",
                                    "tokenizer_config.json"};

static Tokenizer *t5[3],
    *bert[3]; /* of tokenizer.json; of the older files; of the vocabulary alone */

/* The tokenizer of one file of a directory, with another file beside it. */
static Tokenizer *load_with(const char *from, const char *name, const char *beside,
                            const char *text)
{
    char dir[] = "/tmp/blip2-text-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *source = path_join(from, name), *to = path_join(dir, name),
         *path = path_join(dir, beside);
    FILE *f = fopen(path, "w");
    assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
    assert_int_equal(symlink(source, to), 0);
    Tokenizer *t = load(dir);
    unlink(to);
    unlink(path);
    rmdir(dir);
    mem_free(source);
    mem_free(to);
    mem_free(path);
    return t;
}

/* The tokenizer of one file under another name. */
static Tokenizer *load_file_as(const char *path, const char *name)
{
    Error e = {0};
    size_t n;
    unsigned char *bytes = file_read(path, 1 << 20, &n, ERR_FAILED, &e);
    Tokenizer *t = bytes ? tokenizer_parse((const char *)bytes, n, name, &e) : NULL;
    if (!t)
        fail_msg("%s", e.message);
    mem_free(bytes);
    return t;
}

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

/* Control pieces and those of the user in a spiece.model; what transformers makes of t5_symbols.model. */
static void pieces_that_are_added_tokens(void **state)
{
    static const int WANT[] = {10, 6, 17, 7, 5, 4, 22, 3, 5, 6, 2, 1};
    Tokenizer *t =
        load_file_as(SOURCE_DIR "/tests/data/tokenizer_beside/t5_symbols.model", "spiece.model");
    Ids ids = encode(t, "a photo<u1> of<c1> oto OTO", 26);
    StrBuf all = {0}, bare = {0};
    assert_int_equal(ids.n, 12);
    for (size_t k = 0; k < ids.n; k++)
        assert_int_equal(ids.id[k], WANT[k]);
    assert_true(tokenizer_decode(t, ids.id, ids.n, false, &all));
    assert_true(tokenizer_decode(t, ids.id, ids.n, true, &bare));
    assert_string_equal(strbuf_cstr(&all), "a photo<u1> of<c1>oto <unk></s>");
    assert_string_equal(strbuf_cstr(&bare), "a photo<u1> ofoto ");
    strbuf_free(&all);
    strbuf_free(&bare);
    ids_free(&ids);
    tokenizer_free(t);
}

/* LAVIS adds the token itself: BertTokenizer.from_pretrained("bert-base-uncased"), then
 * add_special_tokens({"bos_token": "[DEC]"}) (lavis/models/blip2_models/blip2.py). So says a file beside. */
static void the_token_that_lavis_adds(void **state)
{
    static const char MAP[] = "{\"bos_token\": \"[DEC]\"}";
    static const int WANT[] = {101, 1037, 30522, 1038, 1031, 11703, 1033, 102};
    Tokenizer *t = load_with(BERT, "vocab.txt", "special_tokens_map.json", MAP);
    Ids ids = encode(t, "a [DEC] b [dec]", 15);
    StrBuf out = {0};
    assert_int_equal(ids.n, 8);
    for (size_t k = 0; k < ids.n; k++)
        assert_int_equal(ids.id[k], WANT[k]);
    assert_true(tokenizer_is_special(t, 30522) && tokenizer_size(t) == 30523);
    assert_true(tokenizer_decode(t, ids.id, ids.n, true, &out));
    assert_string_equal(strbuf_cstr(&out), "a b [ dec ]");
    strbuf_free(&out);
    ids_free(&ids);
    tokenizer_free(t);
}

/* What is unknown costs ten more than the worst piece: huggingface/tokenizers, models/unigram, K_UNK_PENALTY. Of
 * "xyz" the best is xy + z until yz gains what an unknown x loses. */
static void unknown_characters_have_their_price(void **state)
{
    static const struct {
        double score;
        int ids[3];
    } WORDS[] = {{4.5, {1, 2, 3}}, {5.5, {1, 0, 4}}};
    for (int i = 0; i < 2; i++) {
        StrBuf json = {0};
        Error e = {0};
        strbuf_puts(&json,
                    "{" UNIGRAM_PARTS ", \"model\": {\"type\": \"Unigram\", \"unk_id\": 0, ");
        strbuf_printf(&json,
                      "\"vocab\": [[\"<unk>\", 0], [\"\\u2581\", -1], [\"xy\", -5], [\"z\", -5], "
                      "[\"yz\", %g], [\"y\", -5]]}}",
                      WORDS[i].score);
        Tokenizer *t = tokenizer_parse(json.data, json.len, "tokenizer.json", &e);
        if (!t)
            fail_msg("%s", e.message);
        Ids ids = encode(t, "xyz", 3);
        assert_int_equal(ids.n, 3);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(ids.id[k], WORDS[i].ids[k]);
        ids_free(&ids);
        tokenizer_free(t);
        strbuf_free(&json);
    }
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
    print_message("%s: %zu bytes of \"%.40s\": %zu ids, %.0f ms\n", tokenizer_kind(t), n, unit,
                  ids.n, spent);
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

/* Pieces that all begin alike, as long as they may be, and a text in which none of the long ones fits. */
static void long_pieces_take_bounded_time(void **state)
{
    StrBuf unigram = {0}, wordpiece = {0};
    Error e = {0};
    strbuf_puts(&unigram, "{" UNIGRAM_PARTS ", \"model\": {\"type\": \"Unigram\", \"unk_id\": 0, "
                          "\"vocab\": [[\"<unk>\", 0]");
    strbuf_puts(&wordpiece, "{" WORDPIECE_PARTS ", \"model\": {\"type\": \"WordPiece\", "
                            "\"unk_token\": \"?\", \"max_input_chars_per_word\": 1000, \"vocab\": {"
                            "\"?\": 0, \"a\": 1, \"##a\": 2");
    for (int k = 1; k <= 20; k++) {
        strbuf_puts(&unigram, ", [\"");
        add_many(&unigram, "a", (size_t)k == 1 ? 1 : 1000 + (size_t)k);
        strbuf_puts(&unigram, "\", -1]");
        strbuf_puts(&wordpiece, ", \"##");
        add_many(&wordpiece, "a", 3000 + (size_t)k);
        strbuf_printf(&wordpiece, "\": %d", k + 2);
    }
    strbuf_puts(&unigram, "]}}");
    strbuf_puts(&wordpiece, "}}}");
    Tokenizer *u = tokenizer_parse(unigram.data, unigram.len, "tokenizer.json", &e);
    Tokenizer *w = tokenizer_parse(wordpiece.data, wordpiece.len, "tokenizer.json", &e);
    if (!u || !w)
        fail_msg("%s", e.message);
    check_long(u, "a", 200 * 1000);
    wordpiece.len = 0;
    add_many(&wordpiece, "a", 999);
    strbuf_puts(&wordpiece, " ");
    check_long(w, strbuf_cstr(&wordpiece), 200 * 1000);
    tokenizer_free(u);
    tokenizer_free(w);
    strbuf_free(&unigram);
    strbuf_free(&wordpiece);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_cases),
        cmocka_unit_test(the_vocabulary_alone),
        cmocka_unit_test(pieces_that_are_added_tokens),
        cmocka_unit_test(the_token_that_lavis_adds),
        cmocka_unit_test(unknown_characters_have_their_price),
        cmocka_unit_test(long_texts_take_bounded_time),
        cmocka_unit_test(long_pieces_take_bounded_time),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
