/* base/json.c: documents within bounds of size and depth, members by type. */
#include "base/json.h"

#include <math.h>
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
    if (doc)
        return doc;
    if (json_error_code(&why) == json_error_out_of_memory)
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
