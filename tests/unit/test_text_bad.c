/* Files of Unigram and WordPiece tokenizers that are damaged, hostile or another's; which of several is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/tokenizer.h"
#include "text_parts.h"

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
        {"tokenizer.json",
         "{" WORDPIECE_PARTS
         ", \"model\": {\"type\": \"WordPiece\", \"max_input_chars_per_word\": 1001}}",
         "max_input_chars_per_word: expected 1 to 1000, got 1001"},
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

/* Of several files the first in this order is read, and when it is bad no other is. */
static void files_in_their_order(void **state)
{
    static const char *const ORDER[] = {"tokenizer.json", "vocab.json", "spiece.model",
                                        "vocab.txt"};
    char dir[] = "/tmp/blip2-text-XXXXXX";
    char *path[4];
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < 4; i++) {
        path[i] = path_join(dir, ORDER[i]);
        FILE *f = fopen(path[i], "w");
        assert_true(f && fputs("\xff", f) >= 0 && fclose(f) == 0);
    }
    for (int i = 0; i < 4; i++) {
        Error e = {0};
        assert_null(tokenizer_load(dir, &e));
        assert_true(e.code == ERR_BAD_MODEL && strncmp(e.message, path[i], strlen(path[i])) == 0);
        unlink(path[i]);
        mem_free(path[i]);
    }
    Error e = {0};
    assert_null(tokenizer_load(dir, &e));
    assert_int_equal(e.code, ERR_NO_MODEL);
    assert_non_null(strstr(
        e.message, "no tokenizer.json, vocab.json with merges.txt, spiece.model or vocab.txt"));
    rmdir(dir);
}

/* What would make much of little. */
static void files_that_swell(void **state)
{
    StrBuf s = {0};
    /* a normalizer_spec with a precompiled_charsmap: one unit, a text of 300 bytes */
    strbuf_add(&s, "\x1a\xb7\x02\x12\xb4\x02\x04\0\0\0\0\0\0\0", 14);
    add_many(&s, "a", 300);
    refused("spiece.model", s.data, s.len, "expected replacements of at most 256 bytes");
    s.len = 0;
    strbuf_add(&s, "\x0a\x83\x10\x0a\x80\x10", 6); /* a piece of 2048 bytes */
    add_many(&s, "a", 2048);
    refused("spiece.model", s.data, s.len, "piece 0: expected at most 1024 bytes, got 2048");
    s.len = 0;
    strbuf_puts(&s, "{" WORDPIECE_PARTS
                    ", \"added_tokens\": [{\"id\": 1, \"normalized\": true, \"content\": \"");
    add_many(&s, "\xea\xb0\x81", 300); /* a syllable becomes three letters of three bytes */
    strbuf_puts(
        &s,
        "\"}], \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"a\", \"vocab\": {\"a\": 0}}}");
    Error e = {0};
    assert_null(tokenizer_parse(s.data, s.len, "tokenizer.json", &e));
    assert_non_null(strstr(e.message, "expected at most 1024 bytes when normalised, got 2700"));
    strbuf_free(&s);
}

static int nothing_leaked(void **state)
{
    return mem_in_use() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(bad_files, nothing_leaked),
        cmocka_unit_test_teardown(files_in_their_order, nothing_leaked),
        cmocka_unit_test_teardown(files_that_swell, nothing_leaked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
