/* settings/defaults.c: looked up by two names. */
#include "settings/defaults.h"

#include <stdio.h>
#include <string.h>

#include "settings/yaml.h"

/* "a, b, c" of the keys of a map. */
static void keys_of(const Node *n, StrBuf *s)
{
    for (const Node *c = n->first; c; c = c->next)
        strbuf_printf(s, "%s%s", s->len ? ", " : "", c->key);
}

/* The member of `all` with that name. at: the value that names it; NULL: it does not come, and PLACE does without. */
static const Node *named(const Node *all, const char *name, const Node *at, const char *place,
                         Error *e)
{
    StrBuf s = {0};
    const Node *n = name ? node_get(all, name) : NULL;
    if (n)
        return n;
    keys_of(all, &s);
    const char *known = strbuf_cstr(&s);
    if (!known)
        error_memory(e, "settings", s.len);
    else if (at && name)
        node_error(at, e, "expected one of %s, got '%.60s'", known, name);
    else if (at)
        node_error(at, e, "expected one of %s", known);
    else
        error_set(e, ERR_FAILED, "%s: expected one of %s, got nothing", place, known);
    strbuf_free(&s);
    return NULL;
}

/* A copy of the source's name in a tree that stays, in all origins. */
static void set_origin(Node *n, const char *source)
{
    n->origin = (Origin){source, 0};
    for (Node *c = n->first; c; c = c->next)
        set_origin(c, source);
}

static const Node *with_origin(const Node *n, Tree *keep, const char *one, const char *two,
                               Error *e)
{
    const char *source = arena_printf(&keep->arena, "default of %s/%s", one, two);
    if (!source) {
        error_memory(e, "settings", strlen(one));
        return NULL;
    }
    set_origin((Node *)(uintptr_t)n, source);
    return n;
}

static const char *text_of(const Node *n)
{
    return n && n->kind == NODE_TEXT ? n->text : NULL;
}

const Node *defaults_model(Tree *t, Tree *keep, const Node *model, const char *file, Error *e)
{
    const Node *all =
        yaml_parse(t, settings_models_yaml, strlen(settings_models_yaml), "models.yaml", true, e);
    const Node *arch = node_get(model, "arch"), *type = node_get(model, "model_type");
    char place[512];
    snprintf(place, sizeof place, "%.400s: model.arch", file);
    const Node *types = all ? named(all, text_of(arch), arch, place, e) : NULL;
    snprintf(place, sizeof place, "%.400s: model.model_type", file);
    const Node *n = types ? named(types, text_of(type), type, place, e) : NULL;
    return n ? with_origin(n, keep, arch->text, type->text, e) : NULL;
}

const Node *defaults_dataset(Tree *t, Tree *keep, const Node *dataset, Error *e)
{
    const Node *all = yaml_parse(t, settings_datasets_yaml, strlen(settings_datasets_yaml),
                                 "datasets.yaml", true, e);
    const Node *type = node_get(dataset, "type");
    const char *word = type ? text_of(type) : "default";
    const Node *types = all ? named(all, dataset->key, dataset, "", e) : NULL;
    const Node *n = types ? named(types, word, type ? type : dataset, "", e) : NULL;
    return n ? with_origin(n, keep, dataset->key, word, e) : NULL;
}
