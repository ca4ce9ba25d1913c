/* settings/yaml_write.c: lists on a line where they fit, a map a block, origins as comments. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "settings/scalar.h"
#include "settings/yaml.h"

enum { INDENT = 2, COMMENT_COLUMN = 44, WIDTH = 100 };

/* A colon is plain within an address. */
static bool inner_colons(const char *s)
{
    for (const char *p = s; (p = strchr(p, ':')); p++)
        if (p == s || p[1] != '/')
            return false;
    return true;
}

/* What libyaml and PyYAML read back as this text without quotes, by a rule that is safe and not complete. */
static bool plain_text(const char *s)
{
    Node n = {.text = s, .origin = {"", 0}};
    static const char SAFE[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+:";
    if (!*s || strspn(s, SAFE) != strlen(s) || *s == '-' || *s == '.' || *s == '+' ||
        !inner_colons(s))
        return false;
    return scalar_resolve(&n, NULL) && n.kind == NODE_TEXT;
}

/* What libyaml takes as it stands and as a part of its line. */
static bool printable(uint32_t c)
{
    return (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c < 0xd800 && c != 0x2028 && c != 0x2029) ||
           (c >= 0xe000 && c < 0xfffe && c != 0xfeff) || c >= 0x10000;
}

/* The inside of a text in double quotes. */
static void escaped(const char *s, StrBuf *out)
{
    uint32_t c;
    bool valid;
    for (size_t left = strlen(s), n; left; s += n, left -= n) {
        n = (size_t)utf8_next(s, left, &c, &valid);
        if (c == '"' || c == '\\')
            strbuf_printf(out, "\\%c", (int)c);
        else if (printable(c) && valid)
            strbuf_add(out, s, n);
        else
            strbuf_printf(out, "\\u%04X", (unsigned)c);
    }
}

static void quoted(const char *s, StrBuf *out)
{
    strbuf_puts(out, "\"");
    escaped(s, out);
    strbuf_puts(out, "\"");
}

static void write_text(const char *s, StrBuf *out)
{
    if (plain_text(s))
        strbuf_puts(out, s);
    else
        quoted(s, out);
}

/* As it was written, where that is understood without its tag. */
static void write_scalar(const Node *n, StrBuf *out)
{
    char real[32];
    Node again = {.text = n->text, .origin = n->origin};
    if (n->kind == NODE_NULL)
        strbuf_puts(out, "null");
    else if (n->kind == NODE_TEXT)
        write_text(n->text, out);
    else if (n->kind == NODE_BOOL)
        strbuf_puts(out, n->flag ? "True" : "False");
    else if (scalar_resolve(&again, NULL) && again.kind == n->kind)
        strbuf_puts(out, n->text);
    else
        strbuf_puts(out, scalar_real(n->real, real));
}

/* --- lists ---------------------------------------------------------------------------------------- */

static bool all_scalars(const Node *list)
{
    for (const Node *c = list->first; c; c = c->next)
        if (c->kind >= NODE_LIST)
            return false;
    return true;
}

static void write_flow(const Node *list, StrBuf *out)
{
    strbuf_puts(out, "[");
    for (const Node *c = list->first; c; c = c->next) {
        write_scalar(c, out);
        if (c->next)
            strbuf_puts(out, ", ");
    }
    strbuf_puts(out, "]");
}

static void indent(int depth, StrBuf *out)
{
    strbuf_printf(out, "%*s", depth * INDENT, "");
}

/* Numbers on lines of WIDTH. */
static void write_wrapped(const Node *list, int depth, StrBuf *out)
{
    indent(depth, out);
    strbuf_puts(out, "[");
    size_t start = out->len - (size_t)(depth * INDENT) - 1;
    for (const Node *c = list->first; c; c = c->next) {
        write_scalar(c, out);
        strbuf_puts(out, c->next ? "," : "]");
        if (!c->next)
            break;
        if (out->len - start > WIDTH - 10) {
            strbuf_puts(out, "\n");
            start = out->len;
            indent(depth, out);
        }
        strbuf_puts(out, " ");
    }
    strbuf_puts(out, "\n");
}

/* --- the rest ------------------------------------------------------------------------------------- */

typedef struct Writer {
    StrBuf *out;
    bool origins;
    size_t start; /* of the current line */
} Writer;

/* Ends the line, with the origin of n when it is not NULL. */
static void end_line(Writer *w, const Node *n)
{
    if (n && w->origins) {
        StrBuf origin = {0};
        origin_text(n->origin, &origin);
        const char *text = strbuf_cstr(&origin);
        size_t used = w->out->len - w->start;
        strbuf_printf(w->out, "%*s  # ", used < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - used) : 0,
                      "");
        escaped(text ? text : "", w->out);
        w->out->failed |= origin.failed;
        strbuf_free(&origin);
    }
    strbuf_puts(w->out, "\n");
    w->start = w->out->len;
}

static void write_member(Writer *w, const Node *n, int depth);

static void write_members(Writer *w, const Node *n, int depth)
{
    for (const Node *c = n->first; c; c = c->next) {
        if (c->aside)
            continue;
        indent(depth, w->out);
        if (n->kind == NODE_LIST)
            strbuf_puts(w->out, "-");
        else
            write_text(c->key, w->out);
        if (n->kind == NODE_MAP)
            strbuf_puts(w->out, ":");
        write_member(w, c, depth + 1);
    }
}

static void write_list(Writer *w, const Node *n, int depth)
{
    StrBuf line = {0};
    write_flow(n, &line);
    if (line.failed)
        w->out->failed = true;
    if (line.len && line.len + (w->out->len - w->start) < WIDTH) {
        strbuf_puts(w->out, " ");
        strbuf_add(w->out, line.data, line.len);
        end_line(w, n);
    } else {
        end_line(w, n);
        if (n->first->kind == NODE_TEXT)
            write_members(w, n, depth);
        else
            write_wrapped(n, depth, w->out);
        w->start = w->out->len;
    }
    strbuf_free(&line);
}

/* Behind "key:" or "-". */
static void write_member(Writer *w, const Node *n, int depth)
{
    bool of_list =
        n->parent && n->parent->kind == NODE_LIST && n->parent->origin.source == n->origin.source;
    if (n->kind < NODE_LIST) {
        strbuf_puts(w->out, " ");
        write_scalar(n, w->out);
        end_line(w, of_list ? NULL : n);
    } else if (!n->first) {
        strbuf_puts(w->out, n->kind == NODE_LIST ? " []" : " {}");
        end_line(w, n);
    } else if (n->kind == NODE_LIST && all_scalars(n)) {
        write_list(w, n, depth);
    } else {
        end_line(w, NULL);
        write_members(w, n, depth);
    }
}

void yaml_write(const Node *root, bool origins, StrBuf *s)
{
    Writer w = {s, origins, s->len};
    if (root->kind == NODE_MAP && root->first)
        write_members(&w, root, 0);
    else
        write_member(&w, root, 0);
}
