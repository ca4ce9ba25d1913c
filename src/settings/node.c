/* settings/node.c: trees within bounds. */
#include "settings/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "settings/scalar.h"

const char ORIGIN_OPTIONS[] = "--options";

void tree_free(Tree *t)
{
    arena_free(&t->arena);
    *t = (Tree){0};
}

const char *tree_text(Tree *t, const char *text, Error *e)
{
    const char *copy = arena_strdup(&t->arena, text);
    if (!copy)
        error_memory(e, "settings", strlen(text) + 1);
    return copy;
}

Node *node_new(Tree *t, NodeKind kind, Origin origin, Error *e)
{
    if (t->nodes >= NODES_MAX) {
        error_set(e, ERR_FAILED, "%s: expected at most %d values, aliases expanded, got more",
                  origin.source, NODES_MAX);
        return NULL;
    }
    Node *n = arena_calloc(&t->arena, sizeof *n);
    if (!n) {
        error_memory(e, "settings", sizeof *n);
        return NULL;
    }
    t->nodes++;
    n->kind = kind;
    n->origin = origin;
    return n;
}

Node *node_plain(Tree *t, const char *text, Origin origin, Error *e)
{
    Node *n = node_new(t, NODE_NULL, origin, e);
    if (n && ((n->text = tree_text(t, text, e)) != NULL) && scalar_resolve(n, e))
        return n;
    return NULL;
}

bool node_add(Node *to, const char *key, Node *n, Error *e)
{
    if (to->kind == NODE_MAP && to->count >= KEYS_MAX)
        return node_error(to, e, "expected at most %d keys, got more", KEYS_MAX);
    n->key = key;
    n->parent = to;
    n->next = NULL;
    if (to->last)
        to->last->next = n;
    else
        to->first = n;
    to->last = n;
    to->count++;
    return true;
}

static Node *copy_within(Tree *t, const Node *from, int depth, Error *e);

static bool copy_members(Tree *t, Node *to, const Node *from, int depth, Error *e)
{
    for (const Node *c = from->first; c; c = c->next) {
        const char *key = c->key ? tree_text(t, c->key, e) : NULL;
        Node *n = c->key && !key ? NULL : copy_within(t, c, depth + 1, e);
        if (!n || !node_add(to, key, n, e))
            return false;
    }
    return true;
}

static bool copy_value(Tree *t, Node *n, const Node *from, Error *e)
{
    n->kind = from->kind;
    n->flag = from->flag;
    n->whole = from->whole;
    n->real = from->real;
    n->text = from->text ? tree_text(t, from->text, e) : NULL;
    n->resolving = from->resolving == 2 ? 2 : 0;
    n->first = n->last = NULL;
    n->count = 0;
    return n->text || !from->text;
}

static Node *copy_within(Tree *t, const Node *from, int depth, Error *e)
{
    if (depth > NODE_DEPTH) {
        node_error(from, e, "expected at most %d nested levels, got more", NODE_DEPTH);
        return NULL;
    }
    Node *n = node_new(t, from->kind, from->origin, e);
    if (n && copy_value(t, n, from, e) && copy_members(t, n, from, depth, e))
        return n;
    return NULL;
}

Node *node_copy(Tree *t, const Node *from, Error *e)
{
    return copy_within(t, from, 1, e);
}

bool node_assign(Tree *t, Node *n, const Node *from, Error *e)
{
    n->origin = from->origin;
    return copy_value(t, n, from, e) && copy_members(t, n, from, 1, e);
}

/* The member whose key are these `size` bytes. */
static Node *member(const Node *n, const char *key, size_t size)
{
    if (!n || n->kind != NODE_MAP)
        return NULL;
    for (Node *c = n->first; c; c = c->next)
        if (strncmp(c->key, key, size) == 0 && c->key[size] == '\0')
            return c;
    return NULL;
}

Node *node_get(const Node *n, const char *key)
{
    return member(n, key, strlen(key));
}

static Node *element(const Node *n, const char *digits, size_t size)
{
    if (size == 0 || size > 6 || strspn(digits, "0123456789") < size)
        return NULL;
    Node *c = n->first;
    for (long i = strtol(digits, NULL, 10); i > 0 && c; i--)
        c = c->next;
    return c;
}

