/* task/beam.c: beam search and beam sampling of one item; what a step makes of its candidates is up to
 * the library's rules (beam.h). Source: transformers generation/utils.py, beam_search and beam_sample
 * (4.33), _beam_search (5.x). */
#include "task/beam.h"

#include <math.h>
#include <string.h>

/* Beam sampling of 4.33. */
static bool old_sampling(const GenOptions *o)
{
    return o->library == LIB_LAVIS && o->sample;
}

/* Enough that K candidates remain when every beam may end with every end id. 4.33's beam sampling
 * has no such care for several end ids. */
static int candidates_wanted(const GenOptions *o)
{
    bool plain = o->n_eos < 2 || old_sampling(o);
    return (plain ? 2 : 1 + o->n_eos) * o->num_beams;
}

/* How many ids of a beam the warpers leave at least (5.x: 1 + end ids; 4.33: 2). */
static int min_keep(const GenOptions *o)
{
    return o->library == LIB_HF && o->n_eos > 1 ? 1 + o->n_eos : 2;
}

static const BeamRules *rules_of(const GenOptions *o)
{
    return o->library == LIB_HF ? &beam_rules_hf : &beam_rules_lavis;
}

/* --- begin and end ------------------------------------------------------------------------------- */

static bool beams_alloc(BeamState *b, int k, int want)
{
    size_t n = (size_t)k, wanted = (size_t)want;
    b->run = mem_calloc(n, sizeof *b->run);
    b->pool = mem_calloc(n + 1, sizeof *b->pool);
    b->top = mem_calloc(wanted, sizeof *b->top);
    b->ranked = mem_calloc(wanted, sizeof *b->ranked);
    return b->run && b->pool && b->top && b->ranked;
}

static bool beams_begin(GenItem *it, Error *e)
{
    const GenOptions *o = &it->o;
    int k = o->num_beams;
    BeamState *b = it->state = mem_calloc(1, sizeof *b);
    if (b)
        *b = (BeamState){.want = candidates_wanted(o), .prompt = it->n_history, .room = it->room};
    if (!b || !beams_alloc(b, k, b->want))
        return error_memory(e, "beams", (size_t)k * sizeof *b->run);
    /* 4.33's beam sampling alone starts all beams alike: drawing makes them differ. */
    bool alike = old_sampling(o);
    b->n_run = k;
    for (int j = 0; j < k; j++)
        b->run[j] = (Beam){j == 0 || alike ? 0 : BEAM_NEVER, -1, 0};
    rules_of(o)->start(o, b);
    return true;
}

static void beams_end(GenItem *it)
{
    BeamState *b = it->state;
    mem_free(b->run);
    mem_free(b->pool);
    mem_free(b->top);
    mem_free(b->ranked);
    mem_free(b);
    it->state = NULL;
}

/* --- what a step asks for ------------------------------------------------------------------------ */

/* Beam r is at row r; before the first step all are at row 0. */
static void beams_want(const GenItem *it, int r, TopKRow *w)
{
    const BeamState *b = it->state;
    w->k = it->o.sample ? 0 : b->want;
    w->add = (float)b->run[r].score;
}

static void beams_past(const GenItem *it, int r, int *node, int *n)
{
    const BeamState *b = it->state;
    *node = b->run[r].node;
    *n = b->n;
}

/* --- candidates ---------------------------------------------------------------------------------- */

/* At the first step all beams are at one row, and all but the first score -1e9: they matter only when
 * that one has too few candidates, and then its list holds every id that is allowed. */
static void best_candidates(const GenItem *it, const BeamState *b, int vocab, Top *top)
{
    for (int j = 0; j < b->n_run; j++) {
        const RowScores *from = &it->scores[b->run[j].row];
        for (int i = 0; i < from->found; i++) {
            float total = from->top[i].logprob + (float)b->run[j].score;
            top_push(top, (Cand){(double)total, (double)total, j * vocab + from->top[i].id});
        }
    }
    top_sort(top);
}

/* cand gets what the warpers leave of beam j. 5.x adds the running score to what they give; 4.33 before
 * them, so that the temperature divides it again at each step. Top-k and top-p of a beam do not depend
 * on a number that all its ids have in common. Returns how many. */
static int warp_beam(const GenItem *it, int j, Scratch *s, Cand *cand)
{
    const BeamState *b = it->state;
    const GenOptions *o = &it->o;
    double sum = b->run[j].score;
    float before = old_sampling(o) && b->base == 0 ? (float)sum : 0;
    memcpy(s->row, it->scores[b->run[j].row].logprobs, (size_t)s->vocab * sizeof(float));
    for (int i = 0; i < s->vocab; i++)
        s->row[i] += before;
    int n = warp_row(o, s->row, s->vocab, min_keep(o), cand);
    for (int i = 0; i < n; i++) {
        if (!old_sampling(o))
            cand[i].score = (double)((float)cand[i].score + (float)sum);
        else if (b->base != 0)
            cand[i].score += sum / o->temperature;
        cand[i].index += j * s->vocab;
    }
    return n;
}

