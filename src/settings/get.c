/* settings/get.c: values of a configuration by path and type, and all of it as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "settings/settings.h"

const Node *settings_at(const Node *in, const char *path)
{
    const Node *n = node_at(in, path);
    return n && n->kind != NODE_NULL ? n : NULL;
}

/* The value, or an error that says what was expected. */
static const Node *needed(const Node *in, const char *path, const char *want, Error *e)
{
    const Node *n = settings_at(in, path);
    if (!n)
        node_error(in, e, "%s: expected %s, got nothing", path, want);
    return n;
}

static bool wrong(const Node *n, const char *want, Error *e)
{
    char what[96];
    return node_error(n, e, "expected %s, got %s", want, node_described(n, what));
}

bool settings_flag(const Node *in, const char *path, bool *out, Error *e)
{
    static const char WANT[] = "True or False";
    const Node *n = needed(in, path, WANT, e);
    if (!n)
        return false;
    if (n->kind != NODE_BOOL && n->kind != NODE_WHOLE)
        return wrong(n, WANT, e);
    *out = n->kind == NODE_BOOL ? n->flag : n->whole != 0;
    return true;
}

bool settings_whole(const Node *in, const char *path, int64_t min, int64_t max, int64_t *out,
                    Error *e)
{
    static const char WANT[] = "a whole number";
    const Node *n = needed(in, path, WANT, e);
    if (!n)
        return false;
    bool real = n->kind == NODE_REAL && fabs(n->real) < 1e15 && n->real == floor(n->real);
    if (n->kind != NODE_WHOLE && !real)
        return wrong(n, WANT, e);
    *out = real ? (int64_t)n->real : n->whole;
    return (*out >= min && *out <= max) ||
           node_error(n, e, "expected a whole number from %lld to %lld, got %lld", (long long)min,
                      (long long)max, (long long)*out);
}

bool settings_real(const Node *in, const char *path, double *out, Error *e)
{
    static const char WANT[] = "a number";
    const Node *n = needed(in, path, WANT, e);
    char *end = NULL;
    if (!n)
        return false;
    if (n->kind == NODE_TEXT)
        *out = strtod(n->text, &end);
    else
        *out = n->real;
    if (n->kind == NODE_TEXT ? end == n->text || *end
                             : n->kind != NODE_WHOLE && n->kind != NODE_REAL)
        return wrong(n, WANT, e);
    return isfinite(*out) || node_error(n, e, "expected a finite number, got %s", n->text);
}

bool settings_text(const Node *in, const char *path, const char **out, Error *e)
{
    static const char WANT[] = "a text";
    const Node *n = needed(in, path, WANT, e);
    if (!n)
        return false;
    *out = n->text;
    return n->kind == NODE_TEXT || wrong(n, WANT, e);
}

const char *settings_text_at(const Node *n, size_t i)
{
    if (n->kind == NODE_TEXT)
        return i == 0 ? n->text : NULL;
    for (n = n->first; n && i > 0; n = n->next)
        i--;
    return n && n->kind == NODE_TEXT ? n->text : NULL;
}

/* --- JSON ----------------------------------------------------------------------------------------- */

static json_t *node_json(const Node *n);

static json_t *members_json(const Node *n)
{
    json_t *o = n->kind == NODE_MAP ? json_object() : json_array();
    for (const Node *c = n->first; o && c; c = c->next) {
        json_t *v = node_json(c);
        if (n->kind == NODE_MAP ? json_object_set_new(o, c->key, v) : json_array_append_new(o, v)) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

static json_t *node_json(const Node *n)
{
    switch (n->kind) {
    case NODE_NULL: return json_null();
    case NODE_BOOL: return json_boolean(n->flag);
    case NODE_WHOLE: return json_integer(n->whole);
    case NODE_REAL: return isfinite(n->real) ? json_real(n->real) : json_string(n->text);
    case NODE_TEXT: return json_string(n->text);
    default: return members_json(n);
    }
}

json_t *settings_json(const Settings *s)
{
    return node_json(s->root);
}
