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

typedef struct Place {
    const char *name;
    bool (*open)(Checkpoint *c, const char *dir, const char *path, Error *e);
} Place;

static bool open_model(Checkpoint *c, const char *dir, const char *path, Error *e)
{
    (void)dir;
    return open_single(c, path, e);
}

/* The first that is there counts, as in transformers. */
static const Place PLACES[] = {{"model.safetensors", open_model},
                               {"model.safetensors.index.json", index_open},
                               {"pytorch_model.bin", open_model},
                               {"pytorch_model.bin.index.json", index_open}};

static bool open_dir(Checkpoint *c, const char *dir, Error *e)
{
    enum { N = sizeof PLACES / sizeof *PLACES };
    int i = 0, there = 0;
    while (i < N && (there = file_in_dir(dir, PLACES[i].name)) == 0)
        i++;
    if (i == N)
        return model_dir_explain(dir,
                                 "weights: expected model.safetensors or pytorch_model.bin (or "
                                 "their .index.json and its shards), got none",
                                 e);
    char *path = there < 0 ? NULL : path_join(dir, PLACES[i].name);
    bool ok = path ? PLACES[i].open(c, dir, path, e) : error_memory(e, dir, strlen(dir));
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
