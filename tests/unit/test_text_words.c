/* The parts below the tokenizer: UTF-8, character classes, the word splitter, clean-up, strip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/tokenizer.h"
#include "text/unicode.h"
#include "text/words.h"

static void classes_match_the_table(void **state)
{
    static uint8_t want[0x110000];
    char line[128];
    unsigned first, last;
    char class;
    int ranges = 0;
    FILE *f = fopen(SOURCE_DIR "/data/unicode/gpt2_classes.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%x..%x;%c", &first, &last, &class) != 3)
            continue;
        ranges++;
        for (unsigned c = first; c <= last; c++)
            want[c] = class == 'L' ? CLASS_LETTER : class == 'N' ? CLASS_NUMBER : CLASS_SPACE;
    }
    fclose(f);
    assert_true(ranges > 700);
    for (uint32_t c = 0; c < 0x110000; c++)
        if (unicode_class(c) != want[c])
            fail_msg("U+%04X: class %d, expected %d", c, unicode_class(c), want[c]);
}

/* The lines of data/unicode/FILE without remarks: first, last code point and the rest of the line. */
static int each_line(const char *file, void (*fn)(unsigned first, unsigned last, const char *rest))
{
    char path[512], line[256];
    int n = 0;
    snprintf(path, sizeof path, "%s/data/unicode/%s", SOURCE_DIR, file);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        unsigned first, last;
        char *rest = strchr(line, ';');
        if (*line == '#' || !rest)
            continue;
        if (sscanf(line, "%x..%x;", &first, &last) != 2)
            last = first;
        fn(first, last, rest + 1);
        n++;
    }
    fclose(f);
    return n;
}

static uint8_t seen[0x110000];

static void check_bert(unsigned first, unsigned last, const char *rest)
{
    uint32_t to[BERT_MAPPED_MAX];
    for (unsigned c = first; c <= last; c++) {
        int n = bert_normalised(c, to);
        seen[c] = 1;
        if (strncmp(rest, "DROP", 4) == 0)
            assert_int_equal(n, 0);
        else if (strncmp(rest, "SPACE", 5) == 0)
            assert_true(n == 1 && to[0] == ' ');
        else if (strncmp(rest, "CJK", 3) == 0)
            assert_true(n == 3 && to[0] == ' ' && to[1] == c && to[2] == ' ');
        const char *at = rest + 4;
        for (int i = 0; strncmp(rest, "MAP;", 4) == 0 && i < n; i++) {
            char *end;
            assert_int_equal(to[i], strtoul(at, &end, 16));
            at = end;
        }
    }
}

static void check_punctuation(unsigned first, unsigned last, const char *rest)
{
    for (unsigned c = first; c <= last; c++) {
        assert_int_equal(bert_is_punctuation(c), *rest == 'P');
        seen[c] = 1;
    }
}

static void check_clusters(unsigned first, unsigned last, const char *rest)
{
    for (unsigned c = first; c <= last; c++)
        assert_int_equal(cluster_class(c), *rest == 'E' ? CLUSTER_EXTEND : CLUSTER_PREPEND);
}

static void other_tables(void **state)
{
    uint32_t to[BERT_MAPPED_MAX];
    assert_true(each_line("bert_normalize.txt", check_bert) > 3000);
    for (uint32_t c = 0; c < 0x110000; c++) {
        bool hangul = c >= 0xac00 && c <= 0xd7a3;
        if (!seen[c] && !hangul)
            assert_true(bert_normalised(c, to) == 1 && to[0] == c);
        seen[c] = 0;
    }
    assert_true(bert_normalised(0xac01, to) == 3 && to[0] == 0x1100 && to[1] == 0x1161 &&
                to[2] == 0x11a8);
    assert_true(bert_normalised(0xd788, to) == 2 && to[0] == 0x1112 && to[1] == 0x1175);
    assert_true(each_line("bert_punct.txt", check_punctuation) > 100);
    for (uint32_t c = 0; c < 0x110000; c++)
        assert_true(seen[c] || !bert_is_punctuation(c));
    assert_true(each_line("t5_cluster.txt", check_clusters) > 300);
    assert_int_equal(cluster_class(0xad), CLUSTER_CONTROL);
    assert_int_equal(cluster_class('a'), CLUSTER_OTHER);
}

static void utf8_round_trip(void **state)
{
    for (uint32_t c = 0; c < 0x110000; c++) {
        char s[4];
        uint32_t back;
        bool valid;
        int n = utf8_put(c, s), k = utf8_next(s, (size_t)n, &back, &valid);
        bool surrogate = c >= 0xd800 && c < 0xe000;
        assert_int_equal(valid, !surrogate);
        assert_int_equal(back, surrogate ? 0xfffd : c);
        assert_int_equal(k, surrogate ? 1 : n);
    }
}

