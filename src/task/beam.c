/* task/beam.c: the loop of beam search and beam sampling. All items' beams advance together, in
 * rows item by item; what a step makes of its candidates is up to the library's rules (beam.h).
 * Source: transformers generation/utils.py, beam_search and beam_sample (4.33), _beam_search
 * (5.x). */
#include "task/beam.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"

typedef struct Search {
    Decoder *d;
    const BeamRules *rules;
    BeamItem *beam; /* one per item */
    Beam *run;      /* their memory */
    Hyp *pool;
    int want;  /* candidates per step and item */
    Cand *top; /* [want] */
    Next *next;
    bool first; /* all beams of an item are still the same row */
} Search;

/* Enough that K candidates remain when every beam may end with every end id. 4.33's beam sampling
 * has no such care for several end ids. */
static int candidates_wanted(const GenOptions *o)
{
    bool plain = o->n_eos < 2 || (o->library == LIB_LAVIS && o->sample);
    return (plain ? 2 : 1 + o->n_eos) * o->num_beams;
}

/* How many ids of a beam the warpers leave at least (5.x: 1 + end ids; 4.33: 2). */
static int min_keep(const GenOptions *o)
{
    return o->library == LIB_HF && o->n_eos > 1 ? 1 + o->n_eos : 2;
}

/* d->row = processed log-probabilities behind beam j. */
static bool score_beam(Decoder *d, const BeamItem *b, int j)
{
    int vocab = d->lm->vocab;
    const float *x = d->logits + (size_t)b->run[j].row * (size_t)vocab;
    float max, log_sum;
    if (!row_norm(d, x, b->item, b->n + 1, &max, &log_sum))
        return false;
    for (int i = 0; i < vocab; i++)
        d->row[i] = x[i] - max - log_sum;
    return process_row(d, b->item, b->run[j].node, b->n);
}

/* At the first step the beams are equal and all but one score -1e9: they matter only when the first
 * has too few candidates. */
static bool cannot_add(const Search *s, const BeamItem *b, const Top *top, int j)
{
    return s->first && j > 0 && top->n == top->room && top->cand[0].score > b->run[j].score;
}

static bool best_candidates(Search *s, const BeamItem *b, Top *top)
{
    Decoder *d = s->d;
    int vocab = d->lm->vocab;
    for (int j = 0; j < b->n_run; j++) {
        if (cannot_add(s, b, top, j))
            continue;
        if (!score_beam(d, b, j))
            return false;
        for (int i = 0; i < vocab; i++) {
            float total = d->row[i] + b->run[j].score;
            float least = top->n < top->room ? -INFINITY : top->cand[0].score;
            if (total > least)
                top_push(top, (Cand){(double)total, total, j * vocab + i});
        }
    }
    top_sort(top);
    return true;
}

/* d->cand gets what the warpers leave of beam j. 4.33 warps the sum with the running score, 5.x the
 * log-probabilities before it is added. Returns how many. */
static int warp_beam(Decoder *d, const BeamItem *b, int j, Cand *cand)
{
    int vocab = d->lm->vocab;
    float before = d->o->library == LIB_LAVIS ? b->run[j].score : 0;
    float after = d->o->library == LIB_LAVIS ? 0 : b->run[j].score;
    for (int i = 0; i < vocab; i++)
        d->row[i] += before;
    int n = warp_row(d, min_keep(d->o), cand);
    for (int i = 0; i < n; i++) {
        cand[i].score += after;
        cand[i].index += j * vocab;
    }
    return n;
}

/* What was drawn is ranked by score before the rules see it (4.33, and 5.24 again). */
static bool drawn_candidates(Search *s, const BeamItem *b, Top *top)
{
    Decoder *d = s->d;
    int n = 0;
    for (int j = 0; j < b->n_run; j++) {
        if (!score_beam(d, b, j))
            return false;
        n += warp_beam(d, b, j, d->cand + n);
    }
    top->n = draw(d->cand, n, top->room, draw_stream(d, b->item, 0, b->n), top->cand);
    Top sorted = {top->cand, 0, top->room};
    for (int i = 0; i < top->n; i++) {
        Cand c = top->cand[i];
        c.key = (double)c.score;
        top_push(&sorted, c);
    }
    top_sort(&sorted);
    return true;
}

/* One step of one item: candidates, then the library's rules. */
static bool step_item(Search *s, BeamItem *b)
{
    Decoder *d = s->d;
    Top top = {s->top, 0, s->want};
    if (!(d->o->sample ? drawn_candidates(s, b, &top) : best_candidates(s, b, &top)))
        return false;
    for (int i = 0; i < top.n; i++) {
        const Beam *from = &b->run[top.cand[i].index / d->lm->vocab];
        int id = top.cand[i].index % d->lm->vocab;
        int node = path_add(d, from->node, id);
        if (node < 0)
            return false;
        s->next[i] = (Next){top.cand[i].score, node, from->row, is_end(d->o, id)};
    }
    s->rules->step(d->o, b, s->next, top.n);
    return true;
}

