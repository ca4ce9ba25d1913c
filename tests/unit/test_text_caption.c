/* The clean-up of captions and questions against LAVIS' (tests/data/captions), lower case against Python's
 * (data/unicode/lower.txt) for every code point; long texts; failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "base/sys.h"
#include "text/caption.h"
#include "text/unicode.h"

typedef bool CleanFn(const char *s, size_t n, size_t words, StrBuf *out);

static void check(CleanFn *clean, const json_t *row, const char *key, int line)
{
    const json_t *text = json_object_get(row, "text");
    StrBuf out = {0};
    strbuf_puts(&out, "!"); /* what is there stays */
    assert_true(clean(json_string_value(text), json_string_length(text),
                      (size_t)json_integer_value(json_object_get(row, "words")), &out));
    const json_t *want = json_object_get(row, key);
    size_t k = json_string_length(want);
    if (out.data[0] != '!' || out.len != k + 1 || memcmp(out.data + 1, json_string_value(want), k))
        fail_msg("line %d: %s: got \"%s\", expected \"%s\"", line, key, out.data + 1,
                 json_string_value(want));
    strbuf_free(&out);
}

static void as_lavis(void **state)
{
    json_t *rows =
        json_load_file(SOURCE_DIR "/tests/data/captions/cases.json", JSON_ALLOW_NUL, NULL);
    assert_true(json_array_size(rows) > 300);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        check(caption_clean, json_array_get(rows, i), "caption", (int)i);
        check(question_clean, json_array_get(rows, i), "question", (int)i);
    }
    json_decref(rows);
}

/* --- lower case ---------------------------------------------------------------------------------- */

static uint32_t want_low[0x110000];
static uint8_t want_class[0x110000];

static void read_lower(void)
{
    char line[128], class;
    unsigned first, last, step;
    int by, rows = 0;
    FILE *f = fopen(SOURCE_DIR "/data/unicode/lower.txt", "r");
    assert_non_null(f);
    for (uint32_t c = 0; c < 0x110000; c++)
        want_low[c] = c;
    while (fgets(line, sizeof line, f)) {
        bool moves = sscanf(line, "%x..%x;%u;%d", &first, &last, &step, &by) == 4;
        if (!moves && sscanf(line, "%x..%x;%c", &first, &last, &class) != 3)
            continue;
        rows++;
        for (unsigned c = first; c <= last; c += moves ? step : 1)
            if (moves)
                want_low[c] = (uint32_t)((int)c + by);
            else
                want_class[c] = class == 'C' ? SIGMA_CASED : SIGMA_IGNORED;
    }
    fclose(f);
    assert_true(rows > 700);
}

static void lower_case_is_that_of_python(void **state)
{
    read_lower();
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (unicode_lower(c) != want_low[c])
            fail_msg("U+%04X: U+%04X, expected U+%04X", c, unicode_lower(c), want_low[c]);
        if (sigma_class(c) != want_class[c])
            fail_msg("U+%04X: class %d, expected %d", c, sigma_class(c), want_class[c]);
    }
}

/* --- time and memory ----------------------------------------------------------------------------- */

static void long_texts_take_bounded_time(void **state)
{
    /* A sigma looks past what is ignored, in both directions. */
    static const char *const UNITS[] = {"\xce\xa3", "\xce\xa3\xcc\x81", "\xcc\x81", " ", "a ", "."};
    enum { BYTES = 4 * 1000 * 1000 };
    char *s = mem_alloc(BYTES);
    for (size_t u = 0; u < sizeof UNITS / sizeof *UNITS; u++) {
        size_t k = strlen(UNITS[u]), n = BYTES - BYTES % k;
        for (size_t i = 0; i < n; i++)
            s[i] = UNITS[u][i % k];
        if (u == 2)
            memcpy(s, "\xce\xa3", 2);
        StrBuf out = {0};
        double start = now_ms();
        assert_true(caption_clean(s, n, SIZE_MAX, &out) && question_clean(s, n, SIZE_MAX, &out));
        assert_true(now_ms() - start < 30000);
        strbuf_free(&out);
    }
    mem_free(s);
}

static void failing_allocations(void **state)
{
    static const char TEXT[] = "A photo of \xce\x91\xce\xa3, and \"more\".";
    size_t before = mem_in_use();
    for (int question = 0; question < 2; question++) {
        bool hit = true;
        for (long n = 1; hit; n++) {
            StrBuf out = {0};
            mem_fail_at(n);
            bool ok = (question ? question_clean : caption_clean)(TEXT, strlen(TEXT), CAPTION_WORDS,
                                                                  &out);
            hit = mem_fail_hit();
            mem_fail_at(0);
            assert_int_equal(ok, !hit);
            strbuf_free(&out);
            assert_int_equal(mem_in_use(), before);
            assert_true(hit || n > 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_lavis),
        cmocka_unit_test(lower_case_is_that_of_python),
        cmocka_unit_test(long_texts_take_bounded_time),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
