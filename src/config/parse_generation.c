/* config/parse_generation.c: generation_config.json, and the special ids of any file. Names and defaults
 * are those of transformers' GenerationConfig. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/parse.h"

/* --- special ids --------------------------------------------------------------------------------- */

int config_read_id(const JsonPart *p, const char *key, int def)
{
    return part_whole(p, key, def, INT_MIN, INT_MAX);
}

static void read_eos(const JsonPart *p, GenOptions *g)
{
    const json_t *v = part_member(p, "eos_token_id");
    if (!json_is_array(v)) {
        g->eos[0] = config_read_id(p, "eos_token_id", g->eos[0]);
        g->n_eos = v ? 1 : g->n_eos;
        return;
    }
    g->n_eos = 0;
    if (json_array_size(v) > MAX_EOS)
        error_set(p->e, ERR_BAD_MODEL, "%s: eos_token_id: expected 1 to %d ids, got %zu", p->where,
                  MAX_EOS, json_array_size(v));
    for (size_t i = 0; i < json_array_size(v) && !p->e->code; i++) {
        const json_t *id = json_array_get(v, i);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < INT_MIN || value > INT_MAX)
            error_set(p->e, ERR_BAD_MODEL, "%s: eos_token_id: expected ids, got something else",
                      p->where);
        else
            g->eos[g->n_eos++] = (int)value;
    }
    if (g->n_eos == 0)
        error_set(p->e, ERR_BAD_MODEL, "%s: eos_token_id: expected 1 to %d ids, got none", p->where,
                  MAX_EOS);
}

/* One that no call may need: what is wrong with it is noted. */
static int read_or_keep(const JsonPart *p, const char *key, int def, Notes *notes)
{
    Error wrong = {0};
    JsonPart q = *p;
    q.e = &wrong;
    int id = config_read_id(&q, key, def);
    if (wrong.code)
        note_add(notes, "%s: not used", wrong.message);
    return wrong.code ? def : id;
}

void config_read_ids(const JsonPart *p, ModelConfig *c)
{
    c->bos = read_or_keep(p, "bos_token_id", c->bos, &c->notes);
    c->pad = read_or_keep(p, "pad_token_id", c->pad, &c->notes);
    read_eos(p, &c->gen);
}

/* --- settings ------------------------------------------------------------------------------------ */

const GenOptions GEN_NEUTRAL = {.library = LIB_HF,
                                .num_beams = 1,
                                .num_captions = 1,
                                .length_penalty = 1,
                                .repetition_penalty = 1,
                                .top_k = 50,
                                .top_p = 1,
                                .temperature = 1};

static EarlyStopping read_early(const JsonPart *p)
{
    const json_t *v = part_member(p, "early_stopping");
    if (json_is_string(v) && strcmp(json_string_value(v), "never") == 0)
        return EARLY_NEVER;
    if (v && !json_is_boolean(v))
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: early_stopping: expected true, false or \"never\", got something else",
                  p->where);
    return json_is_true(v) ? EARLY_TRUE : EARLY_FALSE;
}

/* As if it were not there: null, false, "", [], {} or the number that changes nothing. */
static bool is_neutral(const json_t *v, double neutral)
{
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0) ||
           (json_is_number(v) && json_number_value(v) == neutral);
}

/* Settings of transformers' GenerationConfig that change ids and are not implemented, and when. */
static const struct {
    const char *key;
    double neutral;
    GenWhen when;
} UNSUPPORTED[] = {
    {"forced_bos_token_id", -1, GEN_ALWAYS},
    {"forced_eos_token_id", -1, GEN_ALWAYS},
    {"suppress_tokens", 0, GEN_ALWAYS},
    {"begin_suppress_tokens", 0, GEN_ALWAYS},
    {"bad_words_ids", 0, GEN_ALWAYS},
    {"force_words_ids", 0, GEN_ALWAYS},
    {"constraints", 0, GEN_ALWAYS},
    {"sequence_bias", 0, GEN_ALWAYS},
    {"num_beam_groups", 1, GEN_BEAMS},
    {"diversity_penalty", 0, GEN_BEAMS},
    {"penalty_alpha", 0, GEN_ALWAYS},
    {"min_p", 0, GEN_SAMPLING},
    {"typical_p", 1, GEN_SAMPLING},
    {"epsilon_cutoff", 0, GEN_SAMPLING},
    {"eta_cutoff", 0, GEN_SAMPLING},
    {"guidance_scale", 1, GEN_ALWAYS},
    {"encoder_repetition_penalty", 1, GEN_ALWAYS},
    {"encoder_no_repeat_ngram_size", 0, GEN_ALWAYS},
    {"exponential_decay_length_penalty", 0, GEN_ALWAYS},
    {"watermarking_config", 0, GEN_ALWAYS},
    {"stop_strings", 0, GEN_ALWAYS},
    {"max_time", 0, GEN_ALWAYS},
    {"token_healing", 0, GEN_ALWAYS},
    {"dola_layers", 0, GEN_ALWAYS},
    {"prompt_lookup_num_tokens", 0, GEN_ALWAYS},
    {"top_h", 0, GEN_SAMPLING},
    {"renormalize_logits", 0, GEN_BEAMS},
};

