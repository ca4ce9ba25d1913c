/* The PTB tokenizer against Stanford's: the reference's strings (ptb_cases.json) and lines of odd pieces
 * (make_ptb_lines.py); captions as lines; hostile text; failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "eval/lines.h"
#include "eval/ptb.h"

#define CASES SOURCE_DIR "/tests/data/eval/"

static Ptb *tokenizer(void)
{
    Error e = {0};
    Ptb *p = ptb_new(&e);
    if (!p)
        fail_msg("%s", e.message);
    return p;
}

static StrBuf tokens(Ptb *p, const char *text, size_t n)
{
    StrBuf out = {0};
    Error e = {0};
    if (!ptb_tokenize(p, text, n, &out, &e))
        fail_msg("%s", e.message);
    return out;
}

static void check(Ptb *p, const char *text, const char *want)
{
    StrBuf out = tokens(p, text, strlen(text));
    if (strcmp(out.data ? out.data : "", want) != 0)
        fail_msg("\"%s\": got \"%s\", expected \"%s\"", text, out.data, want);
    strbuf_free(&out);
}

/* All lines at once, as the original was given them. */
static void strings_as_reference(void **state)
{
    Ptb *p = tokenizer();
    StrBuf in = {0}, want = {0};
    json_t *doc = json_load_file(CASES "ptb_cases.json", JSON_ALLOW_NUL, NULL),
           *rows = json_object_get(doc, "lines");
    assert_true(json_array_size(rows) > 500);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *raw = json_object_get(json_array_get(rows, i), "raw");
        line_add(&in, json_string_value(raw), json_string_length(raw));
        strbuf_puts(&want, json_string_value(json_object_get(json_array_get(rows, i), "tok")));
        strbuf_puts(&want, "\n");
    }
    strbuf_puts(&in, "end\n");
    strbuf_puts(&want, "end\n");
    check(p, in.data, want.data);
    strbuf_free(&in);
    strbuf_free(&want);
    json_decref(doc);
    ptb_free(p);
}

static void compare_lines(const char *raw, const char *got, const char *want)
{
    for (int line = 1; *want; line++) {
        size_t r = strcspn(raw, "\n"), g = strcspn(got, "\n"), w = strcspn(want, "\n");
        if (g != w || memcmp(got, want, w) != 0)
            fail_msg("line %d: \"%.*s\": got \"%.*s\", expected \"%.*s\"", line, (int)r, raw,
                     (int)g, got, (int)w, want);
        assert_true(raw[r] && got[g] && want[w]);
        raw += r + 1;
        got += g + 1;
        want += w + 1;
    }
    assert_string_equal(got, "");
}

static void lines_as_original(void **state)
{
    Ptb *p = tokenizer();
    size_t n, m;
    Error e = {0};
    char *raw = (char *)file_read(CASES "ptb_lines.txt", 1 << 22, &n, ERR_FAILED, &e);
    char *want = (char *)file_read(CASES "ptb_tokens.txt", 1 << 22, &m, ERR_FAILED, &e);
    assert_true(raw && want && n > 100000);
    StrBuf out = tokens(p, raw, n);
    compare_lines(raw, out.data, want);
    strbuf_free(&out);
    mem_free(raw);
    mem_free(want);
    ptb_free(p);
}

