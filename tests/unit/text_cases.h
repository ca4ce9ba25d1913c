/* Recorded tokenizer cases of tests/data/tokenizer_cases, and the ways to check a tokenizer against them. */
#ifndef TEXT_CASES_H
#define TEXT_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sys.h"
#include "text/tokenizer.h"

#define CASES SOURCE_DIR "/tests/data/tokenizer_cases/"

static Tokenizer *load(const char *dir)
{
    Error e = {0};
    Tokenizer *t = tokenizer_load(dir, &e);
    if (!t)
        fail_msg("%s", e.message);
    return t;
}

/* The tokenizer of some of a directory's files alone. */
static Tokenizer *load_some(const char *from, const char *const *name, int n)
{
    char dir[] = "/tmp/blip2-text-XXXXXX";
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < n; i++) {
        char *source = path_join(from, name[i]), *to = path_join(dir, name[i]);
        assert_int_equal(symlink(source, to), 0);
        mem_free(source);
        mem_free(to);
    }
    Tokenizer *t = load(dir);
    for (int i = 0; i < n; i++) {
        char *path = path_join(dir, name[i]);
        unlink(path);
        mem_free(path);
    }
    rmdir(dir);
    return t;
}

static Ids encode(const Tokenizer *t, const char *s, size_t n)
{
    Ids ids = {0};
    Error e = {0};
    if (!tokenizer_encode(t, s, n, true, false, &ids, &e))
        fail_msg("%s", e.message);
    return ids;
}

static void expect_ids(const Ids *got, const json_t *want, int line)
{
    if (got->n != json_array_size(want))
        fail_msg("line %d: %zu ids, expected %zu", line, got->n, json_array_size(want));
    for (size_t i = 0; i < got->n; i++)
        if (got->id[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("line %d: id %zu is %d, expected %d", line, i, got->id[i],
                     (int)json_integer_value(json_array_get(want, i)));
}

static void expect_text(const json_t *row, const char *key, const char *got, size_t n, int line)
{
    const json_t *want = json_object_get(row, key);
    if (n != json_string_length(want) || (n && memcmp(got, json_string_value(want), n) != 0))
        fail_msg("line %d: %s: got \"%.*s\", expected \"%s\"", line, key, (int)n, got ? got : "",
                 json_string_value(want));
}

static void check_decode(const Tokenizer *t, const json_t *row, int line)
{
    const json_t *list = json_object_get(row, "ids");
    Ids ids = {0};
    StrBuf all = {0}, bare = {0};
    for (size_t i = 0; i < json_array_size(list); i++)
        assert_true(ids_push(&ids, (int)json_integer_value(json_array_get(list, i))));
    assert_true(tokenizer_decode(t, ids.id, ids.n, false, &all));
    assert_true(tokenizer_decode(t, ids.id, ids.n, true, &bare));
    expect_text(row, "decoded", all.data, all.len, line);
    expect_text(row, "text_out", bare.data, bare.len, line);
    expect_text(row, "text_clean", bare.data, text_cleanup(bare.data, bare.len), line);
    ids_free(&ids);
    strbuf_free(&all);
    strbuf_free(&bare);
}

static void check_encode(const Tokenizer *t, const json_t *row, int line)
{
    const json_t *text = json_object_get(row, "text");
    Ids ids = encode(t, json_string_value(text), json_string_length(text));
    expect_ids(&ids, json_object_get(row, "ids"), line);
    ids_free(&ids);
}

/* Runs all lines of a case file; returns how many. */
static int run_cases(const Tokenizer *t, const char *path, bool with_encode)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    int n = 0;
    assert_non_null(f);
    while (getline(&line, &cap, f) > 0) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(row);
        n++;
        if (with_encode)
            check_encode(t, row, n);
        check_decode(t, row, n);
        json_decref(row);
    }
    free(line);
    fclose(f);
    return n;
}

/* The ids of one text in a batch case, padding removed. */
static json_t *unpadded(const json_t *row, size_t i)
{
    const json_t *ids = json_array_get(json_object_get(row, "input_ids"), i);
    const json_t *mask = json_array_get(json_object_get(row, "attention_mask"), i);
    json_t *out = json_array();
    for (size_t k = 0; k < json_array_size(ids); k++)
        if (json_integer_value(json_array_get(mask, k)))
            json_array_append(out, json_array_get(ids, k));
    return out;
}

static void check_truncation(const Tokenizer *t, const char *path)
{
    json_t *doc = json_load_file(path, 0, NULL);
    const json_t *cases = json_object_get(doc, "cases"), *texts = json_object_get(doc, "texts");
    assert_true(json_array_size(cases) >= 16);
    for (size_t c = 0; c < json_array_size(cases); c++) {
        const json_t *row = json_array_get(cases, c), *max = json_object_get(row, "max_length");
        const char *side = json_string_value(json_object_get(row, "truncation_side"));
        for (size_t i = 0; i < json_array_size(texts); i++) {
            const char *s = json_string_value(json_array_get(texts, i));
            Ids ids = encode(t, s, strlen(s));
            json_t *want = unpadded(row, i);
            if (json_is_integer(max))
                tokenizer_truncate(t, &ids, (size_t)json_integer_value(max),
                                   strcmp(side, "left") == 0);
            expect_ids(&ids, want, (int)c);
            json_decref(want);
            ids_free(&ids);
        }
    }
    json_decref(doc);
}

#endif
