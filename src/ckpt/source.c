/* ckpt/source.c: see ckpt/source.h. */
#include "ckpt/source.h"

#include <dirent.h>
#include <string.h>

#include "base/file.h"
#include "base/kind.h"
#include "base/str.h"
#include "ckpt/checkpoint.h"
#include "ckpt/hub.h"
#include "ckpt/models.h"
#include "ckpt/packed.h"
#include "ckpt/pieces.h"

static const SourceHints NO_HINTS;

/* --- a file -------------------------------------------------------------------------------------------- */

/* Whether it begins as weights do. */
static bool looks_like_weights(const char *path)
{
    Error ignored = {0};
    MappedFile f;
    if (!file_map(&f, path, ERR_FAILED, &ignored))
        return false;
    bool yes = (f.size > 8 && f.data[8] == '{' && f.data[7] == 0) || file_is_torch(f.data, f.size);
    file_unmap(&f);
    return yes;
}

/* The directory of a file; whether it has what says how the model is made: 1, 0; -1: out of memory. */
static int config_beside(ModelSource *s, const char *path, Folder *dir)
{
    const char *slash = strrchr(path, '/'), *at = slash ? path : ".";
    int n = slash > path ? (int)(slash - path) : 1;
    const char *name = arena_printf(&s->mem, "%.*s", n, at);
    if (!name)
        return -1;
    *dir = folder_of(name);
    return folder_has(dir, "config.json");
}

static bool check_model(Checkpoint *c, Error *e)
{
    return ckpt_unwrap(c, "query_tokens", NULL, NULL, e) &&
           (ckpt_find(c, "query_tokens") ||
            error_set(e, ERR_BAD_MODEL,
                      "%s: tensor \"query_tokens\": expected, but missing: no weights of BLIP-2",
                      ckpt_path(c)));
}

static bool take_file(ModelSource *s, const char *path, const SourceHints *hints, Error *e)
{
    Folder dir;
    s->path = arena_strdup(&s->mem, path);
    s->ckpt = ckpt_open_file(path, e);
    if (!s->path || !s->ckpt)
        return s->path ? false : error_memory(e, path, strlen(path));
    if (packed_is(s->ckpt))
        return packed_open(s, e);
    if (!check_model(s->ckpt, e))
        return false;
    int beside = config_beside(s, path, &dir);
    if (beside < 0)
        return error_memory(e, path, strlen(path));
    return pieces_find(s, path, beside ? &dir : NULL, hints, e);
}

/* --- a directory --------------------------------------------------------------------------------------- */

bool source_dir(ModelSource *s, const char *dir, Error *e)
{
    s->path = arena_strdup(&s->mem, dir);
    if (!s->path)
        return error_memory(e, dir, strlen(dir));
    s->config = s->tokenizer = folder_of(s->path);
    return true;
}

/* LAVIS' file in a directory without a config.json: the one .pth that is no base vision tower. *found: NULL
 * when there is none, or more than one. false: out of memory. */
static bool lavis_file(const char *dir, char **found)
{
    int n = 0, config = file_in_dir(dir, "config.json");
    DIR *d = config == 0 ? opendir(dir) : NULL;
    bool ok = config >= 0;
    *found = NULL;
    for (const struct dirent *entry; ok && d && (entry = readdir(d));) {
        if (!str_ends(entry->d_name, ".pth") || strcmp(entry->d_name, "eva_vit_g.pth") == 0 ||
            strcmp(entry->d_name, "clip_vit_L.pth") == 0)
            continue;
        mem_free(*found);
        *found = n++ ? NULL : path_join(dir, entry->d_name);
        ok = *found || n > 1;
    }
    if (d)
        closedir(d);
    return ok;
}

static bool take_dir(ModelSource *s, const char *dir, const SourceHints *hints, Error *e)
{
    char *file;
    if (!lavis_file(dir, &file))
        return error_memory(e, dir, strlen(dir));
    bool ok = file ? take_file(s, file, hints, e) : source_dir(s, dir, e);
    mem_free(file);
    return ok;
}

/* --- a name --------------------------------------------------------------------------------------------- */

/* Of a published model that is not here as a directory: LAVIS' file, where LAVIS keeps it. */
static char *published_file(const char *name)
{
    const HubModel *m = hub_find(name);
    char *path = NULL;
    if (m && m->pth && lavis_path(m->pth, &path) && file_exists(path))
        return path;
    mem_free(path);
    return NULL;
}

bool source_find(ModelSource *s, const char *name, const SourceHints *hints, Error *e)
{
    Error why = {0};
    hints = hints ? hints : &NO_HINTS;
    if (name && file_exists(name) && !file_is_dir(name) && looks_like_weights(name))
        return take_file(s, name, hints, e);
    char *dir = model_find(name, &why);
    char *file = !dir && name && why.code == ERR_NO_MODEL ? published_file(name) : NULL;
    bool ok = dir    ? take_dir(s, dir, hints, e)
              : file ? take_file(s, file, hints, e)
                     : error_set(e, why.code, "%s", why.message);
    mem_free(dir);
    mem_free(file);
    return ok;
}

Checkpoint *source_open(ModelSource *s, Error *e)
{
    Checkpoint *c = s->ckpt;
    s->ckpt = NULL;
    return c ? c : ckpt_open(s->path, e);
}

void source_free(ModelSource *s)
{
    ckpt_close(s->ckpt);
    arena_free(&s->mem);
    *s = (ModelSource){0};
}