/* By the original's results, each alone between other lines. */
static void single_strings(void **state)
{
    static const char *const ROWS[][2] = {
        {"z C. <b>bold</b>\nend\n", "z c. <b> bold </b>\nend\n"},
        {"z B. <br> 's\nend\n", "z b <br> 's\nend\n"},
        {"e.g.\nThe dog\n", "e.g.\nthe dog\n"},
        {"a (555) 123-4567 x\nend\n", "a -lrb-555-rrb-\u00a0123-4567 x\nend\n"},
        {"foo@bar.com`won't\u3000\nend\n", "foo@bar.com`won't\nend\n"},
        {"no. 7\nend\n", "no. 7\nend\n"},
        {"no. seven\nend\n", "no seven\nend\n"},
        {"it&apos;s\nend\n", "it 's\nend\n"},
        {"10,000-o'clock 10-o'clock\nend\n", "10,000-o clock 10-o'clock\nend\n"},
        {"5. . .092 0seh\nend\n", "5 092 0seh\nend\n"},
        {"M62\u03a3 Dr.\u03a32coW\nend\n", "m62\u03c2 dr.\u03c32cow\nend\n"},
        {"it&Apos;s &QUOT;\nend\n", "it &apos;s &quot;\nend\n"},
        {"&LT;b&GT; AT&AMP;T\nend\n", "< b > at&t\nend\n"},
    };
    Ptb *p = tokenizer();
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        check(p, ROWS[i][0], ROWS[i][1]);
    ptb_free(p);
}

/* As many lines as captions, whatever is in them. */
static void captions_stay_lines(void **state)
{
    static const char CAPTION[] = "a\r\n dog\u2028on\u2029the\vred\f\xc2\x85 bus\0!";
    StrBuf in = {0};
    Ptb *p = tokenizer();
    line_add(&in, CAPTION, sizeof CAPTION - 1);
    line_add(&in, "", 0);
    StrBuf out = tokens(p, in.data, in.len);
    assert_string_equal(out.data, "a dog on the red bus\n\n");
    strbuf_free(&out);
    check(p, "", "");
    check(p, "no end of line", "no end of line");
    strbuf_free(&in);
    ptb_free(p);
}

/* Time grows with what is looked at: a beginning of a tag or an address without an end is looked at once for each. */
static void hostile_text(void **state)
{
    static const char *const PIECES[] = {"<a ", "a.",   "-",      "a-", "'",
                                         "5,",  "www.", "\u00ad", "a@", "((5"};
    enum { N = 8000 };
    Ptb *p = tokenizer();
    for (size_t i = 0; i < sizeof PIECES / sizeof *PIECES; i++) {
        StrBuf in = {0};
        while (in.len < N)
            strbuf_puts(&in, PIECES[i]);
        double start = now_ms();
        StrBuf out = tokens(p, in.data, in.len);
        assert_true(now_ms() - start < 20000);
        assert_true(utf8_invalid(out.len ? out.data : "", out.len) < 0);
        strbuf_free(&out);
        strbuf_free(&in);
    }
    ptb_free(p);
}

/* More states than are kept: what was forgotten is made again. */
static void many_states(void **state)
{
    unsigned seed = 1;
    StrBuf in = {0};
    Ptb *p = tokenizer();
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1664525u + 1013904223u;
        char c = (char)(' ' + seed / 65536 % 95);
        strbuf_add(&in, &c, 1);
    }
    StrBuf first = tokens(p, in.data, in.len), again = tokens(p, in.data, in.len);
    assert_string_equal(first.data, again.data);
    strbuf_free(&first);
    strbuf_free(&again);
    strbuf_free(&in);
    ptb_free(p);
}

static void without_memory(void **state)
{
    static const char TEXT[] = "Mr. O'Neil isn't (here) <b>at</b> 5 p.m.\nThe U.S.A. \u00bd\n";
    size_t before = mem_in_use();
    for (long k = 1;; k++) {
        Error e = {0};
        StrBuf out = {0};
        mem_fail_at(k);
        Ptb *p = ptb_new(&e);
        bool ok = p && ptb_tokenize(p, TEXT, sizeof TEXT - 1, &out, &e);
        bool hit = mem_fail_hit();
        mem_fail_at(0);
        ptb_free(p);
        strbuf_free(&out);
        assert_int_equal(mem_in_use(), before);
        assert_true(ok == !hit && (e.code == ERR_MEMORY) == hit);
        if (!hit)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_as_reference), cmocka_unit_test(lines_as_original),
        cmocka_unit_test(single_strings),       cmocka_unit_test(captions_stay_lines),
        cmocka_unit_test(hostile_text),         cmocka_unit_test(many_states),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
