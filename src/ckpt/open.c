/* ckpt/open.c: which files of a directory are its weights. */
#include <string.h>

#include "ckpt/checkpoint.h"
#include "ckpt/index.h"

/* One file that holds everything. */
static bool open_single(Checkpoint *c, const char *path, Error *e)
{
    return ckpt_reserve(c, 1, path, e) && ckpt_add_file(c, mem_strdup(path), e);
}

Checkpoint *ckpt_open_file(const char *path, Error *e)
{
    Checkpoint *c = ckpt_new(path, e);
    if (c && open_single(c, path, e))
        return c;
    ckpt_close(c);
    return NULL;
}

static const char SINGLE[] = "model.safetensors", INDEX[] = "model.safetensors.index.json";

static bool open_dir(Checkpoint *c, const char *dir, Error *e)
{
    int single = file_in_dir(dir, SINGLE), index = file_in_dir(dir, INDEX);
    if (single == 0 && index == 0)
        return model_dir_explain(dir,
                                 "weights: expected model.safetensors (or "
                                 "model.safetensors.index.json and its shards), got none",
                                 e);
    char *path = single < 0 || index < 0 ? NULL : path_join(dir, single ? SINGLE : INDEX);
    if (!path)
        return error_memory(e, dir, strlen(dir));
    bool ok = single ? open_single(c, path, e) : index_open(c, dir, path, e);
    mem_free(path);
    return ok;
}

Checkpoint *ckpt_open(const char *dir, Error *e)
{
    if (!model_dir_check(dir, e))
        return NULL;
    Checkpoint *c = ckpt_new(dir, e);
    if (c && open_dir(c, dir, e))
        return c;
    ckpt_close(c);
    return NULL;
}