/* What was drawn is ranked by score before the rules see it (4.33, and 5.24 again). */
static bool drawn_candidates(GenItem *it, Scratch *s, Top *top, Error *e)
{
    BeamState *b = it->state;
    int n = 0;
    if (!scratch_cand(s, it->o.num_beams * s->vocab, e))
        return false;
    for (int j = 0; j < b->n_run; j++)
        n += warp_beam(it, j, s, s->cand + n);
    int drawn = draw(s->cand, n, top->room, draw_stream(&it->o, 0, b->n), top->cand);
    for (int i = 0; i < drawn; i++) {
        Cand c = top->cand[i];
        c.key = c.score;
        top_push(top, c);
    }
    top_sort(top);
    return true;
}

/* --- a step -------------------------------------------------------------------------------------- */

/* 4.33's beam sampling: what a temperature below 1 divides at each step soon has more digits than a
 * float, and then is infinite. From there on beams are told apart by what they are behind the best one,
 * which is kept small where no draw could tell (their order stays), and what all have in common is kept
 * in base. */
static void rebase(const GenOptions *o, BeamState *b)
{
    const double many = 1e4, far = 1e9;
    double before = b->n_run ? b->run[0].score : 0, behind = 0;
    if (!old_sampling(o) || (b->base == 0 && before > -many))
        return;
    b->base += before;
    for (int j = 0; j < b->n_run; j++) {
        behind -= fmin(before - b->run[j].score, far);
        before = b->run[j].score;
        b->run[j].score = behind;
    }
}

static bool step(GenItem *it, Scratch *s, Error *e)
{
    BeamState *b = it->state;
    Top top = {b->top, 0, b->want};
    if (!it->o.sample)
        best_candidates(it, b, s->vocab, &top);
    else if (!drawn_candidates(it, s, &top, e))
        return false;
    for (int i = 0; i < top.n; i++) {
        const Beam *from = &b->run[top.cand[i].index / s->vocab];
        int id = top.cand[i].index % s->vocab;
        int node = path_add(&it->paths, from->node, id, e);
        if (node < 0)
            return false;
        b->ranked[i] = (Ranked){top.cand[i].score, node, from->row, is_end(&it->o, id)};
    }
    if (old_sampling(&it->o)) /* the pool's scores stay numbers */
        b->base = fmax(b->base / it->o.temperature, -1e300);
    rules_of(&it->o)->step(&it->o, b, b->ranked, top.n);
    rebase(&it->o, b);
    return true;
}

/* 4.33 ends a hypothesis with the first end id, whichever was met. */
static void unify_end(const GenOptions *o, GenSequence *out)
{
    if (o->library == LIB_LAVIS && out->n > 0 && is_end(o, out->ids[out->n - 1]))
        out->ids[out->n - 1] = o->eos[0];
}

static bool beams_finish(GenItem *it, Error *e)
{
    const GenOptions *o = &it->o;
    BeamState *b = it->state;
    for (int i = 0; i < o->num_captions; i++) {
        Hyp h = i < b->n_pool ? b->pool[i] : (Hyp){.score = BEAM_NEVER, .node = -1};
        if (!emit(it, &it->out[i], h.node, h.n, h.score, e))
            return false;
        unify_end(o, &it->out[i]);
    }
    return true;
}

/* The ids of the best sequence are settled now, all at once. */
static bool report(const GenItem *it, Scratch *s, Error *e)
{
    const BeamState *b = it->state;
    const Hyp *best = &b->pool[0];
    if (!it->on_token)
        return true;
    if (!ints_reserve(&s->ids, best->n, e))
        return false;
    path_ids(&it->paths, best->node, best->n, s->ids.v);
    GenSequence seq = {.ids = s->ids.v, .n = best->n};
    unify_end(&it->o, &seq);
    for (int i = 0; i < seq.n; i++)
        if (!it->on_token(it->user, seq.ids[i]))
            return error_set(e, ERR_STOPPED, "generation: stopped by the caller");
    return true;
}

/* In 5.x what scores below the -1e9 of an empty place never wins it; with a length penalty far below 0
 * no sequence does. */
static bool nothing_found(const GenOptions *o, const BeamState *b, Error *e)
{
    if (o->length_penalty < 0 && b->n_run)
        return error_set(
            e, ERR_FAILED,
            "generation: length penalty: expected one that leaves scores above -1e9, got %g",
            o->length_penalty);
    return error_set(e, ERR_FAILED, "generation: step %d: every id is forbidden", b->n);
}

static bool beams_choose(GenItem *it, Scratch *s, Error *e)
{
    BeamState *b = it->state;
    if (!step(it, s, e))
        return false;
    for (int j = 0; !b->done && j < b->n_run; j++) {
        it->next[j] = (NextRow){b->run[j].row, it->paths.node[b->run[j].node].id};
        b->run[j].row = j;
        it->n_next++;
    }
    if (it->n_next)
        return true;
    rules_of(&it->o)->finish(&it->o, b);
    if (b->n_pool == 0 || !b->pool[0].finished)
        return nothing_found(&it->o, b, e);
    return report(it, s, e);
}

const Search search_beams = {beams_begin,  beams_want,   beams_past,
                             beams_choose, beams_finish, beams_end};
