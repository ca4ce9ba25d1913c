/* Arbitrary bytes as a YAML file, and behind each byte 0xff an option: as a document of its own, and as a configuration.
 * What is accepted is written so that reading gives the same, what is not is one line of error. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "settings/merge.h"
#include "settings/settings.h"
#include "settings/yaml.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { OPTIONS_MAX = 8 };

static void check_error(bool ok, const Error *e)
{
    if (ok != (e->code == ERR_NONE) || (!ok && strpbrk(e->message, "\n\r\x1b")))
        BUG("no error, one that is not one, or one of several lines");
}

static const Node *shown(const Node *n)
{
    while (n && n->aside)
        n = n->next;
    return n;
}

static bool same_value(const Node *a, const Node *b)
{
    switch (a->kind) {
    case NODE_BOOL: return a->flag == b->flag;
    case NODE_WHOLE: return a->whole == b->whole;
    case NODE_REAL: return a->real == b->real || (isnan(a->real) && isnan(b->real));
    case NODE_TEXT: return strcmp(a->text, b->text) == 0;
    default: return true;
    }
}

static bool same(const Node *a, const Node *b)
{
    bool keys = !a->key || !a->parent ? true : b->key && strcmp(a->key, b->key) == 0;
    if (a->kind != b->kind || !keys || !same_value(a, b))
        return false;
    const Node *x = shown(a->first), *y = shown(b->first);
    while (x && y && same(x, y)) {
        x = shown(x->next);
        y = shown(y->next);
    }
    return !x && !y;
}

/* Copies behind references may be nested deeper than a file may be. */
static int height(const Node *n)
{
    int most = 0;
    for (const Node *c = n->first; c; c = c->next) {
        int h = height(c);
        most = h > most ? h : most;
    }
    return most + 1;
}

static void check_written(const Node *root)
{
    StrBuf s = {0};
    Tree t = {0};
    Error e = {0};
    yaml_write(root, true, &s);
    const Node *again = yaml_parse(&t, strbuf_cstr(&s), s.len, "written", true, &e);
    if (height(root) < NODE_DEPTH && (!again || !same(root, again)))
        BUG("written as something else");
    tree_free(&t);
    strbuf_free(&s);
}

static void document(const char *text, size_t n)
{
    Tree t = {0};
    Error e = {0};
    Node *root = yaml_parse(&t, text, n, "fuzz", true, &e);
    check_error(root, &e);
    if (root)
        check_written(root);
    bool ok = root && settings_interpolate(&t, root, &e);
    check_error(ok, &e);
    if (ok)
        check_written(root);
    tree_free(&t);
}

static void configuration(const char *text, size_t n, const char *const *options, size_t count)
{
    Settings s;
    Error e = {0};
    bool ok = settings_parse(&s, text, n, "fuzz", options, count, &e);
    check_error(ok, &e);
    if (ok) {
        check_written(s.root);
        json_decref(settings_json(&s));
    }
    settings_free(&s);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *options[OPTIONS_MAX];
    size_t count = 0;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *gap = memchr(text, 0xff, size);
    size_t n = gap ? (size_t)(gap - text) : size;
    while (gap && count < OPTIONS_MAX) {
        *gap = '\0';
        options[count++] = gap + 1;
        gap = strchr(gap + 1, 0xff);
    }
    document(text, n);
    configuration(text, n, options, count);
    free(text);
    return 0;
}
