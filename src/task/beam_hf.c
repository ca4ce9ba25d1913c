/* task/beam_hf.c: scoring and stopping of beam search in transformers 5.x, in float like there.
 * Source: generation/utils.py: _get_running_beams_for_next_iteration, _update_finished_beams,
 * _check_early_stop_heuristic, _beam_search_has_unfinished_sequences. */
#include <math.h>
#include "task/beam.h"

static void hf_start(const GenOptions *o, BeamState *b)
{
    b->n_pool = o->num_beams;
    for (int i = 0; i < b->n_pool; i++)
        b->pool[i] = (Hyp){.score = BEAM_NEVER, .node = -1};
}

static bool stops(const BeamState *b, const Ranked *c)
{
    return c->end || b->n + 1 >= b->room;
}

static bool pool_full(const BeamState *b)
{
    for (int i = 0; i < b->n_pool; i++)
        if (!b->pool[i].finished)
            return false;
    return true;
}

/* Into the sorted pool, behind its equals; the last one falls out. */
static void pool_insert(BeamState *b, Hyp h)
{
    int at = b->n_pool;
    while (at > 0 && h.score > b->pool[at - 1].score)
        at--;
    for (int i = b->n_pool - 1; i > at; i--)
        b->pool[i] = b->pool[i - 1];
    if (at < b->n_pool)
        b->pool[at] = h;
}

static void pool_merge(const GenOptions *o, BeamState *b, const Ranked *next, int n)
{
    float length = (float)pow(b->n + 1, o->length_penalty);
    for (int i = 0; i < n; i++) {
        bool finished = i < o->num_beams && stops(b, &next[i]);
        float score = (float)next[i].score / length;
        if (!finished)
            score += BEAM_NEVER;
        pool_insert(b, (Hyp){.score = (double)score,
                             .node = next[i].node,
                             .n = b->n + 1,
                             .finished = finished});
    }
}

/* The best ones that do not stop; where these are too few, stopped ones fill in with a score that
 * never wins. */
static void next_run(const GenOptions *o, BeamState *b, const Ranked *next, int n)
{
    b->n_run = 0;
    for (int i = 0; i < n; i++) {
        float score = (float)next[i].score + (stops(b, &next[i]) ? BEAM_NEVER : 0);
        int at = b->n_run < o->num_beams ? b->n_run++ : o->num_beams;
        for (; at > 0 && score > (float)b->run[at - 1].score; at--)
            if (at < b->n_run)
                b->run[at] = b->run[at - 1];
        if (at < b->n_run)
            b->run[at] = (Beam){(double)score, next[i].node, next[i].row};
    }
}

/* Can a running beam still displace something? The best one, over the length it has or may reach,
 * against the pool's last: an empty place scores as low as what must not win. */
static bool can_improve(const GenOptions *o, const BeamState *b)
{
    bool longest = o->early_stopping == EARLY_NEVER && o->length_penalty > 0;
    float length = (float)pow(longest ? b->room : b->n, o->length_penalty);
    return b->n_run && (float)b->run[0].score / length > (float)b->pool[b->n_pool - 1].score;
}

/* The reference goes on with the whole batch until no item is open; one that is closed or full takes
 * in nothing more, so each can end by itself. Only the length limit makes all candidates stop. */
static void hf_step(const GenOptions *o, BeamState *b, const Ranked *next, int n)
{
    pool_merge(o, b, next, n);
    next_run(o, b, next, n);
    b->n++;
    b->done =
        !can_improve(o, b) || (o->early_stopping == EARLY_TRUE && pool_full(b)) || b->n >= b->room;
}

static void hf_finish(const GenOptions *o, BeamState *b)
{
    for (int i = 0; i < b->n_pool; i++)
        if (!b->pool[i].finished)
            b->pool[i] = (Hyp){.score = BEAM_NEVER, .node = -1};
}

const BeamRules beam_rules_hf = {hf_start, hf_step, hf_finish};
