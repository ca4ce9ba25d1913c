/* task/decode.c: the tree of generated ids, results, growing lists. */
#include "task/decode.h"

#include <limits.h>

static bool paths_grow(Paths *p, Error *e)
{
    if (p->cap > INT_MAX / 2)
        return error_memory(e, "generated ids", (size_t)p->cap * 2 * sizeof(PathNode));
    int cap = p->cap ? p->cap * 2 : 64;
    PathNode *node = mem_realloc(p->node, (size_t)cap * sizeof *node);
    if (!node)
        return error_memory(e, "generated ids", (size_t)cap * sizeof *node);
    p->node = node;
    p->cap = cap;
    return true;
}

int path_add(Paths *p, int parent, int id, Error *e)
{
    if (p->n == p->cap && !paths_grow(p, e))
        return -1;
    p->node[p->n] = (PathNode){parent, id};
    return p->n++;
}

void path_ids(const Paths *p, int node, int n, int *ids)
{
    for (int i = n; i-- > 0; node = p->node[node].parent)
        ids[i] = p->node[node].id;
}

bool emit(const GenItem *it, GenSequence *out, int node, int n, double score, Error *e)
{
    out->ids = mem_alloc((size_t)n * sizeof(int));
    if (!out->ids)
        return error_memory(e, "generated ids", (size_t)n * sizeof(int));
    path_ids(&it->paths, node, n, out->ids);
    out->n = n;
    out->score = score;
    return true;
}

bool ints_reserve(Ints *a, int n, Error *e)
{
    if (n <= a->cap)
        return true;
    int cap = n < INT_MAX / 2 ? n + n / 2 + 64 : n;
    int *v = mem_realloc(a->v, (size_t)cap * sizeof *v);
    if (!v)
        return error_memory(e, "ids", (size_t)cap * sizeof *v);
    a->v = v;
    a->cap = cap;
    return true;
}

bool scratch_cand(Scratch *s, int n, Error *e)
{
    if (n <= s->cap_cand)
        return true;
    mem_free(s->cand);
    s->cand = mem_alloc((size_t)n * sizeof *s->cand);
    s->cap_cand = s->cand ? n : 0;
    return s->cand || error_memory(e, "candidates", (size_t)n * sizeof *s->cand);
}
