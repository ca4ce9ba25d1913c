/* The whole network against the reference (transformers) on the tiny OPT goldens: every activation
 * of every kernel set, and every generation case of both libraries. Prints the worst error. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "blip2_debug.h"
#include "ckpt/ckpt.h"
#include "cpu/cpu.h"
#include "models/blip2.h"
#include "task/lm.h"

#define GOLDEN SOURCE_DIR "/tests/golden/opt"
enum { NQ = 6, BATCH = 2 };

static Checkpoint *gold;

static const CkptTensor *want(const char *name)
{
    CkptTensor *t = ckpt_find(gold, name);
    if (!t)
        fail_msg("goldens have no %s", name);
    return t;
}

static const float *want_f32(const char *name, size_t picture, size_t *n)
{
    const CkptTensor *t = want(name);
    assert_int_equal(t->dtype, F32);
    assert_int_equal((uintptr_t)t->data % 4, 0);
    *n = t->bytes / 4 / (size_t)t->shape[0];
    return (const float *)t->data + picture * *n;
}

static int64_t want_int(const char *name, size_t picture, size_t i)
{
    const CkptTensor *t = want(name);
    int64_t v;
    memcpy(&v, (const char *)t->data + 8 * (picture * (size_t)t->shape[1] + i), 8);
    return v;
}

/* The prompt ids of a picture without image placeholders and padding. */
static int prompt_of(size_t picture, int *ids)
{
    int n = 0, total = (int)want("input_ids")->shape[1];
    for (int i = NQ; i < total; i++)
        if (want_int("attention_mask", picture, (size_t)i))
            ids[n++] = (int)want_int("input_ids", picture, (size_t)i);
    return n;
}

/* --- activations ---------------------------------------------------------------------------------- */

typedef struct Check {
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
    return (size_t)(text && r >= NQ ? r + k->pads : r);
}

