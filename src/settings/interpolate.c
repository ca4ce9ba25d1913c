/* settings/interpolate.c: ${...}. */
#include <stdlib.h>
#include <string.h>

#include "settings/merge.h"
#include "settings/scalar.h"

/* Texts made of texts could double with each reference. */
enum { TEXT_MAX = 1 << 16, TEXTS_MAX = 1 << 22, NESTED_MAX = 16 };

typedef struct Work {
    Tree *tree;
    Node *root;
    size_t bytes; /* of all texts made so far */
    int depth;    /* of references that are being followed */
    Error *error;
} Work;

static bool resolve(Work *w, Node *n);

bool settings_is_reference(const Node *n)
{
    return n->kind == NODE_TEXT && n->resolving != 2 && strstr(n->text, "${");
}

/* --- what a reference names ----------------------------------------------------------------------- */

/* A step down; what stands there may itself be a reference to a map. */
static Node *step(Work *w, Node *n, const char *path, size_t size)
{
    char key[KEY_LENGTH_MAX + 1];
    if (n && settings_is_reference(n) && !resolve(w, n))
        return NULL;
    if (!n || size >= sizeof key)
        return NULL;
    memcpy(key, path, size);
    key[size] = '\0';
    return node_at(n, key);
}

static const Node *value_at(Work *w, const Node *from, char *path)
{
    path_dotted(path);
    const char *p = path;
    Node *n = w->root;
    if (*p == '.') {
        n = from->parent;
        for (p++; *p == '.' && n; p++)
            n = n->parent;
    }
    while (n && *p) {
        size_t size = strcspn(p, ".");
        n = step(w, n, p, size);
        p += size + (p[size] == '.');
    }
    if (!n)
        node_error(from, w->error, "${%.200s}: expected a key that is there", path);
    else if (n->kind == NODE_TEXT && strcmp(n->text, "???") == 0)
        node_error(from, w->error, "${%.200s}: expected a value, got ???", path);
    else if (resolve(w, n))
        return n;
    return NULL;
}

/* --- resolvers ------------------------------------------------------------------------------------ */

static char *trimmed(char *s)
{
    s += strspn(s, " \t");
    for (size_t n = strlen(s); n && strchr(" \t", s[n - 1]);)
        s[--n] = '\0';
    size_t n = strlen(s);
    if (n >= 2 && (*s == '"' || *s == '\'') && s[n - 1] == *s) {
        s[n - 1] = '\0';
        s++;
    }
    return s;
}

/* ${oc.env:NAME}, ${oc.env:NAME,default}, and with `typed` ${env:...}. */
static const Node *environment(Work *w, const Node *from, char *arguments, bool typed)
{
    char *comma = strchr(arguments, ',');
    if (comma)
        *comma++ = '\0';
    const char *name = trimmed(arguments), *value = getenv(name);
    if (!value && !comma) {
        node_error(from, w->error, "environment: expected %.200s, got nothing of that name", name);
        return NULL;
    }
    bool is_default = !value;
    if (is_default)
        value = trimmed(comma);
    Node *n = node_plain(w->tree, value, from->origin, w->error);
    if (n && !typed && !(is_default && n->kind == NODE_NULL))
        n->kind = NODE_TEXT;
    return n;
}

/* The value of what stands between ${ and }, references in it replaced already. */
static const Node *value_of(Work *w, const Node *from, char *inner)
{
    char *colon = strchr(inner, ':'), *name = trimmed(inner);
    if (!colon)
        return value_at(w, from, name);
    *colon = '\0';
    name = trimmed(inner);
    if (strcmp(name, "oc.env") == 0 || strcmp(name, "env") == 0)
        return environment(w, from, colon + 1, *name == 'e');
    node_error(from, w->error, "${%.100s:...}: expected env or oc.env", name);
    return NULL;
}

/* --- texts ---------------------------------------------------------------------------------------- */

/* As Python's str() writes it. */
static bool add_value(Work *w, const Node *from, const Node *value, StrBuf *s)
{
    char real[32], what[96];
    if (value->kind >= NODE_LIST)
        return node_error(from, w->error, "expected a text within a text, got %s",
                          node_described(value, what));
    if (value->kind == NODE_NULL)
        strbuf_puts(s, "None");
    else if (value->kind == NODE_BOOL)
        strbuf_puts(s, value->flag ? "True" : "False");
    else if (value->kind == NODE_WHOLE)
        strbuf_printf(s, "%lld", (long long)value->whole);
    else if (value->kind == NODE_REAL)
        strbuf_puts(s, scalar_real(value->real, real));
    else
        strbuf_puts(s, value->text);
    return s->len <= TEXT_MAX ||
           node_error(from, w->error, "expected a text of at most %d bytes, got more", TEXT_MAX);
}

