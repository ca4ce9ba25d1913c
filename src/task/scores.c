/* task/scores.c: what selection needs of a pass: of every row its best ids, or all of it when sampling. */
#include <math.h>
#include <string.h>

#include "task/decode.h"

static bool plan_rows(Generator *g, Pass *p, Error *e)
{
    g->s.ids.n = 0;
    for (int i = 0, at = 0; i < p->n; i++)
        for (int r = 0; r < p->item[i]->n_next; r++, at++) {
            const GenItem *it = p->item[i];
            TopKRow *w = &p->want[at];
            int node, n;
            *w = (TopKRow){.penalty = 1};
            it->search->want(it, r, w);
            it->search->past(it, r, &node, &n);
            if (!process_ids(it, &g->s, node, n, w, e))
                return false;
            p->stride = w->k > p->stride ? w->k : p->stride;
        }
    return true;
}

static bool find_top(Generator *g, Pass *p, Error *e)
{
    size_t entries = (size_t)p->rows * (size_t)p->stride;
    if (entries > g->s.cap_top) {
        mem_free(g->s.top);
        g->s.top = mem_alloc(entries * sizeof *g->s.top);
        g->s.cap_top = g->s.top ? entries : 0;
    }
    if (entries && !g->s.top)
        return error_memory(e, "candidates", entries * sizeof *g->s.top);
    return top_k(g->lm->c, p->logits, p->logprobs, p->want, g->s.ids.v, g->s.ids.n, p->stride,
                 g->s.top, p->found) ||
           error_set(e, g->lm->c->err.code, "%s", g->lm->c->err.message);
}

/* Which logit it is that is no number. */
static bool bad_logits(Generator *g, Pass *p, const GenItem *it, int at, Error *e)
{
    int node, n;
    it->search->past(it, 0, &node, &n);
    if (!tensor_download(g->lm->c, g->s.row, rows(g->lm->c, p->logits, at, 1)))
        return error_set(e, g->lm->c->err.code, "%s", g->lm->c->err.message);
    for (int i = 0; i < g->s.vocab; i++)
        if (!(g->s.row[i] < (float)INFINITY))
            return error_set(e, ERR_FAILED, "logits: step %d: id %d: expected a number, got %g",
                             n + 1, i, (double)g->s.row[i]);
    return error_set(e, ERR_FAILED, "logits: step %d: expected a finite number, got only -inf",
                     n + 1);
}

/* Sampling looks at all of a row. */
static bool take_dense(Generator *g, Pass *p, GenItem *it, int r, int at, Error *e)
{
    Ctx *c = g->lm->c;
    RowScores *to = &it->scores[r];
    to->logits = it->dense + 2 * (size_t)r * (size_t)g->s.vocab;
    to->logprobs = to->logits + g->s.vocab;
    return (tensor_download(c, to->logits, rows(c, p->logits, at, 1)) &&
            tensor_download(c, to->logprobs, rows(c, p->logprobs, at, 1))) ||
           error_set(e, c->err.code, "%s", c->err.message);
}

static bool take_top(Generator *g, Pass *p, GenItem *it, int r, int at, Error *e)
{
    int k = p->want[at].k;
    if (!it->top) {
        it->stride = k;
        it->top = mem_alloc((size_t)it->max_rows * (size_t)k * sizeof *it->top);
    }
    if (!it->top)
        return error_memory(e, "candidates", (size_t)k * sizeof *it->top);
    TopEntry *to = it->top + (size_t)r * (size_t)it->stride;
    memcpy(to, g->s.top + (size_t)at * (size_t)p->stride, (size_t)p->found[at] * sizeof *to);
    it->scores[r] = (RowScores){.found = p->found[at], .top = to};
    return true;
}

bool pass_give(Generator *g, Pass *p, GenItem *it, int from, Error *e)
{
    for (int r = 0; r < it->n_rows; r++) {
        int at = from + r;
        if (p->found[at] < 0)
            return bad_logits(g, p, it, at, e);
        if (!(p->want[at].k ? take_top(g, p, it, r, at, e) : take_dense(g, p, it, r, at, e)))
            return false;
    }
    return true;
}

void pass_free(Pass *p)
{
    mem_free(p->want);
    mem_free(p->found);
}

bool pass_read(Generator *g, Pass *p, Error *e)
{
    for (int i = 0; i < p->n; i++)
        p->rows += p->item[i]->n_next;
    p->want = mem_alloc((size_t)p->rows * sizeof *p->want);
    p->found = mem_alloc((size_t)p->rows * sizeof *p->found);
    bool ok = p->want && p->found;
    if (!ok)
        error_memory(e, "candidates", (size_t)p->rows * sizeof *p->want);
    ok = ok && plan_rows(g, p, e);
    p->logprobs = ok ? log_softmax(g->lm->c, p->logits) : NULL;
    ok = ok && find_top(g, p, e);
    if (!ok)
        pass_free(p);
    return ok;
}