static void compare(void *user, const char *name, const Tensor *t)
{
    Check *k = user;
    size_t n;
    const float *g = want_f32(name, k->picture, &n);
    double top = 0, err = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)g[i]));
    for (int r = 0; r < t->rows; r++)
        for (int i = 0; i < t->cols; i++)
            err = fmax(err, fabs((double)row_f32(t, r)[i] -
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

static void check_picture(Ctx *c, Blip2 *m, OptLm *lm, Check *k)
{
    int ids[64];
    size_t n;
    Error e = {0};
    float soft[NQ * 64];
    int size = m->config.pixels, n_ids = prompt_of(k->picture, ids);
    const float *px = want_f32("pixel_values", k->picture, &n);
    k->pads = (int)want("input_ids")->shape[1] - NQ - n_ids;
    ctx_reset(c);
    Tensor *t = model_soft(c, m, model_encode(c, m, px, 1, size, size));
    if (!t)
        fail_msg("%s", c->err.message);
    memcpy(soft, t->data, 4 * (size_t)t->rows * (size_t)t->cols);
    LmItem item = {soft, ids, n_ids};
    if (!opt_lm_read(lm, &item, &e))
        fail_msg("%s", e.message);
}

static void check_interpolated(Ctx *c, Blip2 *m, const char *isa)
{
    size_t n;
    const float *px = want_f32("pixel_values_84", 0, &n), *g = want_f32("vision.out_84", 0, &n);
    c->tap = NULL;
    ctx_reset(c);
    Tensor *t = vit_forward(c, &m->vit, px, 1, 84, 84);
    if (!t)
        fail_msg("%s", c->err.message);
    double err = 0, top = 0;
    for (size_t i = 0; i < n; i++) {
        err = fmax(err, fabs((double)f32(t)[i] - (double)g[i]));
        top = fmax(top, fabs((double)g[i]));
    }
    printf("%s: interpolated positions, relative error %.2e\n", isa, err / top);
    assert_true(err <= 5e-5 * top);
}

static void check_isa(const char *isa)
{
    Error e = {0};
    Stream *dev = cpu_open(&(CpuOptions){.threads = 2, .isa = isa, .precision = PREC_F32}, &e);
    Blip2 *m = dev ? model_open(GOLDEN, false, &e) : NULL;
    if (!m)
        fail_msg("%s", e.message);
    Ctx c;
    OptLm lm;
    ctx_init(&c, dev);
    opt_lm_init(&lm, &c, m);
    Check k = {0};
    c.tap = compare;
    c.tap_user = &k;
    for (k.picture = 0; k.picture < BATCH; k.picture++)
        check_picture(&c, m, &lm, &k);
    assert_int_equal(k.seen, BATCH * (1 + 3 + 1 + 4 + 1 + 1 + 3 + 1));
    printf("%s: worst relative error %.2e at %s over %d activations\n", isa, k.worst, k.where,
           k.seen);
    check_interpolated(&c, m, isa);
    opt_lm_free(&lm);
    ctx_free(&c);
    model_close(m);
    dev->close(dev);
}

static void test_activations(void **state)
{
    (void)state;
    for (const char *const *isa = cpu_isas(); *isa; isa++)
        check_isa(*isa);
}

/* --- generation ----------------------------------------------------------------------------------- */

typedef struct Session {
    blip2_model *model;
    blip2_session *s;
} Session;

static Session open_session(const char *isa)
{
    blip2_error e = {0};
    Session r = {.model = blip2_debug_load(GOLDEN, BLIP2_F32, &e)};
    if (r.model)
        r.s = blip2_session_new(r.model, &(blip2_session_options){.threads = 2, .isa = isa}, &e);
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
    r.id_count = text ? (size_t)prompt_of(picture, ids) : 1;
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
        o.min_length = (int)min - padded + NQ + prompt_of(picture, ids);
    o.early_stopping = json_is_true(early)     ? BLIP2_EARLY_TRUE
                       : json_is_string(early) ? BLIP2_EARLY_NEVER
                                               : BLIP2_EARLY_FALSE;
    return o;
}

/* A golden row is padded after its end; ours stops there. */
static void check_hf_row(const char *name, size_t row, const int *ids, size_t n)
{
    char key[64];
    snprintf(key, sizeof key, "gen.%s", name);
    size_t width = (size_t)want(key)->shape[1];
    assert_true(n <= width);
    for (size_t i = 0; i < n; i++)
        if (ids[i] != (int)want_int(key, row, i))
            fail_msg("%s: row %zu: id %zu: expected %d, got %d", key, row, i,
                     (int)want_int(key, row, i), ids[i]);
    for (size_t i = n; i < width; i++)
        if (want_int(key, row, i) != 1)
            fail_msg("%s: row %zu ends after %zu ids, expected more", key, row, n);
}

static int check_hf(Session *s)
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
    for (size_t p = 0; p < BATCH; p++, rows++) {
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

static void test_generation(void **state)
{
    (void)state;
    for (const char *const *isa = cpu_isas(); *isa; isa++) {
        Session s = open_session(*isa);
        int hf = check_hf(&s), lavis = check_lavis(&s);
        printf("%s: %d sequences as transformers 5, %d as LAVIS: all ids equal\n", *isa, hf, lavis);
        assert_int_equal(hf, 26);
        assert_int_equal(lavis, 16);
        blip2_session_free(s.s);
        blip2_model_free(s.model);
    }
}

/* --- several rows over shared slots ---------------------------------------------------------------- */

/* One step of five beams each for two pictures, from shared slots, equals each beam on its own. */
static void test_shared_slots(void **state)
{
    (void)state;
    enum { BEAMS = 5, ROWS = BATCH * BEAMS, V = 256 };
    static float together[ROWS * V], first[BATCH * V], alone[V], soft[BATCH][NQ * 64];
    static const int IDS[ROWS] = {6, 45, 133, 54, 115, 68, 185, 46, 204, 217};
    int words[BATCH][64], parent[ROWS];
    Error e = {0};
    Stream *dev = cpu_open(&(CpuOptions){.threads = 2, .precision = PREC_F32}, &e);
    Blip2 *m = model_open(GOLDEN, false, &e);
    Ctx c;
    OptLm lm;
    assert_non_null(m);
    ctx_init(&c, dev);
    opt_lm_init(&lm, &c, m);
    LmItem item[BATCH];
    for (size_t p = 0; p < BATCH; p++) {
        size_t n;
        ctx_reset(&c);
        Tensor *t =
            model_soft(&c, m, model_encode(&c, m, want_f32("pixel_values", p, &n), 1, 56, 56));
        memcpy(soft[p], t->data, 4 * (size_t)t->rows * (size_t)t->cols);
        item[p] = (LmItem){soft[p], words[p], prompt_of(p, words[p])};
    }
    assert_true(opt_lm_start(&lm, item, BATCH, ROWS, 4, first, &e));
    int used = lm.cache.capacity - lm.cache.n_free;
    for (int i = 0; i < ROWS; i++)
        parent[i] = i / BEAMS;
    assert_true(lm.lm.advance(&lm, ROWS, parent, IDS, together, &e));
    assert_int_equal(lm.cache.capacity - lm.cache.n_free, used + ROWS); /* one new slot a row */
    for (int i = 0; i < ROWS; i++) {
        assert_true(opt_lm_start(&lm, &item[i / BEAMS], 1, 1, 4, alone, &e));
        assert_memory_equal(alone, first + i / BEAMS * V, sizeof alone);
        assert_true(lm.lm.advance(&lm, 1, (int[]){0}, &IDS[i], alone, &e));
        assert_memory_equal(alone, together + i * V, sizeof alone);
    }
    opt_lm_free(&lm);
    ctx_free(&c);
    model_close(m);
    dev->close(dev);
}

static int setup(void **state)
{
    (void)state;
    Error e = {0};
    gold = ckpt_open_file(GOLDEN "/goldens.safetensors", &e);
    if (!gold)
        print_error("%s\n", e.message);
    return gold ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    ckpt_close(gold);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_shared_slots),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
