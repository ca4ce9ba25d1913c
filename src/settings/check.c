/* settings/check.c: a configuration against the table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "settings/keys.h"
#include "settings/scalar.h"

enum { LEVELS = 16 }; /* no key of the table has more */

typedef struct Place {
    const char *names[LEVELS]; /* from the root down */
    int depth;
} Place;

/* --- which key ------------------------------------------------------------------------------------ */

/* How many of the place's names the pattern has, one after another. */
static int common(const char *pattern, const Place *at)
{
    int i = 0;
    for (; i < at->depth && *pattern; i++) {
        size_t n = strcspn(pattern, ".");
        bool any = n == 1 && *pattern == '*';
        if (!any && (strlen(at->names[i]) != n || memcmp(pattern, at->names[i], n) != 0))
            return i;
        pattern += n + (pattern[n] == '.');
    }
    return i;
}

static int levels(const char *pattern)
{
    int n = 1;
    for (; *pattern; pattern++)
        n += *pattern == '.';
    return n;
}

/* The key of a place, or with *inner one that goes on below it; NULL: neither. */
static const Key *key_at(const Place *at, bool *inner)
{
    for (const Key *k = settings_keys; k->path; k++) {
        if (common(k->path, at) < at->depth)
            continue;
        *inner = levels(k->path) > at->depth;
        return k;
    }
    return NULL;
}

/* --- what was meant ------------------------------------------------------------------------------- */

/* The name at a level of a pattern. */
static size_t name_at(const char *pattern, int level, const char **name)
{
    for (; level > 0; level--)
        pattern += strcspn(pattern, ".") + 1;
    *name = pattern;
    return strcspn(pattern, ".");
}

static int distance(const char *pattern, int level, const char *word, char name[KEY_LENGTH_MAX + 1])
{
    const char *at;
    size_t n = name_at(pattern, level, &at);
    memcpy(name, at, n);
    name[n] = '\0';
    return strcmp(name, "*") == 0 ? 1000 : str_distance(word, name);
}

/* The nearest name at that level, or a key elsewhere that ends in that name; "" when nothing is near. */
static void nearest_key(const Place *at, char out[2 * KEY_LENGTH_MAX])
{
    const char *word = at->names[at->depth - 1];
    int size = (int)strlen(word), best = size <= 3 ? 2 : size <= 5 ? 3 : 4;
    char name[KEY_LENGTH_MAX + 1];
    *out = '\0';
    for (const Key *k = settings_keys; k->path; k++) {
        bool beside = common(k->path, at) == at->depth - 1 && levels(k->path) >= at->depth;
        int d = beside ? distance(k->path, at->depth - 1, word, name) : 1000;
        if (d < best) {
            best = d;
            strcpy(out, name);
        }
    }
    for (const Key *k = settings_keys; k->path && !*out; k++)
        if (distance(k->path, levels(k->path) - 1, word, name) == 0)
            strcpy(out, k->path);
}

bool checked_note(Checked *c, const Node *n, const char *what)
{
    StrBuf s = {0};
    if (c->notice_count >= NOTICES_MAX)
        return true;
    if (c->notice_count == NOTICES_MAX - 1) {
        strbuf_puts(&s, "... and more");
    } else {
        origin_text(n->origin, &s);
        strbuf_puts(&s, ": ");
        node_path(n, &s);
        strbuf_puts(&s, ": ");
        strbuf_puts(&s, what);
    }
    const char *text = strbuf_cstr(&s);
    text = text ? tree_text(c->tree, text, c->error) : NULL;
    if (text)
        c->notices[c->notice_count++] = text;
    else
        error_memory(c->error, "settings", s.len);
    strbuf_free(&s);
    return text;
}

static bool note_unknown(Checked *c, const Node *n, const Place *at)
{
    char near[2 * KEY_LENGTH_MAX], what[3 * KEY_LENGTH_MAX] = "unknown key, ignored";
    nearest_key(at, near);
    if (*near) {
        strcat(what, "; did you mean ");
        strcat(what, near);
        strcat(what, "?");
    }
    return checked_note(c, n, what);
}

/* --- of which type -------------------------------------------------------------------------------- */

static bool is_number(const Node *n)
{
    return n->kind == NODE_WHOLE || n->kind == NODE_REAL;
}

/* A text that is a number, as Python's float() takes it. */
static bool is_number_text(const Node *n)
{
    char *end = NULL;
    if (n->kind != NODE_TEXT || !*n->text || strspn(n->text, "+-.0123456789eE") != strlen(n->text))
        return false;
    strtod(n->text, &end);
    return !*end;
}

static bool all(const Node *list, bool (*is)(const Node *))
{
    for (const Node *c = list->first; c; c = c->next)
        if (!is(c))
            return false;
    return list->kind == NODE_LIST;
}

