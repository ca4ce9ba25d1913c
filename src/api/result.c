/* api/result.c: what the items of a call came to, kept for the caller. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"

typedef struct Outcome {
    blip2_error error;
    blip2_candidate *candidate;
    size_t count;
    blip2_timings timings;
    char notice[256];
} Outcome;

struct blip2_result {
    Outcome *item;
    size_t count;
};

blip2_result *result_new(size_t count, Error *e)
{
    blip2_result *r = mem_calloc(1, sizeof *r);
    Outcome *item = mem_calloc(count ? count : 1, sizeof *item);
    if (r && item) {
        *r = (blip2_result){.item = item, .count = count};
        return r;
    }
    mem_free(r);
    mem_free(item);
    error_memory(e, "results", count * sizeof *item);
    return NULL;
}

static void drop_candidates(Outcome *o)
{
    for (size_t i = 0; i < o->count; i++) {
        mem_free((void *)(uintptr_t)o->candidate[i].text);
        mem_free((void *)(uintptr_t)o->candidate[i].ids);
    }
    mem_free(o->candidate);
    o->candidate = NULL;
    o->count = 0;
}

void blip2_result_free(blip2_result *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        drop_candidates(&r->item[i]);
    mem_free(r->item);
    mem_free(r);
}

/* --- filling ------------------------------------------------------------------------------------- */

static bool keep_candidate(const EngineItem *it, blip2_candidate *to, GenSequence *from)
{
    StrBuf text = {0};
    if (!engine_text(it, from->ids, from->n, &text)) {
        strbuf_free(&text);
        return false;
    }
    *to = (blip2_candidate){
        .text = text.data, .score = from->score, .ids = from->ids, .id_count = (size_t)from->n};
    from->ids = NULL; /* the candidate owns them now */
    return true;
}

static bool keep_candidates(Outcome *o, const EngineItem *it, GenSequence *seq, int n)
{
    o->candidate = mem_calloc((size_t)n, sizeof *o->candidate);
    for (int i = 0; o->candidate && i < n; i++) {
        if (!keep_candidate(it, &o->candidate[i], &seq[i]))
            return false;
        o->count++;
    }
    return o->candidate != NULL;
}

static blip2_timings timings_of(EngineTimes t, double decode_ms)
{
    return (blip2_timings){.decode_image = decode_ms,
                           .preprocess = t.preprocess,
                           .encode = t.encode,
                           .qformer = t.qformer,
                           .prefill = t.prefill,
                           .decode = t.decode,
                           .total = decode_ms + t.preprocess + t.encode + t.qformer + t.prefill +
                                    t.decode};
}

/* Why an item has no whole text; code ERR_NONE: it has one. */
static const Error *error_of(const Ticket *t)
{
    static const Error STOPPED = {ERR_STOPPED, "generation: stopped by the caller"};
    if (!t->item)
        return &t->error;
    return engine_running(t->item) ? &STOPPED : engine_error(t->item);
}

void result_take(blip2_result *r, size_t i, const Ticket *t)
{
    Outcome *o = &r->item[i];
    int n = 0;
    GenSequence *seq = t->item ? engine_sequences(t->item, &n) : NULL;
    api_error(&o->error, error_of(t));
    if (!t->item)
        return;
    o->timings = timings_of(engine_times(t->item), t->decode_ms);
    snprintf(o->notice, sizeof o->notice, "%s", engine_notice(t->item));
    if (seq && !keep_candidates(o, t->item, seq, n)) {
        Error e = {0};
        drop_candidates(o);
        o->error = (blip2_error){0};
        error_memory(&e, "texts", (size_t)n * sizeof *seq);
        api_error(&o->error, &e);
    }
}

/* --- choices --------------------------------------------------------------------------------------- */

static int by_score(const void *a, const void *b)
{
    const blip2_candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->choice < y->choice ? -1 : 1;
}

static bool copy_choice(blip2_candidate *to, const char *text, const Ids *ids)
{
    Ids copy = {0};
    char *own = mem_alloc(strlen(text) + 1);
    bool ok = ids_append(&copy, ids->id, ids->n);
    if (own)
        memcpy(own, text, strlen(text) + 1);
    to->text = own;
    to->ids = copy.id;
    to->id_count = ids->n;
    return ok && own;
}

/* The softmax of the scores. */
static void set_probabilities(blip2_candidate *c, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp(c[i].score - c[0].score); /* the best one stands first */
    for (size_t i = 0; i < n; i++)
        c[i].probability = exp(c[i].score - c[0].score) / sum;
}

bool result_rank(blip2_result *r, size_t i, const char *const *text, const Ids *ids,
                 const double *score, size_t n, Error *e)
{
    Outcome *o = &r->item[i];
    o->candidate = mem_calloc(n, sizeof *o->candidate);
    bool ok = o->candidate != NULL;
    for (size_t k = 0; ok && k < n; k++) {
        ok = copy_choice(&o->candidate[k], text[k], &ids[k]);
        o->candidate[k].score = score[k];
        o->candidate[k].choice = k;
        o->count++;
    }
    if (!ok) {
        drop_candidates(o);
        return error_memory(e, "choices", n * sizeof *o->candidate);
    }
    qsort(o->candidate, n, sizeof *o->candidate, by_score);
    set_probabilities(o->candidate, n);
    return true;
}

void result_settle(blip2_result *r, size_t i, const EngineTimes *t, double decode_ms,
                   const char *notice, const Error *e)
{
    Outcome *o = &r->item[i];
    api_error(&o->error, e);
    o->timings = timings_of(*t, decode_ms);
    snprintf(o->notice, sizeof o->notice, "%s", notice);
}

/* --- what the caller sees ------------------------------------------------------------------------ */

/* An empty item where there is none. */
static const Outcome *item_at(const blip2_result *r, size_t i)
{
    static const Outcome NONE;
    return r && i < r->count ? &r->item[i] : &NONE;
}

const char *blip2_result_text(const blip2_result *r, size_t i)
{
    const blip2_candidate *best = blip2_result_candidate(r, i, 0);
    return best ? best->text : NULL;
}

const blip2_error *blip2_result_error(const blip2_result *r, size_t i)
{
    return &item_at(r, i)->error;
}

const char *blip2_result_notice(const blip2_result *r, size_t i)
{
    const Outcome *o = item_at(r, i);
    return o->notice[0] ? o->notice : NULL;
}

size_t blip2_result_count(const blip2_result *r, size_t i)
{
    return item_at(r, i)->count;
}

const blip2_candidate *blip2_result_candidate(const blip2_result *r, size_t i, size_t k)
{
    const Outcome *o = item_at(r, i);
    return k < o->count ? &o->candidate[k] : NULL;
}

const blip2_timings *blip2_result_timings(const blip2_result *r, size_t i)
{
    return &item_at(r, i)->timings;
}
