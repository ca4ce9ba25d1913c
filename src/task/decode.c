/* task/decode.c: the tree of generated ids, results, growing lists. */
#include "task/decode.h"

#include <limits.h>

int path_add(Paths *p, int parent, int id, Error *e)
{
    if (p->n == INT_MAX || !MEM_GROW(p->node, &p->cap, (size_t)p->n + 1)) {
        error_memory(e, "generated ids", (size_t)p->n * sizeof *p->node);
        return -1;
    }
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
    return MEM_GROW(a->v, &a->cap, (size_t)n) || error_memory(e, "ids", (size_t)n * sizeof *a->v);
}

bool scratch_cand(Scratch *s, int n, Error *e)
{
    return MEM_GROW(s->cand, &s->cap_cand, (size_t)n) ||
           error_memory(e, "candidates", (size_t)n * sizeof *s->cand);
}
