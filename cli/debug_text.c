/* blip2 debug tokenize, debug detokenize: JSON lines in, JSON lines out, one for one: a line that
 * cannot be done gives {"error": ...} and the others are still done. */
#include "json.h"
#include "line.h"
#include "memory.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <blip2_debug.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Answers one parsed line; NULL and *err when it cannot be done. */
typedef json_t *(*LineFn)(const blip2_tokenizer *t, json_t *line, blip2_error *err);

static json_t *wrong(blip2_error *err, const char *expected)
{
    err->code = BLIP2_FAILED;
    snprintf(err->message, sizeof err->message, "expected %s, got something else", expected);
    return NULL;
}

static json_t *tokenize(const blip2_tokenizer *t, json_t *line, blip2_error *err)
{
    json_t *text = json_object_get(line, "text"), *answer, *array;
    int *ids = NULL;
    size_t count = 0;
    if (!json_is_string(text))
        return wrong(err, "{\"text\": \"...\"}");
    if (!blip2_tokenizer_encode(t, json_string_value(text), json_string_length(text), &ids, &count,
                                err))
        return NULL;
    answer = json_object();
    array = json_array();
    for (size_t i = 0; i < count; i++)
        json_add(array, json_integer(ids[i]));
    json_put(answer, "ids", array);
    blip2_debug_free(ids);
    return answer;
}

static json_t *detokenize(const blip2_tokenizer *t, json_t *line, blip2_error *err)
{
    json_t *array = json_object_get(line, "ids"), *answer = NULL;
    size_t count = json_array_size(array), n = 0;
    int *ids = need_array(count, sizeof *ids);
    bool good = json_is_array(array);
    for (size_t i = 0; i < count && good; i++) {
        json_t *id = json_array_get(array, i);
        json_int_t value = json_integer_value(id);
        good = json_is_integer(id) && value >= 0 && value <= INT_MAX;
        ids[i] = good ? (int)value : 0;
    }
    char *text = good ? blip2_tokenizer_decode(t, ids, count, &n, err) : NULL;
    if (!good)
        wrong(err, "{\"ids\": [whole numbers]}");
    if (text) {
        answer = json_object();
        json_put(answer, "text", json_text_n(text, n));
    }
    blip2_debug_free(text);
    free(ids);
    return answer;
}

/* One line of input; false: it failed. */
static bool do_line(const blip2_tokenizer *t, const char *line, size_t n, size_t number, LineFn fn)
{
    json_error_t where;
    blip2_error err = {0};
    json_t *answer = NULL;
    json_t *parsed = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (!parsed) {
        err.code = BLIP2_FAILED;
        snprintf(err.message, sizeof err.message, "not JSON, %s", where.text);
    } else {
        answer = fn(t, parsed, &err);
        json_decref(parsed);
    }
    if (!answer) {
        complain("standard input: line %zu: %s", number, err.message);
        json_put(answer = json_object(), "error", json_text(err.message));
    }
    out_json(answer);
    return err.code == BLIP2_OK;
}

/* Output is flushed whenever a line had to be waited for, so that another program can talk to this
 * one line by line. */
static int do_lines(const blip2_tokenizer *t, LineFn fn)
{
    Line l = {0};
    size_t done = 0, failed = 0;
    while (out_flush() && read_line(&l)) {
        done++;
        failed += !do_line(t, l.text, l.length, l.number, fn);
    }
    free(l.text);
    failed += l.failed;
    return failed == 0 ? EXIT_OK : failed - l.failed == done ? EXIT_FAILED : EXIT_SOME;
}

static int run_lines(const Args *args, LineFn fn)
{
    blip2_error err = {0};
    blip2_tokenizer *t = blip2_tokenizer_load(args->operands[0], &err);
    if (!t)
        return report(&err);
    int code = do_lines(t, fn);
    blip2_tokenizer_free(t);
    return code;
}

int run_debug_tokenize(const Args *args)
{
    return run_lines(args, tokenize);
}

int run_debug_detokenize(const Args *args)
{
    return run_lines(args, detokenize);
}
