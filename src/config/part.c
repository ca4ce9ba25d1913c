/* config/part.c: members of an object by type and range; the first error stays. */
#include "config/part.h"

#include <stdio.h>
#include <string.h>

json_t *part_open(JsonPart *p, const char *text, size_t n, const char *dir, const char *name,
                  Error *e)
{
    *p = (JsonPart){.e = e};
    snprintf(p->where, sizeof p->where, "%.600s/%s", dir, name);
    json_t *doc = !text || e->code ? NULL : json_parse(text, n, p->where, ERR_BAD_MODEL, e);
    if (doc && !json_is_object(doc))
        error_set(e, ERR_BAD_MODEL, "%s: file: expected an object, got something else", p->where);
    p->o = doc;
    return doc;
}

int part_whole(const JsonPart *p, const char *key, int def, int min, int max)
{
    int64_t v = def;
    if (!p->e->code)
        json_get_int(p->o, key, def, min, max, &v, p->where, p->e);
    return p->e->code ? def : (int)v;
}

double part_real(const JsonPart *p, const char *key, double def, double min, double max)
{
    double v = def;
    if (!p->e->code && json_get_real(p->o, key, def, &v, p->where, p->e) && (v < min || v > max))
        error_set(p->e, ERR_BAD_MODEL, "%s: %s: expected a number in [%g, %g], got %g", p->where,
                  key, min, max, v);
    return v;
}

bool part_flag(const JsonPart *p, const char *key, bool def)
{
    bool v = def;
    if (!p->e->code)
        json_get_flag(p->o, key, def, &v, p->where, p->e);
    return v;
}

const char *part_text(const JsonPart *p, const char *key, const char *def)
{
    const char *v = def;
    if (!p->e->code)
        json_get_text(p->o, key, def, &v, p->where, p->e);
    return v;
}

void part_must_be(const JsonPart *p, const char *key, const char *want)
{
    const char *got = part_text(p, key, want);
    if (strcmp(got, want) != 0)
        error_set(p->e, ERR_BAD_MODEL, "%s: %s: expected \"%s\", got \"%.100s\" (not supported)",
                  p->where, key, want, got);
}

void part_must_flag(const JsonPart *p, const char *key, bool want)
{
    if (part_flag(p, key, want) != want)
        error_set(p->e, ERR_BAD_MODEL, "%s: %s: expected %s, got %s (not supported)", p->where, key,
                  want ? "true" : "false", want ? "false" : "true");
}

const json_t *part_member(const JsonPart *p, const char *key)
{
    const json_t *v = p->e->code ? NULL : json_object_get(p->o, key);
    return v && !json_is_null(v) ? v : NULL;
}

void part_child(JsonPart *out, const JsonPart *p, const char *key)
{
    *out = (JsonPart){.o = part_member(p, key), .e = p->e};
    snprintf(out->where, sizeof out->where, "%.600s: %s", p->where, key);
    if (out->o && !json_is_object(out->o))
        error_set(p->e, ERR_BAD_MODEL, "%s: expected an object, got something else", out->where);
}
