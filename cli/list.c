/* blip2 list: the published models, and which of them are here. */
#include "json.h"
#include "memory.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "verbs.h"

#include <blip2.h>
#include <limits.h>
#include <stdlib.h>

enum { COLUMN = 19 }; /* of the texts beside the names */

/* What came with the program is listed first. */
static const blip2_zoo embedded = {
    .name = "scenes",
    .good_for = "trying the program: small scenes of emoji; comes with it",
    .licence = "BSD-3-Clause",
};

/* NULL: not on this machine. */
static const char *where(const blip2_zoo *model, char path[PATH_MAX])
{
    return blip2_find(model->name, path, PATH_MAX, NULL) ? path : NULL;
}

static void list_text(const blip2_zoo *model)
{
    char path[PATH_MAX], size[32], *line;
    const char *here = where(model, path);
    out_print("  %s%-*s%s", out_bold(), COLUMN - 2, model->name, out_normal());
    if (model->bytes)
        line = need_format("%s. About %s, %s", model->good_for, size_text(size, model->bytes),
                           here ? "here" : "not here");
    else
        line = need_format("%s", model->good_for);
    wrap(line, COLUMN, COLUMN);
    free(line);
    line = need_format("%s%s%s", model->repository ? model->repository : "LAVIS' files",
                       *model->licence ? "; " : "", model->licence);
    if (model->bytes) {
        out_print("%*s%s", COLUMN, "", out_dim());
        wrap(line, COLUMN, COLUMN);
        out_text(out_normal());
    }
    free(line);
    if (here) {
        out_print("%*s", COLUMN, "");
        out_plain(here);
        out_text("\n");
    }
}

static json_t *list_json(const blip2_zoo *model)
{
    char path[PATH_MAX];
    json_t *o = json_object(), *also = json_array();
    for (const char *const *name = model->aliases; name && *name; name++)
        json_add(also, json_text(*name));
    json_put(o, "name", json_text(model->name));
    json_put(o, "repository", json_text(model->repository));
    json_put(o, "aliases", also);
    json_put(o, "good_for", json_text(model->good_for));
    json_put(o, "licence", json_text(model->licence));
    json_put(o, "bytes", json_known(model->bytes));
    json_put_path(o, "path", where(model, path));
    return o;
}

static void list_one(const Args *args, const blip2_zoo *model)
{
    if (args->has[OPT_JSON])
        out_json(list_json(model));
    else
        list_text(model);
}

int run_list(const Args *args)
{
    list_one(args, &embedded);
    for (size_t i = 0; i < blip2_zoo_count(); i++)
        list_one(args, blip2_zoo_at(i));
    return 0;
}