void config_hf_fault(ModelConfig *c, GenWhen when, const char *fmt, ...)
{
    va_list ap;
    if (*c->hf_fault[when])
        return;
    va_start(ap, fmt);
    vsnprintf(c->hf_fault[when], sizeof c->hf_fault[when], fmt, ap);
    va_end(ap);
}

static void find_unsupported(const JsonPart *p, ModelConfig *c)
{
    const char *first = NULL;
    int n = 0;
    for (size_t i = 0; i < sizeof UNSUPPORTED / sizeof *UNSUPPORTED; i++) {
        const char *key = UNSUPPORTED[i].key;
        if (is_neutral(part_member(p, key), UNSUPPORTED[i].neutral))
            continue;
        first = n++ ? first : key;
        config_hf_fault(
            c, UNSUPPORTED[i].when,
            "%.250s: %s: expected it unset, got a setting that this version cannot follow "
            "(--generation lavis does not read it)",
            p->where, key);
    }
    if (n)
        note_add(&c->notes, "%s: %s: not followed (%d in all)", p->where, first, n);
}

/* p[when] has the errors of settings that count then. */
static void read_settings(const JsonPart p[GEN_WHENS], GenOptions *g)
{
    const JsonPart *always = &p[GEN_ALWAYS], *beams = &p[GEN_BEAMS], *sampling = &p[GEN_SAMPLING];
    g->num_beams = part_whole(always, "num_beams", g->num_beams, 1, 1000);
    g->num_captions = part_whole(always, "num_return_sequences", g->num_captions, 1, 1000);
    g->max_new_tokens = part_whole(always, "max_new_tokens", g->max_new_tokens, 0, DIM_MAX);
    g->min_new_tokens = part_whole(always, "min_new_tokens", g->min_new_tokens, 0, DIM_MAX);
    g->max_length = part_whole(always, "max_length", g->max_length, 0, DIM_MAX);
    g->min_length = part_whole(always, "min_length", g->min_length, 0, DIM_MAX);
    g->repetition_penalty =
        part_real(always, "repetition_penalty", g->repetition_penalty, 1e-6, 1e6);
    g->no_repeat_ngram = part_whole(always, "no_repeat_ngram_size", g->no_repeat_ngram, 0, DIM_MAX);
    g->sample = part_flag(always, "do_sample", g->sample);
    g->length_penalty = part_real(beams, "length_penalty", g->length_penalty, -100, 100);
    g->early_stopping = read_early(beams);
    g->top_k = part_whole(sampling, "top_k", g->top_k, 0, DIM_MAX);
    g->top_p = part_real(sampling, "top_p", g->top_p, 0, 1);
    g->temperature = part_real(sampling, "temperature", g->temperature, 1e-6, 1e6);
}

/* "2", "2, 50118" */
static const char *ends_text(char out[96], const GenOptions *g)
{
    int n = 0;
    out[0] = 0;
    for (int i = 0; i < g->n_eos && n < 80; i++)
        n += snprintf(out + n, (size_t)(96 - n), "%s%d", i ? ", " : "", g->eos[i]);
    return out;
}

static bool same_ends(const GenOptions *a, const GenOptions *b)
{
    return a->n_eos == b->n_eos && memcmp(a->eos, b->eos, (size_t)a->n_eos * sizeof(int)) == 0;
}

/* What counts only in other searches than the chosen one stays as it was when it is wrong. */
static void read_checked(const JsonPart *p, ModelConfig *c)
{
    Error wrong[GEN_WHENS] = {{0}};
    JsonPart settings[GEN_WHENS];
    GenOptions *g = &c->gen, before = *g;
    for (int i = 0; i < GEN_WHENS; i++) {
        settings[i] = *p;
        settings[i].e = &wrong[i];
    }
    read_settings(settings, g);
    if (wrong[GEN_BEAMS].code) {
        g->length_penalty = before.length_penalty;
        g->early_stopping = before.early_stopping;
    }
    if (wrong[GEN_SAMPLING].code) {
        g->top_k = before.top_k;
        g->top_p = before.top_p;
        g->temperature = before.temperature;
    }
    for (int i = 0; i < GEN_WHENS; i++)
        if (wrong[i].code && !p->e->code) {
            config_hf_fault(c, (GenWhen)i, "%.399s", wrong[i].message);
            note_add(&c->notes, "%s", wrong[i].message);
        }
}

void config_read_generation(const JsonPart *p, bool text_says_eos, ModelConfig *c)
{
    GenOptions before = c->gen;
    find_unsupported(p, c);
    config_read_ids(p, c);
    read_checked(p, c);
    if (text_says_eos && !same_ends(&before, &c->gen)) {
        char used[96], other[96];
        note_add(
            &c->notes,
            "%s: eos_token_id: %s, where text_config of config.json says %s: the former is used",
            p->where, ends_text(used, &c->gen), ends_text(other, &before));
    }
}