static bool step_all(Search *s)
{
    for (int i = 0; i < s->d->items; i++)
        if (!s->beam[i].done && !step_item(s, &s->beam[i]))
            return false;
    s->first = false;
    return true;
}

/* Gives rows to all beams of the items that go on; returns how many there are. */
static int next_rows(Search *s)
{
    Decoder *d = s->d;
    int rows = 0;
    for (int i = 0; i < d->items; i++) {
        BeamItem *b = &s->beam[i];
        for (int j = 0; !b->done && j < b->n_run; j++) {
            d->parent[rows] = b->run[j].row;
            d->ids[rows] = d->paths.node[b->run[j].node].id;
            b->run[j].row = rows++;
        }
    }
    return rows;
}

static void start_item(Search *s, int item)
{
    const GenOptions *o = s->d->o;
    BeamItem *b = &s->beam[item];
    int k = o->num_beams;
    *b = (BeamItem){.item = item,
                    .prompt = s->d->item[item].n_history,
                    .room = item_room(s->d, item),
                    .run = s->run + (size_t)item * (size_t)k,
                    .n_run = k,
                    .pool = s->pool + (size_t)item * ((size_t)k + 1)};
    /* 4.33's beam sampling alone starts all beams alike: drawing makes them differ. */
    bool alike = o->library == LIB_LAVIS && o->sample;
    for (int j = 0; j < k; j++)
        b->run[j] = (Beam){j == 0 || alike ? 0 : BEAM_NEVER, -1, item};
    s->rules->start(o, b);
}

static bool search_alloc(Search *s)
{
    size_t items = (size_t)s->d->items, k = (size_t)s->d->o->num_beams, want = (size_t)s->want;
    s->beam = mem_calloc(items, sizeof(*s->beam));
    s->run = mem_calloc(items * k, sizeof(*s->run));
    s->pool = mem_calloc(items * (k + 1), sizeof(*s->pool));
    s->top = mem_calloc(want, sizeof(*s->top));
    s->next = mem_calloc(want, sizeof(*s->next));
    if (s->beam && s->run && s->pool && s->top && s->next)
        return true;
    return error_memory(s->d->e, "beams", items * k * sizeof(*s->run));
}

static void search_free(Search *s)
{
    mem_free(s->beam);
    mem_free(s->run);
    mem_free(s->pool);
    mem_free(s->top);
    mem_free(s->next);
}

static bool search_run(Search *s)
{
    for (int i = 0; i < s->d->items; i++)
        start_item(s, i);
    for (;;) {
        if (!step_all(s))
            return false;
        int rows = next_rows(s);
        if (rows == 0)
            return true;
        if (!decoder_advance(s->d, rows))
            return false;
    }
}

/* 4.33 ends a hypothesis with the first end id, whichever was met. */
static void unify_end(const GenOptions *o, GenSequence *out)
{
    if (o->library == LIB_LAVIS && out->n > 0 && is_end(o, out->ids[out->n - 1]))
        out->ids[out->n - 1] = o->eos[0];
}

static bool emit_item(Search *s, BeamItem *b, GenSequence *out)
{
    const GenOptions *o = s->d->o;
    s->rules->finish(o, b);
    if (b->n_pool == 0 || !b->pool[0].finished)
        return error_set(s->d->e, ERR_FAILED, "item %d: step %d: every id is forbidden", b->item,
                         b->n);
    for (int i = 0; i < o->num_captions; i++) {
        Hyp h = i < b->n_pool ? b->pool[i] : (Hyp){.score = BEAM_NEVER, .node = -1};
        if (!emit(s->d, &out[i], h.node, h.n, h.score))
            return false;
        unify_end(o, &out[i]);
    }
    return true;
}

static bool report(Decoder *d, const GenSequence *out)
{
    for (int i = 0; d->on_token && i < d->items; i++) {
        const GenSequence *best = &out[(size_t)i * (size_t)d->o->num_captions];
        for (int j = 0; j < best->n; j++)
            if (!d->on_token(d->user, i, best->ids[j]))
                return error_set(d->e, ERR_STOPPED, "generation: stopped by the caller");
    }
    return true;
}

bool generate_beams(Decoder *d, GenSequence *out)
{
    Search s = {.d = d, .want = candidates_wanted(d->o), .first = true};
    s.rules = d->o->library == LIB_HF ? &beam_rules_hf : &beam_rules_lavis;
    bool ok = search_alloc(&s) && search_run(&s);
    for (int i = 0; ok && i < d->items; i++)
        ok = emit_item(&s, &s.beam[i], out + (size_t)i * (size_t)d->o->num_captions);
    search_free(&s);
    return ok && report(d, out);
}
