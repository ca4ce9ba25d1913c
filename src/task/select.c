/* task/select.c: sampling: temperature, top-k, top-p, drawing without replacement. Source: transformers
 * generation/logits_process.py; drawing by Gumbel's maximum. */
#include "task/decode.h"

#include <math.h>
#include <string.h>
#include "base/rng.h"

/* The k-th largest score of the row; -inf when fewer are allowed. scratch has room for k. */
static float kth_score(const float *row, int vocab, int k, Cand *scratch)
{
    Top top = {scratch, 0, k};
    for (int i = 0; i < vocab; i++)
        if (top.n < k || row[i] > (float)top.cand[0].score)
            top_push(&top, (Cand){(double)row[i], (double)row[i], i});
    return (float)top.cand[0].score;
}

/* Keeps the best until their mass reaches p. Equal to the reference's cut from below: an id is
 * dropped when it and everything less likely have at most 1 - p together. Only what stays is
 * sorted: the best are taken off a heap, to the array's end, and moved to its start. */
static int cut_nucleus(Cand *cand, int n, double p, int min_keep)
{
    cand_heap(cand, n);
    double best = n ? cand[0].key : 0, total = 0, above = 0;
    for (int i = 0; i < n; i++)
        total += exp(cand[i].key - best);
    int kept = 0;
    while (kept < n && (kept < min_keep || above < p * total)) {
        above += exp(cand[0].key - best);
        kept++;
        cand_swap(&cand[0], &cand[n - kept]);
        cand_heap_down(cand, n - kept, 0);
    }
    memmove(cand, cand + n - kept, (size_t)kept * sizeof(*cand));
    return kept;
}

int warp_row(const GenOptions *o, float *row, int vocab, int min_keep, Cand *cand)
{
    int n = 0;
    float t = (float)o->temperature, least = -INFINITY;
    for (int i = 0; t != 1 && i < vocab; i++)
        row[i] /= t;
    int k = o->top_k > min_keep ? o->top_k : min_keep;
    if (o->top_k > 0 && k < vocab)
        least = kth_score(row, vocab, k, cand);
    for (int i = 0; i < vocab; i++)
        if (row[i] >= least && row[i] > -INFINITY)
            cand[n++] = (Cand){(double)row[i], (double)row[i], i};
    return o->top_p < 1 ? cut_nucleus(cand, n, o->top_p, min_keep) : n;
}

/* The largest of score + Gumbel noise is a draw from softmax(score), the next largest the draw from
 * what is left, and so on. Each candidate's noise belongs to its index, whatever else remains. */
int draw(Cand *cand, int n, int want, uint64_t stream, Cand *out)
{
    Top top = {out, 0, want};
    for (int i = 0; i < n; i++) {
        double u = rng_unit(stream, (uint64_t)cand[i].index);
        cand[i].key = cand[i].score - log(-log(u));
        top_push(&top, cand[i]);
    }
    top_sort(&top);
    return top.n;
}

uint64_t draw_stream(const GenOptions *o, int sequence, int step)
{
    uint64_t s = rng_u64(o->seed, 0);
    return rng_u64(rng_u64(s, (uint64_t)sequence), (uint64_t)step);
}
