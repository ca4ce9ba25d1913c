/* data/pathset.c: open addressing, at most half full. */
#include "data/pathset.h"

#include "base/mem.h"

/* FNV-1a, 64 bits; never 0. */
static uint64_t hash_of(const char *s)
{
    uint64_t h = 0xcbf29ce484222325;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3;
    return h ? h : 1;
}

static uint64_t *place_of(const PathSet *s, uint64_t h)
{
    size_t i = (h ^ h >> 32) & (s->size - 1);
    while (s->slot[i] && s->slot[i] != h)
        i = (i + 1) & (s->size - 1);
    return &s->slot[i];
}

static bool grow(PathSet *s)
{
    PathSet more = {.count = s->count, .size = s->size ? 2 * s->size : 1024};
    more.slot = mem_calloc(more.size, sizeof *more.slot);
    if (!more.slot)
        return false;
    for (size_t i = 0; i < s->size; i++)
        if (s->slot[i])
            *place_of(&more, s->slot[i]) = s->slot[i];
    mem_free(s->slot);
    *s = more;
    return true;
}

int pathset_add(PathSet *s, const char *name)
{
    uint64_t h = hash_of(name);
    if (2 * (s->count + 1) > s->size && !grow(s))
        return -1;
    uint64_t *at = place_of(s, h);
    if (*at)
        return 0;
    *at = h;
    s->count++;
    return 1;
}

void pathset_free(PathSet *s)
{
    mem_free(s->slot);
    *s = (PathSet){0};
}
