/* data/find.c: sets by the names that people and LAVIS have for them. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ckpt/ckpt.h"
#include "data/sets.h"

enum { NAME_MAX_SHOWN = 80 };

static bool is_called(const DataSet *s, const char *name)
{
    bool is = strcmp(s->name, name) == 0;
    for (size_t i = 0; i < sizeof s->also / sizeof *s->also && s->also[i]; i++)
        is = is || strcmp(s->also[i], name) == 0;
    return is;
}

static const char *nearest_name(const char *name)
{
    const char *best = NULL;
    int least =
        strlen(name) < 4 ? (int)strlen(name) : 4; /* a name of three letters is near to nothing */
    for (size_t i = 0; data_set_at(i); i++) {
        int d = str_distance(data_set_at(i)->name, name);
        if (d < least) {
            least = d;
            best = data_set_at(i)->name;
        }
    }
    return best;
}

static const DataSet *unknown(const char *name, Error *e)
{
    const char *near = nearest_name(name);
    error_set(
        e, ERR_USAGE, "%.*s: data set: expected one that blip2 data list shows, got none%s%s%s",
        NAME_MAX_SHOWN, name, near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
    return NULL;
}

/* A set without types has LAVIS' "default" alone. */
static bool has_type(const DataSet *s, const char *type)
{
    return !type || strcmp(s->type ? s->type : "default", type) == 0 ||
           (s->type_also && strcmp(s->type_also, type) == 0);
}

static const DataSet *unknown_type(const DataSet *s, const char *type, Error *e)
{
    char known[200] = "default";
    int n = 0;
    for (size_t i = 0; data_set_at(i); i++)
        if (strcmp(data_set_at(i)->name, s->name) == 0 && data_set_at(i)->type)
            n += snprintf(known + n, sizeof known - (size_t)n, "%s%s", n ? " or " : "",
                          data_set_at(i)->type);
    error_set(e, ERR_USAGE, "%s: type: expected %s, got %.*s", s->name, known, NAME_MAX_SHOWN,
              type);
    return NULL;
}

const DataSet *data_set(const char *name, Error *e)
{
    char base[64];
    const char *slash = strchr(name, '/'), *type = slash ? slash + 1 : NULL;
    size_t n = slash ? (size_t)(slash - name) : strlen(name);
    const DataSet *found = NULL;
    if (n >= sizeof base)
        return unknown(name, e);
    memcpy(base, name, n);
    base[n] = 0;
    for (size_t i = 0; data_set_at(i); i++) {
        if (!is_called(data_set_at(i), base))
            continue;
        found = found ? found : data_set_at(i);
        if (has_type(data_set_at(i), type))
            return data_set_at(i);
    }
    return found ? unknown_type(found, type, e) : unknown(name, e);
}

const DataSplit *data_split(const DataSet *s, const char *split, Error *e)
{
    char known[64] = "";
    int n = 0;
    for (size_t i = 0; i < DATA_SPLITS_MAX && s->split[i].name; i++) {
        if (strcmp(s->split[i].name, split) == 0)
            return &s->split[i];
        bool last = i + 1 == DATA_SPLITS_MAX || !s->split[i + 1].name;
        n += snprintf(known + n, sizeof known - (size_t)n, "%s%s",
                      i == 0 ? ""
                      : last ? " or "
                             : ", ",
                      s->split[i].name);
    }
    error_set(e, ERR_USAGE, "%s: split: expected %s, got %.*s", s->name, known, NAME_MAX_SHOWN,
              split);
    return NULL;
}

/* DIR/data of the model that came with the program. */
static char *own_root(Error *e)
{
    char *model = model_find("scenes", e), *root = model ? path_join(model, "data") : NULL;
    if (model && !root)
        error_memory(e, model, 256);
    mem_free(model);
    return root;
}

char *data_root(const DataSet *s, const char *root, Error *e)
{
    char *copy = root ? mem_strdup(root) : NULL;
    if (!root && !s->page)
        return own_root(e);
    if (root && !copy)
        error_memory(e, root, strlen(root));
    else if (!root)
        error_set(e, ERR_USAGE,
                  "%s: root: expected the folder of the data sets (--root DIR), got none", s->name);
    return copy;
}
