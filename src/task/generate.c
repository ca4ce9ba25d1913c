/* task/generate.c: checks what is asked for, sets up the working memory, picks the way to search. */
#include "task/decode.h"

#include <limits.h>
#include <math.h>
#include "base/mem.h"

static bool check_int(const char *name, int value, int min, int max, Error *e)
{
    if (value >= min && value <= max)
        return true;
    return error_set(e, ERR_USAGE, "generation: %s: expected %d to %d, got %d", name, min, max,
                     value);
}

static bool check_real(const char *name, double value, bool ok, const char *expected, Error *e)
{
    if (ok)
        return true;
    return error_set(e, ERR_USAGE, "generation: %s: expected %s, got %g", name, expected, value);
}

static bool check_lengths(const GenOptions *o, Error *e)
{
    return check_int("max length", o->max_length, 0, INT_MAX, e) &&
           check_int("max new tokens", o->max_new_tokens, 0, INT_MAX, e) &&
           check_int("min length", o->min_length, 0, INT_MAX, e) &&
           check_int("min new tokens", o->min_new_tokens, 0, INT_MAX, e) &&
           check_int("no-repeat n-gram", o->no_repeat_ngram, 0, INT_MAX, e);
}

static bool check_factors(const GenOptions *o, Error *e)
{
    double r = o->repetition_penalty, t = o->temperature, p = o->top_p;
    if (!check_real("repetition penalty", r, r > 0 && isfinite(r), "a number above 0", e) ||
        !check_real("length penalty", o->length_penalty, isfinite(o->length_penalty), "a number",
                    e))
        return false;
    if (!o->sample)
        return true;
    return check_real("temperature", t, (float)t > 0 && isfinite(t), "a number above 0", e) &&
           check_real("top-p", p, p >= 0 && p <= 1, "0 to 1", e) &&
           check_int("top-k", o->top_k, 0, INT_MAX, e);
}

/* The bounds keep every product of rows, beams and vocabulary an int. */
static bool check_counts(const GenOptions *o, int vocab, int items, Error *e)
{
    int each = (INT_MAX / vocab - 1) / (1 + 8) / (items > 0 ? items : 1);
    if (!check_int("beams", o->num_beams, 1, each, e) ||
        !check_int("captions", o->num_captions, 1, each, e) ||
        !check_int("end ids", o->n_eos, 0, (int)(sizeof o->eos / sizeof *o->eos), e))
        return false;
    if (o->num_beams > 1 && o->num_captions > o->num_beams)
        return error_set(e, ERR_USAGE,
                         "generation: captions: expected at most the %d beams, got %d",
                         o->num_beams, o->num_captions);
    if (o->num_beams == 1 && o->num_captions > 1 && !o->sample)
        return error_set(e, ERR_USAGE,
                         "generation: captions: expected 1 without beams and sampling, got %d",
                         o->num_captions);
    return true;
}

bool generate_check(const GenOptions *o, int vocab, int items, Error *e)
{
    return check_counts(o, vocab, items, e) && check_lengths(o, e) && check_factors(o, e);
}

static bool check_items(const Decoder *d)
{
    for (int i = 0; i < d->items; i++)
        if (item_room(d, i) < 1)
            return error_set(d->e, ERR_FAILED,
                             "item %d: max length: expected more than the %d ids that are there, "
                             "got %d",
                             i, d->item[i].n_history, d->item[i].n_history + item_room(d, i));
    return true;
}

static bool decoder_alloc(Decoder *d)
{
    size_t vocab = (size_t)d->lm->vocab, beams = (size_t)d->o->num_beams;
    size_t each = d->o->num_beams > 1 ? beams : (size_t)d->o->num_captions;
    size_t rows = (size_t)d->items * each;
    d->next_logits = mem_alloc(rows * vocab * sizeof(float));
    d->row = mem_alloc(vocab * sizeof(float));
    d->seen = mem_calloc(vocab, 1);
    d->cand = d->o->sample ? mem_alloc(beams * vocab * sizeof(Cand)) : NULL;
    d->parent = mem_alloc(rows * sizeof(int));
    d->ids = mem_alloc(rows * sizeof(int));
    if (d->next_logits && d->row && d->seen && d->parent && d->ids && (d->cand || !d->o->sample))
        return true;
    return error_memory(d->e, "logits", rows * vocab * sizeof(float));
}

static void decoder_free(Decoder *d)
{
    mem_free(d->paths.node);
    mem_free(d->next_logits);
    mem_free(d->row);
    mem_free(d->seen);
    mem_free(d->cand);
    mem_free(d->parent);
    mem_free(d->ids);
    mem_free(d->history);
}

bool generate(const Lm *lm, float *logits, const GenItem *item, int items, const GenOptions *o,
              GenToken on_token, void *user, GenSequence *out, Error *e)
{
    Error local = {0}; /* the search looks at the code, the caller may not care */
    if (!e)
        e = &local;
    Decoder d = {.lm = lm,
                 .item = item,
                 .items = items,
                 .o = o,
                 .on_token = on_token,
                 .user = user,
                 .e = e,
                 .logits = logits};
    if (!generate_check(o, lm->vocab, items, e) || !check_items(&d))
        return false;
    if (items == 0)
        return true;
    bool ok = decoder_alloc(&d) &&
              (o->num_beams > 1 ? generate_beams(&d, out) : generate_streams(&d, out));
    decoder_free(&d);
    return ok;
}

void generate_free(GenSequence *s, int n)
{
    for (int i = 0; i < n; i++) {
        mem_free(s[i].ids);
        s[i] = (GenSequence){0};
    }
}
