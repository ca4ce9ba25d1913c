/* golden_check.h: a tiny model against what the reference computed with it: activations and generation
 * cases. golden.h says which model; encoder_decoder, whether it is Flan-T5; no_prompt, whether it captions
 * without one. */
#ifndef GOLDEN_CHECK_H
#define GOLDEN_CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "blip2_debug.h"
#include "golden.h"
#include "task/engine.h"

static bool encoder_decoder, no_prompt;

/* --- activations ---------------------------------------------------------------------------------- */

typedef struct Check {
    Ctx *c; /* of the pass */
    size_t picture;
    int pads; /* left padding rows of the goldens, between the picture and the text */
    double worst;
    char where[64];
    int seen;
} Check;

/* Row r of ours lies at this row of the golden, which is padded in between. */
static size_t golden_row(const Check *k, const char *name, int r)
{
    bool text = strncmp(name, "llm.", 4) == 0 || strcmp(name, "logits") == 0;
    return (size_t)(text && !encoder_decoder && r >= NQ ? r + k->pads : r);
}

static void compare(void *user, const char *name, const Tensor *t)
{
    Check *k = user;
    size_t n;
    const float *g = want_f32(name, k->picture, &n);
    double top = 0, err = 0;
    static float got[1 << 16];
    assert_true((size_t)t->rows * (size_t)t->cols <= 1 << 16);
    assert_true(tensor_download(k->c, got, t));
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)g[i]));
    for (int r = 0; r < t->rows; r++)
        for (int i = 0; i < t->cols; i++)
            err = fmax(err, fabs((double)got[r * t->cols + i] -
                                 (double)g[golden_row(k, name, r) * (size_t)t->cols + (size_t)i]));
    double limit = strcmp(name, "logits") == 0 ? 1e-4 : 5e-5 * top;
    if (!(err <= limit))
        fail_msg("%s: picture %zu: error %.2e, limit %.2e", name, k->picture, err, limit);
    double relative = err / (top > 0 ? top : 1);
    if (relative > k->worst) {
        k->worst = relative;
        snprintf(k->where, sizeof k->where, "%s", name);
    }
    k->seen++;
}

static void tap_to(Ctx *c, Check *k)
{
    c->tap = compare;
    c->tap_user = k;
    k->c = c;
}

static EncodeJob pixels_job(size_t picture)
{
    return (EncodeJob){.pixels = golden_pixels(picture), .height = PIXELS, .width = PIXELS};
}

/* The embeddings that a job has led to. */
static const Tensor *embeds_of(Encoder *en, const EncodeJob *job)
{
    if (!job->encoded)
        fail_msg("%s", job->error.message);
    return tensor_at(&en->c, job->encoded->part[ENCODED_EMBEDS].data, NQ,
                     config_language(&en->net->config).width);
}

static void check_picture(Encoder *en, Lm *lm, Check *k)
{
    int ids[64], n_ids = prompt_of(k->picture, ids);
    EncodeJob job = pixels_job(k->picture);
    Error e = {0};
    k->pads = (int)want("input_ids")->shape[1] - NQ - n_ids;
    tap_to(&en->c, k);
    encoder_encode(en, &job, 1);
    LmPrompt p = {.image_embeds = embeds_of(en, &job), .ids = ids, .n = n_ids};
    int fed[64];
    if (encoder_decoder) {
        p.decoder = fed;
        p.n_decoder = (int)want("decoder_input_ids")->shape[1];
        for (int i = 0; i < p.n_decoder; i++)
            fed[i] = (int)want_int("decoder_input_ids", k->picture, (size_t)i);
    }
    tap_to(lm->c, k);
    if (!lm->forward(lm, &p, &e))
        fail_msg("%s", e.message);
    encoder_release(en, job.encoded);
}

