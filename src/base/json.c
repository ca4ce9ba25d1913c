/* base/json.c: documents within bounds of size and depth, members by type. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/kind.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { DEPTH_MAX = 128 };

/* The deepest nesting of brackets outside of strings. JANSSON's own limit is a build constant that
 * distributions change, and recursion depth must be known before it starts. */
static bool depth_ok(const char *s, size_t n)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string) {
            if (s[i] == '\\')
                i++;
            else if (s[i] == '"')
                in_string = false;
        } else if (s[i] == '"') {
            in_string = true;
        } else if (s[i] == '{' || s[i] == '[') {
            if (++depth > DEPTH_MAX)
                return false;
        } else if (s[i] == '}' || s[i] == ']') {
            depth--;
        }
    }
    return true;
}

/* --- what Python's json reads and jansson does not ------------------------------------------------- */

/* The length of the number at s. An integer beyond 64 bits becomes 999999999999999999 (transformers writes
 * "model_max_length": 1000000000000000019884624838656), a real beyond doubles 1e308: who needs such a one
 * will find it out of range. */
static size_t tame_number(char *s)
{
    enum { DIGITS = 18 };
    size_t digits = strspn(s, "0123456789"), all = strspn(s, "0123456789.eE+-");
    if (digits == all && digits > DIGITS) {
        memset(s, '9', DIGITS);
        memset(s + DIGITS, ' ', digits - DIGITS);
    } else if (digits < all && all >= 5 && isinf(strtod(s, NULL))) {
        memset(s, ' ', all);
        memcpy(s, "1e308", 5);
    }
    return all;
}

/* NaN and infinities become {}: nothing where a setting may be anything, and of the wrong type elsewhere. */
static size_t tame_word(char *s)
{
    static const char *const WORDS[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        size_t n = strlen(WORDS[i]);
        if (strncmp(s, WORDS[i], n) == 0) {
            memset(s, ' ', n);
            memcpy(s, "{}", 2);
            return n;
        }
    }
    return 1;
}

/* s is zero-terminated. */
static void tame(char *s)
{
    bool in_string = false;
    while (*s) {
        if (*s == '"')
            in_string = !in_string;
        if (in_string)
            s += *s == '\\' && s[1] ? 2 : 1;
        else
            s += *s >= '0' && *s <= '9' ? tame_number(s) : tame_word(s);
    }
}

/* NULL when that fails, too. */
static json_t *parse_tamed(const char *text, size_t n)
{
    json_error_t why;
    char *copy = mem_alloc(n + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, n);
    copy[n] = 0;
    tame(copy);
    json_t *doc = json_loadb(copy, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    mem_free(copy);
    return doc;
}

/* jansson does not always say so when memory ends: without a place or a reason, or where no more can be had, that
 * was it. */
static bool memory_ended(const json_error_t *why, size_t n)
{
    if (json_error_code(why) == json_error_out_of_memory || why->line < 0 || !*why->text)
        return true;
    void *more = malloc(4 * n + (1 << 16));
    free(more);
    return !more;
}

/* --- documents ------------------------------------------------------------------------------------ */

json_t *json_parse(const char *text, size_t n, const char *name, ErrorCode code, Error *e)
{
    json_error_t why;
    const char *kind;
    size_t mark = utf8_mark(text, n);
    text += mark;
    n -= mark;
    if (!depth_ok(text, n)) {
        error_set(e, code, "%s: JSON: expected at most %d nested levels, got more", name,
                  DEPTH_MAX);
        return NULL;
    }
    json_t *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!doc && json_error_code(&why) != json_error_out_of_memory)
        doc = parse_tamed(text, n);
    if (doc)
        return doc;
    if (memory_ended(&why, n))
        error_memory(e, name, n);
    else if ((kind = file_kind(text, n)))
        error_set(e, code, "%s: file: expected JSON, got %s", name, kind);
    else
        error_set(e, code, "%s: line %d: bad JSON: %s", name, why.line, why.text);
    return NULL;
}

json_t *json_load_path(const char *path, size_t limit, ErrorCode code, Error *e)
{
    size_t n;
    unsigned char *text = file_read(path, limit, &n, code, e);
    if (!text)
        return NULL;
    json_t *doc = json_parse((const char *)text, n, path, code, e);
    mem_free(text);
    return doc;
}

static const char *type_name(const json_t *v)
{
    static const char *const NAMES[] = {"an object", "a list", "a string", "an integer",
                                        "a number",  "true",   "false",    "null"};
    return NAMES[json_typeof(v)];
}

static bool wrong_type(const json_t *v, const char *key, const char *want, const char *file,
                       Error *e)
{
    return error_set(e, ERR_BAD_MODEL, "%s: %s: expected %s, got %s", file, key, want,
                     type_name(v));
}

static const json_t *member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v && !json_is_null(v) ? v : NULL;
}

bool json_get_int(const json_t *o, const char *key, int64_t def, int64_t min, int64_t max,
                  int64_t *out, const char *file, Error *e)
{
    const json_t *v = member(o, key);
    *out = def;
    if (!v)
        return true;
    if (!json_is_integer(v))
        return wrong_type(v, key, "an integer", file, e);
    int64_t got = json_integer_value(v);
    if (got < min || got > max)
        return error_set(e, ERR_BAD_MODEL, "%s: %s: expected an integer in [%lld, %lld], got %lld",
                         file, key, (long long)min, (long long)max, (long long)got);
    *out = got;
    return true;
}

bool json_get_real(const json_t *o, const char *key, double def, double *out, const char *file,
                   Error *e)
{
    const json_t *v = member(o, key);
    *out = def;
    if (!v)
        return true;
    if (!json_is_number(v))
        return wrong_type(v, key, "a number", file, e);
    *out = json_number_value(v);
    return isfinite(*out) ||
           error_set(e, ERR_BAD_MODEL, "%s: %s: expected a finite number", file, key);
}

bool json_get_flag(const json_t *o, const char *key, bool def, bool *out, const char *file,
                   Error *e)
{
    const json_t *v = member(o, key);
    *out = def;
    if (!v)
        return true;
    if (!json_is_boolean(v))
        return wrong_type(v, key, "true or false", file, e);
    *out = json_is_true(v);
    return true;
}

bool json_get_text(const json_t *o, const char *key, const char *def, const char **out,
                   const char *file, Error *e)
{
    const json_t *v = member(o, key);
    *out = def;
    if (!v)
        return true;
    if (!json_is_string(v))
        return wrong_type(v, key, "a string", file, e);
    *out = json_string_value(v);
    return true;
}
