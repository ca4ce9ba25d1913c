/* ckpt/source.c: see ckpt/source.h. */
#include "ckpt/source.h"

#include <string.h>

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

Checkpoint *source_open(ModelSource *s, Error *e)
{
    Checkpoint *c = s->ckpt;
    s->ckpt = NULL;
    return c ? c : ckpt_open(s->weights[0], e);
}

void source_free(ModelSource *s)
{
    ckpt_close(s->ckpt);
    arena_free(&s->mem);
    *s = (ModelSource){0};
}