/* Reads what follows "${" up to its "}"; *at moves behind it. */
static const Node *reference(Work *w, const Node *from, const char **at, int nested)
{
    StrBuf inner = {0};
    const Node *value = NULL;
    bool ok =
        nested < NESTED_MAX ||
        node_error(from, w->error, "expected at most %d references in each other", NESTED_MAX);
    char quote = '\0';
    while (ok && **at && (**at != '}' || quote)) {
        if (str_starts(*at, "${")) {
            *at += 2;
            const Node *v = reference(w, from, at, nested + 1);
            ok = v && add_value(w, from, v, &inner);
            continue;
        }
        if (quote ? **at == quote : **at == '\'' || **at == '"')
            quote = quote ? '\0' : **at;
        strbuf_add(&inner, (*at)++, 1);
    }
    if (ok && **at != '}')
        ok = node_error(from, w->error, "expected } behind ${");
    *at += ok;
    strbuf_puts(&inner, "");
    if (ok && inner.failed)
        error_memory(w->error, "settings", inner.len);
    else if (ok && inner.len == 0)
        node_error(from, w->error, "expected a key within ${}");
    else if (ok)
        value = value_of(w, from, inner.data);
    strbuf_free(&inner);
    return value;
}

/* All of a text; *whole: it is one reference, whose value that is. */
static bool expand(Work *w, const Node *n, StrBuf *s, const Node **whole)
{
    const char *p = n->text;
    while (*p) {
        if (str_starts(p, "\\\\${")) {
            strbuf_puts(s, "\\"); /* an escaped backslash, and a reference */
            p += 2;
        } else if (str_starts(p, "\\${")) {
            strbuf_puts(s, "${");
            p += 3;
        } else if (str_starts(p, "${")) {
            bool first = p == n->text;
            p += 2;
            const Node *v = reference(w, n, &p, 0);
            if (!v)
                return false;
            if (first && !*p) {
                *whole = v;
                return true;
            }
            if (!add_value(w, n, v, s))
                return false;
        } else {
            strbuf_add(s, p++, 1);
        }
    }
    return true;
}

/* The value of a reference takes its place; where it was written stays. */
static bool take_value(Work *w, Node *n, const Node *value)
{
    Origin origin = n->origin;
    bool ok = node_assign(w->tree, n, value, w->error);
    n->origin = origin;
    return ok;
}

static bool take_text(Work *w, Node *n, StrBuf *s)
{
    const char *text = strbuf_cstr(s);
    w->bytes += s->len;
    if (!text)
        return error_memory(w->error, "settings", s->len);
    if (w->bytes > TEXTS_MAX)
        return node_error(n, w->error, "expected texts of at most %d bytes in all, got more",
                          TEXTS_MAX);
    n->text = tree_text(w->tree, text, w->error);
    return n->text;
}

static bool resolve_text(Work *w, Node *n)
{
    StrBuf s = {0};
    const Node *whole = NULL;
    if (!strstr(n->text, "${"))
        return true;
    if (w->depth >= NODE_DEPTH)
        return node_error(n, w->error, "expected at most %d references one behind another",
                          NODE_DEPTH);
    w->depth++;
    bool ok = expand(w, n, &s, &whole) && (whole ? take_value(w, n, whole) : take_text(w, n, &s));
    w->depth--;
    strbuf_free(&s);
    return ok;
}

static bool resolve(Work *w, Node *n)
{
    if (n->resolving == 1)
        return node_error(n, w->error, "expected a reference to something else, got a circle");
    if (n->resolving == 2)
        return true;
    n->resolving = 1;
    bool ok = n->kind != NODE_TEXT || resolve_text(w, n);
    for (Node *c = n->first; ok && c; c = c->next)
        ok = resolve(w, c);
    n->resolving = 2;
    return ok;
}

bool settings_interpolate(Tree *t, Node *root, Error *e)
{
    Work w = {.tree = t, .root = root, .error = e};
    return resolve(&w, root);
}
