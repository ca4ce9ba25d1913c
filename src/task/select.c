/* task/select.c: the best n of many, the warpers of sampling, and drawing. */
#include "task/decode.h"

#include <math.h>
#include <string.h>
#include "base/rng.h"

static bool better(const Cand *a, const Cand *b)
{
    return a->key > b->key || (a->key == b->key && a->index < b->index);
}

static bool worse(const Cand *a, const Cand *b)
{
    return better(b, a);
}

typedef bool Order(const Cand *a, const Cand *b);

static void swap(Cand *a, Cand *b)
{
    Cand t = *a;
    *a = *b;
    *b = t;
}

/* Restores a heap below i: nothing may lie under what it comes before. */
static inline void sift_down(Cand *c, int n, int i, Order *before)
{
    for (;;) {
        int first = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (before(&c[child], &c[first]))
                first = child;
        if (first == i)
            return;
        swap(&c[i], &c[first]);
        i = first;
    }
}

static void sift_up(Cand *c, int i)
{
    while (i > 0 && worse(&c[i], &c[(i - 1) / 2])) {
        swap(&c[i], &c[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

void top_push(Top *t, Cand c)
{
    if (t->n < t->room) {
        t->cand[t->n] = c;
        sift_up(t->cand, t->n++);
    } else if (better(&c, &t->cand[0])) {
        t->cand[0] = c;
        sift_down(t->cand, t->n, 0, worse);
    }
}

void top_sort(Top *t)
{
    for (int n = t->n - 1; n > 0; n--) {
        swap(&t->cand[0], &t->cand[n]);
        sift_down(t->cand, n, 0, worse);
    }
}

/* The k-th largest score of the row; -inf when fewer are allowed. scratch has room for k. */
static float kth_score(const float *row, int vocab, int k, Cand *scratch)
{
    Top top = {scratch, 0, k};
    for (int i = 0; i < vocab; i++)
        if (top.n < k || row[i] > top.cand[0].score)
            top_push(&top, (Cand){(double)row[i], row[i], i});
    return top.cand[0].score;
}

/* Keeps the best until their mass reaches p. Equal to the reference's cut from below: an id is
 * dropped when it and everything less likely have at most 1 - p together. Only what stays is
 * sorted: the best are taken off a heap, to the array's end, and moved to its start. */
static int cut_nucleus(Cand *cand, int n, double p, int min_keep)
{
    for (int i = n / 2; i-- > 0;)
        sift_down(cand, n, i, better);
    double best = n ? cand[0].key : 0, total = 0, above = 0;
    for (int i = 0; i < n; i++)
        total += exp(cand[i].key - best);
    int kept = 0;
    while (kept < n && (kept < min_keep || above < p * total)) {
        above += exp(cand[0].key - best);
        kept++;
        swap(&cand[0], &cand[n - kept]);
        sift_down(cand, n - kept, 0, better);
    }
    memmove(cand, cand + n - kept, (size_t)kept * sizeof(*cand));
    return kept;
}

int warp_row(const Decoder *d, int min_keep, Cand *cand)
{
    const GenOptions *o = d->o;
    int vocab = d->lm->vocab, n = 0;
    float t = (float)o->temperature, least = -INFINITY;
    for (int i = 0; t != 1 && i < vocab; i++)
        d->row[i] /= t;
    int k = o->top_k > min_keep ? o->top_k : min_keep;
    if (o->top_k > 0 && k < vocab)
        least = kth_score(d->row, vocab, k, cand);
    for (int i = 0; i < vocab; i++)
        if (d->row[i] >= least && d->row[i] > -INFINITY)
            cand[n++] = (Cand){(double)d->row[i], d->row[i], i};
    return o->top_p < 1 ? cut_nucleus(cand, n, o->top_p, min_keep) : n;
}

/* The largest of score + Gumbel noise is a draw from softmax(score), the next largest the draw from
 * what is left, and so on. Each candidate's noise belongs to its index, whatever else remains. */
int draw(Cand *cand, int n, int want, uint64_t stream, Cand *out)
{
    Top top = {out, 0, want};
    for (int i = 0; i < n; i++) {
        double u = rng_unit(stream, (uint64_t)cand[i].index);
        cand[i].key = (double)cand[i].score - log(-log(u));
        top_push(&top, cand[i]);
    }
    top_sort(&top);
    return top.n;
}

uint64_t draw_stream(const Decoder *d, int item, int sequence, int step)
{
    uint64_t s = rng_u64(d->o->seed, d->item[item].key);
    return rng_u64(rng_u64(s, (uint64_t)sequence), (uint64_t)step);
}