static void check_interpolated(Ctx *c, const Blip2 *m, const char *isa)
{
    size_t n;
    const float *px = want_f32("pixel_values_84", 0, &n);
    c->tap = NULL;
    ctx_begin(c, ROLE_ENCODE);
    Tensor *t = vit_forward(c, &m->vit, tensor_upload(c, px, 1, (int)n), 84, 84);
    const float *g = want_f32("vision.out_84", 0, &n);
    float *got = malloc(n * sizeof *got);
    if (!tensor_download(c, got, t))
        fail_msg("%s", c->err.message);
    assert_int_equal(n, t->rows * t->cols);
    double err = 0, top = 0;
    for (size_t i = 0; i < n; i++) {
        err = fmax(err, fabs((double)got[i] - (double)g[i]));
        top = fmax(top, fabs((double)g[i]));
    }
    free(got);
    printf("%s: interpolated positions, relative error %.2e\n", isa, err / top);
    assert_true(err <= 5e-5 * top);
}

static inline void check_isa(const char *isa)
{
    Error e = {0};
    Tiny t = tiny_open(device_of(isa, &e), isa, 2);
    Encoder en;
    Ctx c;
    encoder_init(&en, t.on, t.m, 0);
    ctx_init(&c, t.on);
    Lm *lm = lm_new(&c, t.m, &e);
    Check k = {0};
    assert_non_null(lm);
    for (k.picture = 0; k.picture < BATCH; k.picture++)
        check_picture(&en, lm, &k);
    assert_int_equal(k.seen, BATCH * (1 + 3 + 1 + 4 + 1 + 1 + (encoder_decoder ? 6 : 3) + 1));
    printf("%s: worst relative error %.2e at %s over %d activations\n", isa, k.worst, k.where,
           k.seen);
    check_interpolated(&c, t.m, isa);
    lm->free(lm);
    ctx_free(&c);
    encoder_free(&en);
    tiny_close(&t);
}

/* --- generation ----------------------------------------------------------------------------------- */

typedef struct Session {
    blip2_model *model;
    blip2_session *s;
} Session;

static Session open_session(const char *isa)
{
    blip2_error e = {0};
    blip2_load_options f32 = blip2_load_options_default();
    f32.dtype = BLIP2_F32;
    f32.device = card_is(isa) ? "cuda" : "cpu";
    Session r = {.model = blip2_debug_load(GOLDEN, &f32, &e)};
    blip2_session_options o = blip2_session_options_default();
    o.threads = 2;
    o.isa = card_is(isa) ? NULL : isa;
    if (r.model)
        r.s = blip2_session_new(r.model, &o, &e);
    if (!r.s)
        fail_msg("%s", e.message);
    return r;
}

static blip2_debug_output run(Session *s, size_t picture, const blip2_options *o, bool text)
{
    int ids[64];
    size_t n;
    blip2_error e = {0};
    blip2_debug_output out;
    int size = blip2_model_info(s->model)->image_size;
    blip2_debug_run r = {.pixels = want_f32("pixel_values", picture, &n),
                         .height = size,
                         .width = size,
                         .ids = ids,
                         .generate = true,
                         .options = o};
    r.id_count = no_prompt ? 0 : text ? (size_t)prompt_of(picture, ids) : 1;
    if (!text)
        ids[0] = 2; /* HF's prompt when none is given: the start id */
    if (!blip2_debug_forward(s->s, &r, &out, &e))
        fail_msg("%s", e.message);
    return out;
}

static int64_t int_of(const json_t *o, const char *key, int64_t def)
{
    const json_t *v = json_object_get(o, key);
    return v ? json_integer_value(v) : def;
}

static double num_of(const json_t *o, const char *key, double def)
{
    const json_t *v = json_object_get(o, key);
    return v ? json_number_value(v) : def;
}

static blip2_options hf_options(const json_t *k, size_t picture)
{
    int ids[64];
    blip2_options o = blip2_debug_options(BLIP2_HF);
    const json_t *early = json_object_get(k, "early_stopping");
    o.num_beams = (int)int_of(k, "num_beams", 1);
    o.num_captions = (int)int_of(k, "num_return_sequences", 1);
    o.max_new_tokens = (int)int_of(k, "max_new_tokens", 20);
    o.length_penalty = num_of(k, "length_penalty", 1);
    o.repetition_penalty = num_of(k, "repetition_penalty", 1);
    /* The reference counts the padded prompt: 12 ids for both pictures, ours has no padding. */
    int padded = (int)want("input_ids")->shape[1];
    int64_t min = int_of(k, "min_length", 0);
    if (min)
        o.min_length =
            encoder_decoder ? (int)min : (int)min - padded + NQ + prompt_of(picture, ids);
    o.early_stopping = json_is_true(early)     ? BLIP2_EARLY_TRUE
                       : json_is_string(early) ? BLIP2_EARLY_NEVER
                                               : BLIP2_EARLY_FALSE;
    return o;
}

