/* ckpt/source.c: see ckpt/source.h. */
#include "ckpt/source.h"

#include <string.h>

#include "base/file.h"
#include "ckpt/checkpoint.h"

bool source_dir(ModelSource *s, const char *dir, Error *e)
{
    s->path = arena_strdup(&s->mem, dir);
    if (!s->path)
        return error_memory(e, dir, strlen(dir));
    s->config = s->tokenizer = folder_of(s->path);
    s->weights[s->n++] = s->path;
    return true;
}

bool source_find(ModelSource *s, const char *name, Error *e)
{
    char *dir = model_find(name, e);
    bool ok = dir && source_dir(s, dir, e);
    mem_free(dir);
    return ok;
}

static bool add_piece(Checkpoint *c, const char *path, Error *e)
{
    Checkpoint *part = file_is_dir(path) ? ckpt_open(path, e) : ckpt_open_file(path, e);
    return part && ckpt_join(c, part, e);
}

static Checkpoint *open_pieces(const ModelSource *s, Error *e)
{
    Checkpoint *c = ckpt_new(s->path, e);
    for (int i = 0; c && i < s->n; i++) {
        if (add_piece(c, s->weights[i], e))
            continue;
        ckpt_close(c);
        return NULL;
    }
    return c;
}

Checkpoint *source_open(ModelSource *s, Error *e)
{
    Checkpoint *c = s->ckpt;
    s->ckpt = NULL;
    if (c)
        return c;
    return s->n == 1 && file_is_dir(s->weights[0]) ? ckpt_open(s->weights[0], e)
                                                   : open_pieces(s, e);
}

void source_free(ModelSource *s)
{
    ckpt_close(s->ckpt);
    arena_free(&s->mem);
    *s = (ModelSource){0};
}
