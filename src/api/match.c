/* api/match.c: pairs of a picture and a text to the engine, and their scores back. */
#include "api/api.h"
#include "task/match.h"
#include "task/reading.h"

typedef struct Outcome {
    blip2_error error;
    blip2_score score;
    char notice[256];
} Outcome;

struct blip2_scores {
    Outcome *pair;
    size_t count;
};

/* Pairs of a call that make sense. */
typedef struct Call {
    MatchJob *job;
    Ids *ids; /* [n] of each job's text */
    Outcome **of;
    int n;
} Call;

static bool take_pair(const blip2_session *s, const blip2_pair *p, MatchJob *job, Ids *ids,
                      char *notice, Error *e)
{
    if (!match_check(&s->engine.net->config, e) ||
        !api_choice("pair: library", (int)p->library, BLIP2_HF, e) ||
        !reading_ids(&s->engine, p->text, (Library)p->library, ids, notice, e))
        return false;
    if (!p->image)
        return error_set(e, ERR_FAILED, "picture: expected one, got NULL");
    api_note_image(notice, p->image);
    *job = (MatchJob){
        .image = api_image_job(p->image, p->library), .ids = ids->id, .n_ids = (int)ids->n};
    return true;
}

static void add_pair(Call *c, const blip2_session *s, const blip2_pair *pairs, size_t i, Outcome *o)
{
    Error e = {0};
    blip2_pair p = {.size = sizeof p};
    if (api_element(&p, sizeof p, offsetof(blip2_pair, reserved), pairs, i, "pair", &e) &&
        take_pair(s, &p, &c->job[c->n], &c->ids[c->n], o->notice, &e)) {
        c->of[c->n++] = o;
    } else {
        ids_free(&c->ids[c->n]); /* the next pair's place */
        api_error(&o->error, &e);
    }
}

static void keep(const MatchJob *job, Outcome *o)
{
    api_error(&o->error, &job->error);
    o->score = (blip2_score){.itm = match_probability(job->itm),
                             .itc = (double)job->itc,
                             .itm_logits = {(double)job->itm[0], (double)job->itm[1]}};
}

static bool match_all(blip2_session *s, const blip2_pair *pairs, blip2_scores *r, Error *e)
{
    size_t n = r->count ? r->count : 1;
    Call c = {.job = mem_calloc(n, sizeof *c.job),
              .ids = mem_calloc(n, sizeof *c.ids),
              .of = mem_calloc(n, sizeof(Outcome *))};
    bool ok = (c.job && c.ids && c.of) || error_memory(e, "pairs", n * sizeof *c.job);
    for (size_t i = 0; ok && i < r->count; i++)
        add_pair(&c, s, pairs, i, &r->pair[i]);
    if (ok)
        engine_match(&s->engine, c.job, c.n);
    for (int i = 0; ok && i < c.n; i++)
        keep(&c.job[i], c.of[i]);
    for (size_t i = 0; c.ids && i < n; i++)
        ids_free(&c.ids[i]);
    mem_free(c.job);
    mem_free(c.ids);
    mem_free(c.of);
    return ok;
}

static blip2_scores *scores_new(size_t count, Error *e)
{
    blip2_scores *r = mem_calloc(1, sizeof *r);
    Outcome *pair = mem_calloc(count ? count : 1, sizeof *pair);
    if (r && pair) {
        *r = (blip2_scores){.pair = pair, .count = count};
        return r;
    }
    mem_free(r);
    mem_free(pair);
    error_memory(e, "scores", count * sizeof *pair);
    return NULL;
}

blip2_scores *blip2_match(blip2_session *session, const blip2_pair *pairs, size_t count,
                          blip2_error *err)
{
    Error e = {0};
    bool ok = api_check_call(session, pairs, count, "pair", &e);
    blip2_scores *r = ok ? scores_new(count, &e) : NULL;
    if (r && match_all(session, pairs, r, &e))
        return r;
    blip2_scores_free(r);
    api_error(err, &e);
    return NULL;
}

bool blip2_match_check(blip2_session *session, blip2_error *err)
{
    Error e = {0};
    bool ok = session ? match_check(&session->engine.net->config, &e) : api_missing("session", &e);
    return ok || api_error(err, &e);
}

void blip2_scores_free(blip2_scores *r)
{
    if (!r)
        return;
    mem_free(r->pair);
    mem_free(r);
}

/* An empty pair where there is none. */
static const Outcome *pair_at(const blip2_scores *r, size_t i)
{
    static const Outcome NONE;
    return r && i < r->count ? &r->pair[i] : &NONE;
}

const blip2_score *blip2_scores_at(const blip2_scores *r, size_t i)
{
    bool there = r && i < r->count && r->pair[i].error.code == BLIP2_OK;
    return there ? &r->pair[i].score : NULL;
}

const blip2_error *blip2_scores_error(const blip2_scores *r, size_t i)
{
    return &pair_at(r, i)->error;
}

const char *blip2_scores_notice(const blip2_scores *r, size_t i)
{
    const Outcome *o = pair_at(r, i);
    return o->notice[0] ? o->notice : NULL;
}
