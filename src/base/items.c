/* base/items.c: a scanner that finds where values begin and end. */
#include "base/items.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/kind.h"
#include "base/utf8.h"

enum { DEPTH_MAX = 128, WHERE_SIZE = 512 };

typedef struct Scan {
    const char *text;
    size_t n, at;
    const char *path;
    ItemPlaceFn *fn;
    void *self;
    Error *e;
} Scan;

static size_t line_of(const Scan *s)
{
    size_t line = 1;
    for (size_t i = 0; i < s->at && i < s->n; i++)
        line += s->text[i] == '\n';
    return line;
}

static bool bad(Scan *s, const char *what)
{
    const char *kind = file_kind(s->text, s->n);
    if (kind)
        return error_set(s->e, ERR_FAILED, "%s: file: expected JSON, got %s", s->path, kind);
    return error_set(s->e, ERR_FAILED, "%s: line %zu: bad JSON: %s%s", s->path, line_of(s), what,
                     s->at >= s->n ? ", got the end of the file" : "");
}

/* The next character that is no white space, 0 at the end. */
static char look(Scan *s)
{
    while (s->at < s->n && memchr(" \t\r\n", s->text[s->at], 4))
        s->at++;
    return s->at < s->n ? s->text[s->at] : 0;
}

static bool take(Scan *s, char c, const char *what)
{
    if (look(s) != c)
        return bad(s, what);
    s->at++;
    return true;
}

/* Behind the closing quote of the string that starts here. */
static bool skip_string(Scan *s)
{
    for (s->at++; s->at < s->n && s->text[s->at] != '"'; s->at++)
        s->at += s->text[s->at] == '\\';
    if (s->at >= s->n)
        return bad(s, "expected \"");
    s->at++;
    return true;
}

static bool skip_brackets(Scan *s)
{
    int depth = 0;
    while (s->at < s->n) {
        char c = s->text[s->at];
        if (c == '"') {
            if (!skip_string(s))
                return false;
            continue;
        }
        s->at++;
        depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
        if (depth > DEPTH_MAX)
            return bad(s, "expected at most 128 nested levels");
        if (depth == 0)
            return true;
    }
    return bad(s, "expected ] or }");
}

static bool skip_value(Scan *s)
{
    char c = look(s);
    if (c == '"')
        return skip_string(s);
    if (c == '{' || c == '[')
        return skip_brackets(s);
    size_t from = s->at;
    while (s->at < s->n && !memchr(",]}\" \t\r\n", s->text[s->at], 8))
        s->at++;
    return s->at > from || bad(s, "expected a value");
}

static bool give_item(Scan *s, const char *member, size_t index)
{
    char where[WHERE_SIZE];
    size_t from;
    look(s);
    from = s->at;
    if (!skip_value(s))
        return false;
    snprintf(where, sizeof where, "%.400s: %s %zu", s->path, member, index);
    if (s->text[from] != '{' && s->text[from] != '[')
        return error_set(s->e, ERR_FAILED, "%s: expected an object or a list", where);
    json_t *item = json_parse(s->text + from, s->at - from, where, ERR_FAILED, s->e);
    bool ok = item && s->fn(s->self, item, from, where, s->e);
    json_decref(item);
    return ok;
}

static bool walk_list(Scan *s, const char *member)
{
    s->at++;
    if (look(s) == ']') {
        s->at++;
        return true;
    }
    for (size_t i = 0;; i++) {
        if (!give_item(s, member, i))
            return false;
        if (look(s) == ']') {
            s->at++;
            return true;
        }
        if (!take(s, ',', "expected , or ]"))
            return false;
    }
}

/* Whether the key that starts here is `member`; behind it. */
static bool take_key(Scan *s, const char *member, bool *is)
{
    if (look(s) != '"')
        return bad(s, "expected a key");
    size_t from = s->at;
    if (!skip_string(s))
        return false;
    size_t n = s->at - from - 2;
    *is = n == strlen(member) && memcmp(s->text + from + 1, member, n) == 0;
    return take(s, ':', "expected :");
}

static bool take_member(Scan *s, const char *member, bool *found)
{
    bool is = false;
    if (!take_key(s, member, &is))
        return false;
    if (!is)
        return skip_value(s);
    if (*found)
        return error_set(s->e, ERR_FAILED, "%s: %s: expected one, got another", s->path, member);
    if (look(s) != '[')
        return error_set(s->e, ERR_FAILED, "%s: %s: expected a list", s->path, member);
    *found = true;
    return walk_list(s, member);
}

static bool walk_object(Scan *s, const char *member, bool *found)
{
    s->at++;
    if (look(s) == '}') {
        s->at++;
        return true;
    }
    while (take_member(s, member, found)) {
        if (look(s) == '}') {
            s->at++;
            return true;
        }
        if (!take(s, ',', "expected , or }"))
            return false;
    }
    return false;
}

bool items_places_in(const char *text, size_t n, const char *path, const char *member, bool needed,
                     ItemPlaceFn *fn, void *self, Error *e)
{
    Scan s = {text, n, utf8_mark(text, n), path, fn, self, e};
    bool found = !member, ok;
    if (look(&s) != (member ? '{' : '['))
        return bad(&s, member ? "expected an object, {" : "expected a list, [");
    ok = member ? walk_object(&s, member, &found) : walk_list(&s, "item");
    if (ok && look(&s))
        return bad(&s, "expected the end of the file");
    if (ok && !found && needed)
        return error_set(e, ERR_FAILED, "%s: %s: expected a list, got nothing", path, member);
    return ok;
}

typedef struct Placeless {
    ItemFn *fn;
    void *self;
} Placeless;

static bool give_placeless(void *self, const json_t *item, size_t at, const char *where, Error *e)
{
    const Placeless *p = self;
    (void)at;
    return p->fn(p->self, item, where, e);
}

bool items_each_in(const char *text, size_t n, const char *path, const char *member, bool needed,
                   ItemFn *fn, void *self, Error *e)
{
    Placeless p = {fn, self};
    return items_places_in(text, n, path, member, needed, give_placeless, &p, e);
}

json_t *item_at(const char *text, size_t n, size_t at, const char *where, Error *e)
{
    Scan s = {.text = text, .n = n, .at = at, .path = where, .e = e};
    if (at >= n || (text[at] != '{' && text[at] != '[')) {
        error_set(e, ERR_FAILED, "%s: expected an object or a list: the file has changed", where);
        return NULL;
    }
    return skip_value(&s) ? json_parse(text + at, s.at - at, where, ERR_FAILED, e) : NULL;
}

bool items_each(const char *path, const char *member, bool needed, ItemFn *fn, void *self, Error *e)
{
    MappedFile m;
    if (!file_map(&m, path, ERR_FAILED, e))
        return false;
    bool ok = items_each_in((const char *)m.data, m.size, path, member, needed, fn, self, e);
    file_unmap(&m);
    return ok;
}
