/* settings/settings.c: the layers, in LAVIS' order (lavis.common.config). */
#include "settings/settings.h"

#include <string.h>

#include "base/file.h"
#include "settings/defaults.h"
#include "settings/keys.h"
#include "settings/merge.h"
#include "settings/options.h"
#include "settings/yaml.h"

enum { FILE_MAX = 1 << 20 };

static const char *const PARTS[] = {"model", "datasets", "run", "env"};

/* What is being put together. */
typedef struct Build {
    Settings *s;
    Tree layers; /* what has been read */
    Node *file, *options;
    Error *e;
} Build;

static bool file_error(const Build *b, const char *what)
{
    return error_set(b->e, ERR_FAILED, "%s: %s", b->s->path, what);
}

/* --- reading -------------------------------------------------------------------------------------- */

static bool read_layers(Build *b, const char *text, size_t n, const char *const *options,
                        size_t count)
{
    b->file = yaml_parse(&b->layers, text, n, b->s->path, true, b->e);
    if (!b->file)
        return false;
    if (b->file->kind == NODE_NULL)
        return file_error(b, "file: expected model, datasets and run, got nothing");
    if (b->file->kind != NODE_MAP) {
        char what[96];
        return node_error(b->file, b->e, "expected model, datasets and run, got %s",
                          node_described(b->file, what));
    }
    b->options = options_read(&b->layers, options, count, b->e);
    return b->options;
}

static bool needs_map(const Build *b, const Node *in, const char *key)
{
    char what[96];
    const Node *n = node_get(in, key);
    if (n && n->kind == NODE_MAP)
        return true;
    if (n)
        return node_error(n, b->e, "expected a map, got %s", node_described(n, what));
    return error_set(b->e, ERR_FAILED, "%s: %s: expected a map, got nothing", b->s->path, key);
}

/* --- defaults ------------------------------------------------------------------------------------- */

/* Lays defaults over what there is at `path`; both come from trees that may go. */
static bool lay(Build *b, const char *path, const Node *layer, Origin origin)
{
    Node *to = node_make(&b->s->tree, b->s->root, path, origin, b->e);
    return to && settings_merge(&b->s->tree, to, layer, b->e);
}

static bool model_defaults(Build *b, const Node *chosen)
{
    Tree spare = {0};
    const Node *n =
        defaults_model(&spare, &b->s->tree, node_get(chosen, "model"), b->s->path, b->e);
    /* The names in front, for readers; what they are comes with the file. */
    bool ok = n && node_make(&b->s->tree, b->s->root, "model.arch", n->origin, b->e) &&
              node_make(&b->s->tree, b->s->root, "model.model_type", n->origin, b->e) &&
              lay(b, "model", n, n->origin);
    tree_free(&spare);
    return ok;
}

/* In the order of the file. What is null in it has only its defaults. */
static bool dataset_defaults(Build *b, const Node *chosen)
{
    const Node *sets = node_get(chosen, "datasets");
    bool ok = true;
    for (const Node *c = sets->first; ok && c; c = c->next) {
        Tree spare = {0};
        char what[96];
        ok = c->kind == NODE_MAP || c->kind == NODE_NULL ||
             node_error(c, b->e, "expected a map, got %s", node_described(c, what));
        const Node *n = ok ? defaults_dataset(&spare, &b->s->tree, c, b->e) : NULL;
        Node *to = n ? node_make(&b->s->tree, b->s->root, "datasets", n->origin, b->e) : NULL;
        to = to ? node_make(&b->s->tree, to, c->key, n->origin, b->e) : NULL;
        ok = to && settings_merge(&b->s->tree, to, n, b->e);
        tree_free(&spare);
    }
    return ok;
}

/* --- all layers ----------------------------------------------------------------------------------- */

/* A data set that is null in a layer, "gqa:", changes nothing of its defaults. */
static void drop_null_sets(Node *layer)
{
    Node *sets = node_get(layer, "datasets");
    for (Node *c = sets ? sets->first : NULL; c; c = c->next)
        if (c->kind == NODE_NULL)
            c->kind = NODE_MAP;
}

static bool lay_parts(Build *b, const Node *layer)
{
    char what[96];
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        const Node *n = node_get(layer, PARTS[i]);
        if (n && n->kind != NODE_MAP)
            return node_error(n, b->e, "expected a map, got %s", node_described(n, what));
        if (n && !lay(b, PARTS[i], n, n->origin))
            return false;
    }
    return true;
}

/* What of a layer is no part of a configuration. */
static bool note_rest(Checked *c, const Node *layer)
{
    for (const Node *n = layer->first; n; n = n->next) {
        bool known = false;
        for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
            known = known || strcmp(n->key, PARTS[i]) == 0;
        if (!known &&
            !checked_note(c, n, "unknown key, ignored; expected model, datasets, run, env"))
            return false;
    }
    return true;
}

static bool choose(Build *b)
{
    Tree spare = {0};
    Node *chosen = node_copy(&spare, b->file, b->e);
    bool ok = chosen && settings_merge(&spare, chosen, b->options, b->e) &&
              needs_map(b, chosen, "model") && needs_map(b, chosen, "datasets") &&
              needs_map(b, chosen, "run") && model_defaults(b, chosen) &&
              dataset_defaults(b, chosen);
    tree_free(&spare);
    return ok;
}

static bool finish(Build *b)
{
    Settings *s = b->s;
    s->notices = arena_alloc(&s->tree.arena, NOTICES_MAX * sizeof *s->notices);
    Checked c = {.tree = &s->tree, .root = s->root, .notices = s->notices, .error = b->e};
    bool ok = s->notices || error_memory(b->e, "settings", NOTICES_MAX * sizeof *s->notices);
    ok = ok && settings_interpolate(&s->tree, s->root, b->e) &&
         node_make(&s->tree, s->root, "env", (Origin){"default", 0}, b->e) && keys_fill(&c) &&
         note_rest(&c, b->file) && note_rest(&c, b->options) && keys_check(&c);
    s->notice_count = c.notice_count;
    return ok;
}

static bool build(Build *b, const char *text, size_t n, const char *const *options, size_t count)
{
    Settings *s = b->s;
    s->root = node_new(&s->tree, NODE_MAP, (Origin){s->path, 0}, b->e);
    if (!s->root || !read_layers(b, text, n, options, count))
        return false;
    drop_null_sets(b->file);
    drop_null_sets(b->options);
    return choose(b) && lay_parts(b, b->file) && lay_parts(b, b->options) && finish(b);
}

bool settings_parse(Settings *s, const char *text, size_t n, const char *name,
                    const char *const *options, size_t count, Error *e)
{
    Build b = {.s = s, .e = e};
    *s = (Settings){0};
    s->path = tree_text(&s->tree, name, e);
    bool ok = s->path && build(&b, text, n, options, count);
    tree_free(&b.layers);
    return ok;
}

bool settings_load(Settings *s, const char *path, const char *const *options, size_t count,
                   Error *e)
{
    size_t n = 0;
    bool input = strcmp(path, "-") == 0;
    *s = (Settings){0};
    unsigned char *text = file_read_named(path, FILE_MAX, NULL, &n, ERR_FAILED, e);
    bool ok = text && settings_parse(s, (const char *)text, n, input ? "standard input" : path,
                                     options, count, e);
    mem_free(text);
    return ok;
}

void settings_free(Settings *s)
{
    tree_free(&s->tree);
    *s = (Settings){0};
}

void settings_print(const Settings *s, StrBuf *out)
{
    yaml_write(s->root, true, out);
}