Node *node_at(const Node *n, const char *path)
{
    while (n && *path) {
        size_t size = strcspn(path, ".");
        n = n->kind == NODE_LIST ? element(n, path, size) : member(n, path, size);
        path += size + (path[size] == '.');
    }
    return (Node *)(uintptr_t)n;
}

void path_dotted(char *path)
{
    char *to = path;
    for (const char *p = path; *p; p++) {
        if (*p == '[')
            *to++ = '.';
        else if (*p != ']')
            *to++ = *p;
    }
    *to = '\0';
}

/* The map below n with that key, which is made if it is not there. */
static Node *made(Tree *t, Node *n, const char *key, size_t size, Origin origin, Error *e)
{
    Node *c = member(n, key, size);
    if (c)
        return c;
    char what[96];
    bool ok =
        n->kind == NODE_MAP || node_error(n, e, "expected a map, got %s", node_described(n, what));
    if (ok && (size == 0 || size > KEY_LENGTH_MAX || utf8_invalid(key, size) >= 0))
        ok = node_error(n, e, "key: expected text of 1 to %d bytes, got %zu", KEY_LENGTH_MAX, size);
    if (!ok)
        return NULL;
    char *name = arena_printf(&t->arena, "%.*s", (int)size, key);
    c = name ? node_new(t, NODE_MAP, origin, e) : NULL;
    if (!name)
        error_memory(e, "settings", size);
    return c && node_add(n, name, c, e) ? c : NULL;
}

Node *node_make(Tree *t, Node *root, const char *path, Origin origin, Error *e)
{
    int depth = 0;
    while (root && *path) {
        size_t size = strcspn(path, ".");
        if (++depth > NODE_DEPTH) {
            node_error(root, e, "expected at most %d nested levels, got more", NODE_DEPTH);
            return NULL;
        }
        root = made(t, root, path, size, origin, e);
        path += size + (path[size] == '.');
    }
    return root;
}

/* --- for messages --------------------------------------------------------------------------------- */

void node_path(const Node *n, StrBuf *s)
{
    const Node *up[2 * NODE_DEPTH + 2];
    int depth = 0;
    for (; n && n->parent && depth < 2 * NODE_DEPTH + 2; n = n->parent)
        up[depth++] = n;
    while (depth > 0) {
        n = up[--depth];
        int at = 0;
        for (const Node *c = n->parent->first; !n->key && c && c != n; c = c->next)
            at++;
        if (n->key)
            strbuf_puts(s, n->key);
        else
            strbuf_printf(s, "%d", at);
        if (depth > 0)
            strbuf_puts(s, ".");
    }
}

void origin_text(Origin o, StrBuf *s)
{
    strbuf_puts(s, o.source);
    if (o.line > 0)
        strbuf_printf(s, ":%d", o.line);
}

bool node_error(const Node *n, Error *e, const char *fmt, ...)
{
    StrBuf s = {0};
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    origin_text(n->origin, &s);
    strbuf_puts(&s, ": ");
    size_t before = s.len;
    node_path(n, &s);
    if (s.len > before)
        strbuf_puts(&s, ": ");
    const char *where = strbuf_cstr(&s);
    error_set(e, n->origin.source == ORIGIN_OPTIONS ? ERR_USAGE : ERR_FAILED, "%s%s",
              where ? where : "", what);
    strbuf_free(&s);
    return false;
}

const char *node_described(const Node *n, char buffer[96])
{
    static const char *const WORDS[] = {
        [NODE_NULL] = "null", [NODE_LIST] = "a list", [NODE_MAP] = "a map"};
    const char *shape = n->kind == NODE_TEXT   ? "'%.60s%s'"
                        : n->kind == NODE_BOOL ? "the boolean %.60s%s"
                                               : "the number %.60s%s";
    if (n->kind == NODE_NULL || n->kind >= NODE_LIST)
        snprintf(buffer, 96, "%s", WORDS[n->kind]);
    else
        snprintf(buffer, 96, shape, n->text, strlen(n->text) > 60 ? "..." : "");
    return buffer;
}
