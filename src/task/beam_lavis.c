/* task/beam_lavis.c: scoring and stopping of beam search in transformers 4.33, which LAVIS pins; in
 * double like there. Source: generation/beam_search.py: BeamSearchScorer, BeamHypotheses. */
#include <float.h>
#include <math.h>
#include "task/beam.h"

static void lavis_start(const GenOptions *o, BeamState *b)
{
    b->n_pool = 0;
    b->worst = 1e9;
}

/* Below 0: a is the worse one. */
static int compare(const Hyp *a, const Hyp *b)
{
    double x = a->score, y = b->score;
    if (x == y) {
        x = a->behind;
        y = b->behind;
    }
    return (x > y) - (x < y);
}

/* Removes the lowest hypothesis, the oldest among equals, and finds the lowest of the rest. */
static void pool_drop(BeamState *b)
{
    int low = 0;
    for (int i = 1; i < b->n_pool; i++)
        if (compare(&b->pool[i], &b->pool[low]) < 0)
            low = i;
    b->n_pool--;
    for (int i = low; i < b->n_pool; i++)
        b->pool[i] = b->pool[i + 1];
    b->worst = INFINITY;
    for (int i = 0; i < b->n_pool; i++)
        b->worst = fmin(b->worst, b->pool[i].score);
}

/* length: of the whole sequence without its end id, history included. */
static void pool_add(const GenOptions *o, BeamState *b, double sum, int length, Hyp h)
{
    h.score = fmax((b->base + sum) / pow(length, o->length_penalty), -DBL_MAX);
    h.behind = b->base != 0 ? sum : 0;
    h.finished = true;
    if (b->n_pool >= o->num_beams && !(h.score > b->worst))
        return;
    b->pool[b->n_pool++] = h;
    if (b->n_pool > o->num_beams)
        pool_drop(b);
    else
        b->worst = fmin(b->worst, h.score);
}

/* No later hypothesis can be better than the worst of a full pool: judged from the best candidate
 * of this step, end ids included. */
static bool pool_settled(const GenOptions *o, const BeamState *b, double best)
{
    if (b->n_pool < o->num_beams)
        return false;
    if (o->early_stopping == EARLY_TRUE)
        return true;
    bool longest = o->early_stopping == EARLY_NEVER && o->length_penalty > 0;
    int length = b->prompt + (longest ? b->room : b->n + 1);
    return b->worst >= (b->base + best) / pow(length, o->length_penalty);
}

/* Running beams that the length limit cuts off are hypotheses too. */
static void add_running(const GenOptions *o, BeamState *b)
{
    for (int i = 0; i < b->n_run; i++)
        pool_add(o, b, b->run[i].score, b->prompt + b->n, (Hyp){.node = b->run[i].node, .n = b->n});
}

static void lavis_step(const GenOptions *o, BeamState *b, const Ranked *next, int n)
{
    b->n_run = 0;
    for (int i = 0; i < n && b->n_run < o->num_beams; i++) {
        const Ranked *c = &next[i];
        if (!c->end)
            b->run[b->n_run++] = (Beam){c->score, c->node, c->row};
        else if (i < o->num_beams)
            pool_add(o, b, c->score, b->prompt + b->n, (Hyp){.node = c->node, .n = b->n + 1});
    }
    bool settled = pool_settled(o, b, n ? next[0].score : -INFINITY);
    b->n++;
    b->done = settled || b->n >= b->room || b->n_run == 0;
    if (!settled && b->done)
        add_running(o, b);
}

/* Best first; among equals the later one, as sorting upwards and taking from the end gives. */
static void lavis_finish(const GenOptions *o, BeamState *b)
{
    for (int i = 1; i < b->n_pool; i++) {
        Hyp h = b->pool[i];
        int at = i;
        for (; at > 0 && compare(&h, &b->pool[at - 1]) >= 0; at--)
            b->pool[at] = b->pool[at - 1];
        b->pool[at] = h;
    }
}

const BeamRules beam_rules_lavis = {lavis_start, lavis_step, lavis_finish};