static bool is_text(const Node *n)
{
    return n->kind == NODE_TEXT;
}

static bool is_whole(const Node *n)
{
    return n->kind == NODE_WHOLE ||
           (n->kind == NODE_REAL && fabs(n->real) < 1e15 && n->real == floor(n->real));
}

static bool is_choice(const Node *n, const char *choices)
{
    size_t size = n->kind == NODE_TEXT ? strlen(n->text) : 0;
    for (const char *p = choices; size && *p;) {
        size_t k = strcspn(p, "|");
        if (k == size && memcmp(p, n->text, k) == 0)
            return true;
        p += k + (p[k] == '|');
    }
    return false;
}

static bool fits(const Key *k, const Node *n)
{
    if (n->kind == NODE_NULL)
        return !*k->def || strcmp(k->def, "null") == 0;
    switch (k->type) {
    case KEY_FLAG:
        return n->kind == NODE_BOOL || (n->kind == NODE_WHOLE && (n->whole == 0 || n->whole == 1));
    case KEY_WHOLE: return is_whole(n);
    case KEY_REAL: return is_number(n) || is_number_text(n);
    case KEY_TEXT: return is_text(n);
    case KEY_CHOICE: return is_choice(n, k->choices);
    case KEY_TEXTS: return is_text(n) || all(n, is_text);
    case KEY_WHOLES: return all(n, is_whole);
    case KEY_REALS: return all(n, is_number);
    case KEY_MAP: return n->kind == NODE_MAP;
    case KEY_ANY: return true;
    }
    return true;
}

static const char *const TYPES[] = {[KEY_FLAG] = "True or False",
                                    [KEY_WHOLE] = "a whole number",
                                    [KEY_REAL] = "a number",
                                    [KEY_TEXT] = "a text",
                                    [KEY_CHOICE] = "",
                                    [KEY_TEXTS] = "a text or a list of texts",
                                    [KEY_WHOLES] = "a list of whole numbers",
                                    [KEY_REALS] = "a list of numbers",
                                    [KEY_MAP] = "a map",
                                    [KEY_ANY] = "a value"};

/* What is wrong, with a word on what YAML makes of unquoted words. */
static bool wrong(Checked *c, const Key *k, const Node *n)
{
    char what[96];
    bool scalar = n->kind != NODE_LIST && n->kind != NODE_TEXT && n->kind != NODE_NULL;
    bool quote = scalar && (k->type == KEY_TEXT || k->type == KEY_TEXTS);
    if (n->kind == NODE_TEXT && strcmp(n->text, "???") == 0)
        return node_error(n, c->error, "expected a value, got ???");
    return node_error(n, c->error, "expected %s%s, got %s%s",
                      k->type == KEY_CHOICE ? "one of " : TYPES[k->type],
                      k->type == KEY_CHOICE ? k->choices : "", node_described(n, what),
                      quote ? " (quotes make it a text)" : "");
}

static bool check(Checked *c, const Node *n, Place *at);

static bool check_members(Checked *c, const Node *n, Place *at)
{
    for (const Node *m = n->first; m; m = m->next)
        if (!check(c, m, at))
            return false;
    return true;
}

static bool check(Checked *c, const Node *n, Place *at)
{
    bool inner = false, ok = true;
    char what[96];
    if (at->depth >= LEVELS)
        return true;
    at->names[at->depth++] = n->key;
    const Key *k = key_at(at, &inner);
    if (!k)
        ok = note_unknown(c, n, at);
    else if (!inner)
        ok = fits(k, n) || wrong(c, k, n);
    else if (n->kind == NODE_MAP)
        ok = check_members(c, n, at);
    else if (n->kind != NODE_NULL)
        ok = node_error(n, c->error, "expected a map, got %s", node_described(n, what));
    at->depth--;
    return ok;
}

bool keys_check(Checked *c)
{
    Place at = {{0}, 0};
    return check_members(c, c->root, &at);
}

void keys_markdown(StrBuf *s)
{
    strbuf_puts(s, "| key | value | default | meaning |\n|--|--|--|--|\n");
    for (const Key *k = settings_keys; k->path; k++) {
        strbuf_printf(s, "| `%s` | ", k->path);
        for (const char *p = k->type == KEY_CHOICE ? k->choices : TYPES[k->type]; *p; p++)
            strbuf_puts(s, (const char[]){*p == '|' ? ',' : *p, *p == '|' ? ' ' : '\0', '\0'});
        strbuf_puts(s, " | ");
        for (const char *p = k->def; *p; p++)
            strbuf_add(s, p, *p != '{' && *p != '}');
        strbuf_printf(s, " | %s |\n", k->what);
    }
}
