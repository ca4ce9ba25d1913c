/* task/process.c: log-probabilities and the score processors, in the libraries' order and in
 * float, as torch computes them: near ties decide ids. Source: transformers
 * generation/logits_process.py (4.33 and 5.x agree on all of these). */
#include "task/decode.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"

static bool bad_logit(Decoder *d, const float *x, int item, int step)
{
    for (int i = 0; i < d->lm->vocab; i++)
        if (isnan(x[i]) || x[i] == INFINITY)
            return error_set(d->e, ERR_FAILED,
                             "item %d: logits of step %d: id %d, expected a number, got %g", item,
                             step, i, (double)x[i]);
    return error_set(d->e, ERR_FAILED,
                     "item %d: logits of step %d: expected a finite number, got only -inf", item,
                     step);
}

static float row_max(const float *x, int n)
{
    float max = -INFINITY;
    for (int i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

/* Four sums, so that one addition need not wait for the other; the order is fixed. */
static double exp_sum(const float *x, int n, float max)
{
    double sum[4] = {0};
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++)
            sum[j] += (double)expf(x[i + j] - max);
    for (; i < n; i++)
        sum[0] += (double)expf(x[i] - max);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

bool row_norm(Decoder *d, const float *x, int item, int step, float *max, float *log_sum)
{
    *max = row_max(x, d->lm->vocab);
    double sum = exp_sum(x, d->lm->vocab, *max);
    if (!isfinite(sum) || !isfinite(*max))
        return bad_logit(d, x, item, step);
    *log_sum = (float)log(sum);
    return true;
}

/* Once per distinct id. Divides what is positive and multiplies what is not, so both shrink. */
static void penalise_repetition(Decoder *d, const int *ids, int n)
{
    float p = (float)d->o->repetition_penalty;
    for (int i = 0; i < n; i++) {
        int id = ids[i];
        if (id < 0 || id >= d->lm->vocab || d->seen[id])
            continue;
        d->seen[id] = 1;
        float s = d->row[id];
        d->row[id] = s < 0 ? s * p : s / p;
    }
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < d->lm->vocab)
            d->seen[ids[i]] = 0;
}

static void forbid(Decoder *d, int id)
{
    if (id >= 0 && id < d->lm->vocab)
        d->row[id] = -INFINITY;
}

/* Forbids every id that followed an earlier occurrence of the last size-1 ids. */
static void forbid_ngrams(Decoder *d, const int *ids, int n, int size)
{
    const int *suffix = ids + n - (size - 1);
    for (int i = 0; i + size <= n; i++)
        if (!memcmp(ids + i, suffix, (size_t)(size - 1) * sizeof(int)))
            forbid(d, ids[i + size - 1]);
}

/* The whole sequence into d->history. */
static bool gather_history(Decoder *d, const GenItem *it, int node, int n)
{
    int need = it->n_history + n;
    if (need > d->cap_history) {
        size_t bytes = ((size_t)need + 64) * sizeof(int);
        int *p = mem_realloc(d->history, bytes);
        if (!p)
            return error_memory(d->e, "id history", bytes);
        d->history = p;
        d->cap_history = need + 64;
    }
    if (it->n_history)
        memcpy(d->history, it->history, (size_t)it->n_history * sizeof(int));
    path_ids(&d->paths, node, n, d->history + it->n_history);
    return true;
}

static bool process_history(Decoder *d, const GenItem *it, int node, int n)
{
    const GenOptions *o = d->o;
    if (o->repetition_penalty == 1 && o->no_repeat_ngram == 0)
        return true;
    if (!gather_history(d, it, node, n))
        return false;
    int total = it->n_history + n;
    if (o->repetition_penalty != 1)
        penalise_repetition(d, d->history, total);
    if (o->no_repeat_ngram > 0 && total >= o->no_repeat_ngram)
        forbid_ngrams(d, d->history, total, o->no_repeat_ngram);
    return true;
}

bool process_row(Decoder *d, int item, int node, int n)
{
    const GenOptions *o = d->o;
    const GenItem *it = &d->item[item];
    if (!process_history(d, it, node, n))
        return false;
    for (int i = 0; i < o->n_banned; i++)
        if (!is_end(o, o->banned[i]))
            forbid(d, o->banned[i]);
    if (it->n_history + n < item_min_length(d, item))
        for (int i = 0; i < o->n_eos; i++)
            forbid(d, o->eos[i]);
    return true;
}
