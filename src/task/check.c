/* task/check.c: whether generation settings make sense, and the lengths they ask for. */
#include <limits.h>
#include <math.h>

#include "task/decode.h"

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

/* Beyond these bounds logits that are multiplied or divided by them leave the range of float. */
static bool check_factors(const GenOptions *o, Error *e)
{
    double r = o->repetition_penalty, t = o->temperature, p = o->top_p;
    if (!check_real("repetition penalty", r, r >= 1e-6 && r <= 1e6, "1e-6 to 1e6", e) ||
        !check_real("length penalty", o->length_penalty, fabs(o->length_penalty) <= 100,
                    "-100 to 100", e))
        return false;
    if (!o->sample)
        return true;
    return check_real("temperature", t, t >= 1e-6 && t <= 1e6, "1e-6 to 1e6", e) &&
           check_real("top-p", p, p >= 0 && p <= 1, "0 to 1", e) &&
           check_int("top-k", o->top_k, 0, INT_MAX, e);
}

/* An id that the vocabulary lacks would be passed over in silence. */
static bool check_ids(const GenOptions *o, int vocab, Error *e)
{
    for (int i = 0; i < o->n_banned; i++)
        if (!check_int("banned ids", o->banned[i], 0, vocab - 1, e))
            return false;
    for (int i = 0; i < o->n_eos; i++)
        if (!check_int("end ids", o->eos[i], 0, vocab - 1, e))
            return false;
    return true;
}

/* The bounds keep an int what an item's search counts: beam * vocabulary + id, which stands for a
 * candidate (beam.c), rows * vocabulary, and the (1 + end ids) candidates of each beam. */
static bool check_counts(const GenOptions *o, int vocab, Error *e)
{
    int each = (INT_MAX / vocab - 1) / (1 + MAX_EOS) / 8;
    if (!check_int("beams", o->num_beams, 1, each, e) ||
        !check_int("captions", o->num_captions, 1, each, e) ||
        !check_int("end ids", o->n_eos, 0, MAX_EOS, e))
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

bool generate_check(const GenOptions *o, int vocab, Error *e)
{
    return check_counts(o, vocab, e) && check_ids(o, vocab, e) && check_lengths(o, e) &&
           check_factors(o, e);
}

/* --- lengths ------------------------------------------------------------------------------------- */

/* Lengths count history and new ids together; HF's default of 20 counts new ids,
 * 4.33's the whole sequence. */
static long long length_limit(const GenOptions *o, long long history)
{
    if (o->max_new_tokens > 0)
        return history + o->max_new_tokens;
    if (o->max_length > 0)
        return o->max_length;
    return o->library == LIB_HF ? history + 20 : 20;
}

int generate_room(const GenOptions *o, int n_history, int feed)
{
    long long room = length_limit(o, n_history) - n_history;
    if (room > feed + 1LL)
        room = feed + 1LL;
    long long most = INT_MAX - 1LL - n_history;
    return (int)(room < most ? room : most);
}

bool generate_fits(const Lm *lm, const GenOptions *o, int n_prompt, int n_history, int *room,
                   Error *e)
{
    if (n_prompt > lm->prompt_max)
        return lm_too_long(lm->prompt_max, (size_t)n_prompt, e);
    *room = generate_room(o, n_history, lm->room(lm, n_prompt));
    return *room >= 1 ||
           error_set(e, ERR_USAGE,
                     "generation: max length: expected more than the %d ids that are there, got %d",
                     n_history, n_history + *room);
}

int generate_min_length(const GenOptions *o, int n_history)
{
    long long fresh = o->min_new_tokens > 0 ? (long long)n_history + o->min_new_tokens : 0;
    long long length = o->min_length;
    if (o->library == LIB_HF ? fresh > 0 : fresh > length)
        length = fresh;
    return (int)(length < INT_MAX ? length : INT_MAX);
}

bool is_end(const GenOptions *o, int id)
{
    for (int i = 0; i < o->n_eos; i++)
        if (o->eos[i] == id)
            return true;
    return false;
}

bool generate_can_follow(const ModelConfig *k, const GenOptions *o, Error *e)
{
    const bool counts[GEN_WHENS] = {
        [GEN_ALWAYS] = true, [GEN_SAMPLING] = o->sample, [GEN_BEAMS] = o->num_beams > 1};
    for (int i = 0; i < GEN_WHENS && o->library == LIB_HF; i++)
        if (counts[i] && *k->hf_fault[i])
            return error_set(e, ERR_BAD_MODEL, "%s", k->hf_fault[i]);
    return true;
}
