/* task/greedy.c: one beam: the best id each time, or a drawn one; several drawn sequences per item.
 * Source: transformers generation/utils.py, greedy_search and sample (4.33), _sample (5.x). */
#include "task/decode.h"

#include <math.h>
#include <string.h>

typedef struct Draft {
    int row;     /* its scores in the last pass */
    int node, n; /* what it has generated */
    double score;
    bool ended;
} Draft;

static bool drafts_begin(GenItem *it, Error *e)
{
    size_t n = (size_t)it->o.num_captions;
    Draft *d = mem_calloc(n, sizeof *d);
    it->state = d;
    for (size_t i = 0; d && i < n; i++)
        d[i].node = -1;
    return d || error_memory(e, "sequences", n * sizeof *d);
}

static void drafts_end(GenItem *it)
{
    mem_free(it->state);
    it->state = NULL;
}

static void drafts_want(const GenItem *it, int r, TopKRow *w)
{
    w->logits = true;
    w->k = it->o.sample ? 0 : 1;
}

/* The first one that is at row r; before the first step all are at row 0. */
static void drafts_past(const GenItem *it, int r, int *node, int *n)
{
    const Draft *d = it->state;
    while (d->ended || d->row != r)
        d++;
    *node = d->node;
    *n = d->n;
}

/* One id drawn from the whole row. */
static bool draw_one(const GenItem *it, const Draft *d, int sequence, Scratch *s, TopEntry *choice,
                     Error *e)
{
    const RowScores *from = &it->scores[d->row];
    Cand c;
    if (!scratch_cand(s, s->vocab, e))
        return false;
    memcpy(s->row, from->logits, (size_t)s->vocab * sizeof(float));
    int n = warp_row(&it->o, s->row, s->vocab, 1, s->cand);
    if (draw(s->cand, n, 1, draw_stream(&it->o, sequence, d->n), &c))
        *choice = (TopEntry){from->logprobs[c.index], c.index};
    else
        *choice = (TopEntry){.id = -1};
    return true;
}

static bool choose_one(const GenItem *it, const Draft *d, int sequence, Scratch *s, TopEntry *c,
                       Error *e)
{
    const RowScores *from = &it->scores[d->row];
    *c = (TopEntry){.id = -1};
    if (it->o.sample && !draw_one(it, d, sequence, s, c, e))
        return false;
    if (!it->o.sample && from->found)
        *c = from->top[0];
    return c->id >= 0 ||
           error_set(e, ERR_FAILED, "generation: step %d: every id is forbidden", d->n + 1);
}

/* Chooses, adds and reports the sequence's next id. */
static bool extend(GenItem *it, int sequence, Scratch *s, Error *e)
{
    Draft *d = (Draft *)it->state + sequence;
    TopEntry c;
    if (!choose_one(it, d, sequence, s, &c, e))
        return false;
    int node = path_add(&it->paths, d->node, c.id, e);
    if (node < 0)
        return false;
    d->node = node;
    d->n++;
    d->score += (double)c.logprob;
    d->ended = is_end(&it->o, c.id) || d->n == it->room;
    if (sequence == 0 && it->on_token && !it->on_token(it->user, c.id))
        return error_set(e, ERR_STOPPED, "generation: stopped by the caller");
    return true;
}

static bool drafts_choose(GenItem *it, Scratch *s, Error *e)
{
    Draft *d = it->state;
    for (int i = 0; i < it->o.num_captions; i++)
        if (!d[i].ended && !extend(it, i, s, e))
            return false;
    for (int i = 0; i < it->o.num_captions; i++) {
        if (d[i].ended)
            continue;
        it->next[it->n_next] = (NextRow){d[i].row, it->paths.node[d[i].node].id};
        d[i].row = it->n_next++;
    }
    return true;
}

static bool drafts_finish(GenItem *it, Error *e)
{
    const Draft *d = it->state;
    for (int i = 0; i < it->o.num_captions; i++)
        if (!emit(it, &it->out[i], d[i].node, d[i].n, d[i].score, e))
            return false;
    return true;
}

const Search search_drafts = {drafts_begin,  drafts_want,   drafts_past,
                              drafts_choose, drafts_finish, drafts_end};