/* Unicode 16, section 3.9, tables 3-8 to 3-11, and the rest by the same rule. */
static void invalid_utf8_is_found_and_replaced(void **state)
{
#define R "\xef\xbf\xbd"
    static const struct {
        const char *in, *out;
        long at;
    } CASES[] = {
        {"abc\xc3\xa9", "abc\xc3\xa9", -1},
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A", 0},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A", 0},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B", 0},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A", 0},
        {"ab\xe2\x82", "ab" R, 2},
        {"\xf0\x9f\x98", R, 0},
        {"x\xf0\x9f\x98\x80\xf5y", "x\xf0\x9f\x98\x80" R "y", 5},
        {"\xc3", R, 0},
        {"", "", -1},
    };
#undef R
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        StrBuf out = {0};
        utf8_add_lossy(&out, CASES[i].in, strlen(CASES[i].in));
        assert_string_equal(strbuf_cstr(&out), CASES[i].out);
        assert_int_equal(utf8_invalid(CASES[i].in, strlen(CASES[i].in)), CASES[i].at);
        strbuf_free(&out);
    }
    assert_int_equal(utf8_invalid("a\0\xff", 3), 2);
    assert_int_equal(utf8_cut("a\xc3\xa9z", 4, 2), 1);
    assert_int_equal(utf8_cut("a\xc3\xa9z", 4, 3), 3);
    assert_int_equal(utf8_cut("ab", 2, 9), 2);
}

static void words_follow_the_pattern(void **state)
{
    static const char *const CASES[][2] = {
        {"a photo of", "a| photo| of"},
        {"it's we'll I'm x'd", "it|'s| we|'ll| I|'m| x|'d"},
        {"IT'S", "IT|'|S"},
        {"'re're", "'re|'re"},
        {"x''s", "x|''|s"},
        {" 's", " '|s"},
        {"'story", "'s|tory"},
        {"a  b", "a| | b"},
        {"a   b  ", "a|  | b|  "},
        {"a \n b", "a| \n| b"},
        {"a\nb", "a|\n|b"},
        {"a\n\nb", "a|\n|\n|b"},
        {" ", " "},
        {"  ", "  "},
        {" 12ab!?", " 12|ab|!?"},
        {"a\xc2\xa0 b", "a|\xc2\xa0| b"},
        {"a \xc2\xa0"
         "b",
         "a| |\xc2\xa0|b"},
        {"\xe2\x80\x8b x", "\xe2\x80\x8b| x"},
        {"\xc2\xbd"
         "1\xe2\x85\xa7",
         "\xc2\xbd"
         "1\xe2\x85\xa7"},
        {"e\xcc\x81", "e|\xcc\x81"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const char *s = CASES[i][0];
        StrBuf out = {0};
        for (size_t at = 0, end; at < strlen(s); at = end) {
            end = word_end(s, strlen(s), at);
            strbuf_puts(&out, at ? "|" : "");
            strbuf_add(&out, s + at, end - at);
        }
        assert_string_equal(strbuf_cstr(&out), CASES[i][1]);
        strbuf_free(&out);
    }
}

static void cleanup_follows_the_list(void **state)
{
    static const char *const CASES[][2] = {
        {"who ? me ! no , yes .", "who? me! no, yes."},
        {"dog ' s", "dog's"},
        {"a ' b ' c", "a'b'c"},
        {"do n't I 'm it 's we 've they 're", "don't I'm it's we've they're"},
        {" . . .", "..."},
        {"  .", " ."},
        {"he 'll", "he 'll"},
        {"x ' ", "x'"},
        {"x ' 's", "x''s"},
        {"", ""},
        {" ", " "},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char s[64];
        strcpy(s, CASES[i][0]);
        s[text_cleanup(s, strlen(s))] = 0;
        assert_string_equal(s, CASES[i][1]);
    }
}

static void strip_is_that_of_python(void **state)
{
    static const char *const CASES[][2] = {
        {"  a b \n", "a b"},
        {"\x1c\x1f\t\v\f\r a\x1d", "a"},
        {"\xc2\x85\xc2\xa0\xe1\x9a\x80\xe3\x80\x80x\xe2\x80\xa8\xe2\x80\xaf", "x"},
        {"\xe2\x80\x8bx\xef\xbb\xbf", "\xe2\x80\x8bx\xef\xbb\xbf"},
        {" \n ", ""},
        {"", ""},
        {"abc", "abc"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char s[64];
        strcpy(s, CASES[i][0]);
        s[text_strip(s, strlen(s))] = 0;
        assert_string_equal(s, CASES[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_match_the_table),
        cmocka_unit_test(other_tables),
        cmocka_unit_test(utf8_round_trip),
        cmocka_unit_test(invalid_utf8_is_found_and_replaced),
        cmocka_unit_test(words_follow_the_pattern),
        cmocka_unit_test(cleanup_follows_the_list),
        cmocka_unit_test(strip_is_that_of_python),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
