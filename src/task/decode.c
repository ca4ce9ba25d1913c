/* task/decode.c: the tree of generated ids, lengths, results. */
#include "task/decode.h"

#include <limits.h>
#include "base/mem.h"

static bool paths_grow(Decoder *d)
{
    Paths *p = &d->paths;
    if (p->cap > INT_MAX / 2)
        return error_memory(d->e, "generated ids", (size_t)p->cap * 2 * sizeof(PathNode));
    int cap = p->cap ? p->cap * 2 : 256;
    PathNode *node = mem_realloc(p->node, (size_t)cap * sizeof(*node));
    if (!node)
        return error_memory(d->e, "generated ids", (size_t)cap * sizeof(*node));
    p->node = node;
    p->cap = cap;
    return true;
}

int path_add(Decoder *d, int parent, int id)
{
    Paths *p = &d->paths;
    if (p->n == p->cap && !paths_grow(d))
        return -1;
    p->node[p->n] = (PathNode){parent, id};
    return p->n++;
}

void path_ids(const Paths *p, int node, int n, int *ids)
{
    for (int i = n; i-- > 0; node = p->node[node].parent)
        ids[i] = p->node[node].id;
}

/* Lengths count history and new ids together (models.md 6.1); HF's default of 20 counts new ids,
 * 4.33's the whole sequence. */
static long long length_limit(const GenOptions *o, long long history)
{
    if (o->max_new_tokens > 0)
        return history + o->max_new_tokens;
    if (o->max_length > 0)
        return o->max_length;
    return o->library == LIB_HF ? history + 20 : 20;
}

int generate_room(const GenOptions *o, int n_history, int max_new)
{
    long long room = length_limit(o, n_history) - n_history;
    if (room > max_new + 1LL)
        room = max_new + 1LL;
    long long most = INT_MAX - 1LL - n_history;
    return (int)(room < most ? room : most);
}

int item_room(const Decoder *d, int item)
{
    const GenItem *it = &d->item[item];
    int max_new = d->lm->max_new;
    if (it->max_new > 0 && it->max_new < max_new)
        max_new = it->max_new;
    return generate_room(d->o, it->n_history, max_new);
}

int item_min_length(const Decoder *d, int item)
{
    const GenOptions *o = d->o;
    long long fresh =
        o->min_new_tokens > 0 ? (long long)d->item[item].n_history + o->min_new_tokens : 0;
    long long length = o->min_length;
    if (o->library == LIB_HF ? fresh > 0 : fresh > length)
        length = fresh;
    return (int)(length < INT_MAX ? length : INT_MAX);
}

bool is_end(const GenOptions *o, int id)
{
    for (int i = 0; i < o->n_eos; i++)
        if (o->eos[i] == id)
            return true;
    return false;
}

bool decoder_advance(Decoder *d, int n)
{
    if (!d->lm->advance(d->lm->self, n, d->parent, d->ids, d->next_logits, d->e))
        return error_set(d->e, ERR_FAILED, "language model: step failed");
    d->logits = d->next_logits;
    return true;
}

bool emit(Decoder *d, GenSequence *out, int node, int n, double score)
{
    out->ids = mem_alloc((size_t)n * sizeof(int));
    if (!out->ids)
        return error_memory(d->e, "generated ids", (size_t)n * sizeof(int));
    path_ids(&d->paths, node, n, out->ids);
    out->n = n;
    out->score = score;
    return true;
}