/* A golden row is padded after its end, by 1 or where T5 searched greedily by 0; ours stops there. T5's
 * begins with the start id. */
static void check_hf_row(const char *name, size_t row, const int *ids, size_t n)
{
    char key[64];
    snprintf(key, sizeof key, "gen.%s", name);
    size_t first = encoder_decoder, width = (size_t)want(key)->shape[1] - first;
    assert_true(n <= width);
    for (size_t i = 0; i < n; i++)
        if (ids[i] != (int)want_int(key, row, first + i))
            fail_msg("%s: row %zu: id %zu: expected %d, got %d", key, row, i,
                     (int)want_int(key, row, first + i), ids[i]);
    int filler = encoder_decoder && strncmp(name, "greedy", 6) == 0 ? 0 : 1;
    for (size_t i = n; i < width; i++)
        if (want_int(key, row, first + i) != filler)
            fail_msg("%s: row %zu ends after %zu ids, expected more", key, row, n);
}

static inline int check_hf(Session *s)
{
    Error e = {0};
    json_t *cases = json_load_path(GOLDEN "/goldens_generate.json", 1 << 20, ERR_FAILED, &e), *k;
    const char *name;
    int rows = 0;
    json_object_foreach(cases, name, k) for (size_t p = 0; p < BATCH; p++)
    {
        blip2_options o = hf_options(k, p);
        blip2_debug_output out = run(s, p, &o, true);
        for (size_t i = 0; i < out.count; i++, rows++)
            check_hf_row(name, p * out.count + i, out.ids[i], out.id_counts[i]);
        blip2_debug_output_free(&out);
    }
    json_decref(cases);
    for (size_t p = 0; p < BATCH && !encoder_decoder; p++, rows++) {
        blip2_options o = blip2_debug_options(BLIP2_HF);
        o.num_beams = 5;
        o.max_new_tokens = 10;
        blip2_debug_output out = run(s, p, &o, false);
        check_hf_row("noprompt_beam5", p, out.ids[0], out.id_counts[0]);
        blip2_debug_output_free(&out);
    }
    return rows;
}

static void check_lavis_case(Session *s, const char *name, const json_t *k, int *rows)
{
    const json_t *opt = json_object_get(k, "options");
    blip2_options o = blip2_debug_options(BLIP2_LAVIS);
    o.num_beams = (int)int_of(opt, "K", 1);
    o.max_new_tokens = (int)int_of(opt, "max_new", 0);
    o.min_length = (int)int_of(opt, "min_length", 0);
    o.length_penalty = num_of(opt, "lp", 1);
    o.repetition_penalty = num_of(opt, "rep", 1);
    o.num_captions = (int)int_of(opt, "nret", 1);
    for (size_t p = 0; p < BATCH; p++) {
        blip2_debug_output out = run(s, p, &o, true);
        const json_t *sequences = json_array_get(json_object_get(k, "ids"), p);
        assert_int_equal(out.count, json_array_size(sequences));
        for (size_t i = 0; i < out.count; i++, ++*rows) {
            const json_t *ids = json_array_get(sequences, i);
            if (out.id_counts[i] != json_array_size(ids))
                fail_msg("%s: picture %zu: expected %zu ids, got %zu", name, p,
                         json_array_size(ids), out.id_counts[i]);
            for (size_t j = 0; j < out.id_counts[i]; j++)
                assert_int_equal(out.ids[i][j], json_integer_value(json_array_get(ids, j)));
        }
        blip2_debug_output_free(&out);
    }
}

static int check_lavis(Session *s)
{
    Error e = {0};
    json_t *cases = json_load_path(GOLDEN "/goldens_lavis.json", 1 << 20, ERR_FAILED, &e), *k;
    const char *name;
    int rows = 0;
    json_object_foreach(cases, name, k) check_lavis_case(s, name, k, &rows);
    json_decref(cases);
    return rows;
}

#endif
