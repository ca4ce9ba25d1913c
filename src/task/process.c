/* task/process.c: the score processors, in the libraries' order and in float, as torch computes them:
 * near ties decide ids. They are said as lists of ids, so that a kernel can apply them where the row
 * lies. Source: transformers generation/logits_process.py (4.33 and 5.x agree on all of these). */
#include "task/decode.h"

#include <string.h>

static bool add_id(Scratch *s, int id, Error *e)
{
    if (id < 0 || id >= s->vocab)
        return true;
    if (!ints_reserve(&s->ids, s->ids.n + 1, e))
        return false;
    s->ids.v[s->ids.n++] = id;
    return true;
}

/* Every distinct id of the sequence, once. */
static bool add_used(Scratch *s, Error *e)
{
    const int *ids = s->history.v;
    bool ok = true;
    for (int i = 0; ok && i < s->history.n; i++)
        if (ids[i] >= 0 && ids[i] < s->vocab && !s->seen[ids[i]]) {
            s->seen[ids[i]] = 1;
            ok = add_id(s, ids[i], e);
        }
    for (int i = 0; i < s->history.n; i++)
        if (ids[i] >= 0 && ids[i] < s->vocab)
            s->seen[ids[i]] = 0;
    return ok;
}

/* Every id that followed an earlier occurrence of the last size-1 ids. */
static bool add_ngrams(Scratch *s, int size, Error *e)
{
    const int *ids = s->history.v;
    const int *suffix = ids + s->history.n - (size - 1);
    for (int i = 0; i + size <= s->history.n; i++)
        if (!memcmp(ids + i, suffix, (size_t)(size - 1) * sizeof(int)) &&
            !add_id(s, ids[i + size - 1], e))
            return false;
    return true;
}

/* The whole sequence into s->history. */
static bool gather_history(const GenItem *it, Scratch *s, int node, int n, Error *e)
{
    if (!ints_reserve(&s->history, it->n_history + n, e))
        return false;
    if (it->n_history)
        memcpy(s->history.v, it->history, (size_t)it->n_history * sizeof(int));
    path_ids(&it->paths, node, n, s->history.v + it->n_history);
    s->history.n = it->n_history + n;
    return true;
}

static bool add_banned(const GenItem *it, Scratch *s, int n, Error *e)
{
    const GenOptions *o = &it->o;
    for (int i = 0; i < o->n_banned; i++)
        if (!is_end(o, o->banned[i]) && !add_id(s, o->banned[i], e))
            return false;
    bool too_short = it->n_history + n < generate_min_length(o, it->n_history);
    for (int i = 0; too_short && i < o->n_eos; i++)
        if (!add_id(s, o->eos[i], e))
            return false;
    return true;
}

bool process_ids(const GenItem *it, Scratch *s, int node, int n, TopKRow *w, Error *e)
{
    const GenOptions *o = &it->o;
    bool penalty = o->repetition_penalty != 1, ngrams = o->no_repeat_ngram > 0;
    w->first = s->ids.n;
    w->penalty = (float)o->repetition_penalty;
    if ((penalty || ngrams) && !gather_history(it, s, node, n, e))
        return false;
    if (penalty && !add_used(s, e))
        return false;
    w->penalised = s->ids.n - w->first;
    ngrams = ngrams && s->history.n >= o->no_repeat_ngram;
    if ((ngrams && !add_ngrams(s, o->no_repeat_ngram, e)) || !add_banned(it, s, n, e))
        return false;
    w->forbidden = s->ids.n - w->first - w->penalised;
    return true;
}
