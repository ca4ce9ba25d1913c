/* debug/run.c: include/blip2_debug.h's plumbing: tokenizer, preprocessing, NPY, one pass. */
#include "blip2_debug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/api.h"

void blip2_debug_free(void *p)
{
    mem_free(p);
}

void blip2_debug_fail_alloc(long n)
{
    mem_fail_at(n);
}

size_t blip2_debug_bytes_in_use(void)
{
    return mem_in_use();
}

/* --- tokenizer ----------------------------------------------------------------------------------- */

struct blip2_tokenizer {
    Tokenizer *t;
};

blip2_tokenizer *blip2_tokenizer_load(const char *dir_or_name, blip2_error *err)
{
    Error e = {0};
    char *dir = model_find(dir_or_name, &e);
    blip2_tokenizer *t = dir ? mem_alloc(sizeof *t) : NULL;
    if (t)
        t->t = tokenizer_load(dir, &e);
    else if (dir)
        error_memory(&e, "tokenizer", sizeof *t);
    mem_free(dir);
    if (t && t->t)
        return t;
    mem_free(t);
    api_error(err, &e);
    return NULL;
}

void blip2_tokenizer_free(blip2_tokenizer *t)
{
    if (t)
        tokenizer_free(t->t);
    mem_free(t);
}

bool blip2_tokenizer_encode(const blip2_tokenizer *t, const char *text, size_t n, int **ids,
                            size_t *count, blip2_error *err)
{
    Error e = {0};
    Ids out = {0};
    if (!tokenizer_encode(t->t, text, n, true, false, &out, &e)) {
        ids_free(&out);
        return api_error(err, &e);
    }
    *ids = out.id;
    *count = out.n;
    return true;
}

char *blip2_tokenizer_decode(const blip2_tokenizer *t, const int *ids, size_t count, size_t *n,
                             blip2_error *err)
{
    Error e = {0};
    StrBuf s = {0};
    bool ok = tokenizer_decode(t->t, ids, count, true, &s);
    *n = s.len;
    char *text = ok && !s.data ? mem_strdup("") : s.data;
    if (ok && !s.failed && text)
        return text;
    strbuf_free(&s);
    error_memory(&e, "text", count);
    api_error(err, &e);
    return NULL;
}

/* --- preprocessing, NPY -------------------------------------------------------------------------- */

bool blip2_debug_preprocess(const blip2_image *image, blip2_library library, int size, uint8_t *rgb,
                            float *chw, blip2_error *err)
{
    Error e = {0};
    PrepareSpec spec = prepare_default(size);
    uint8_t *u8 = picture_resize(&image->picture, library == BLIP2_HF ? ROUTE_HF : ROUTE_LAVIS,
                                 size, size, &e);
    if (!u8)
        return api_error(err, &e);
    if (rgb)
        memcpy(rgb, u8, 3 * (size_t)size * (size_t)size);
    if (chw)
        picture_normalise(chw, u8, size, size, &spec);
    mem_free(u8);
    return true;
}

float *blip2_npy_read(const char *path, int *rank, int64_t shape[8], blip2_error *err)
{
    Error e = {0};
    float *data = npy_read(path, rank, shape, &e);
    if (!data)
        api_error(err, &e);
    return data;
}

bool blip2_npy_write(const char *path, const float *data, int rank, const int64_t *shape,
                     blip2_error *err)
{
    Error e = {0};
    return npy_write(path, data, rank, shape, &e) || api_error(err, &e);
}

/* --- one pass ------------------------------------------------------------------------------------ */

typedef struct Dump {
    const char *dir;
    Error e;
} Dump;

static void dump_tensor(void *user, const char *name, const Tensor *t)
{
    Dump *d = user;
    char path[4096];
    int64_t shape[2] = {t->rows, t->cols};
    size_t n = (size_t)t->rows * (size_t)t->cols;
    if (d->e.code)
        return;
    if (snprintf(path, sizeof path, "%s/%s.npy", d->dir, name) >= (int)sizeof path) {
        error_set(&d->e, ERR_FAILED, "%.200s: dump: expected a shorter path", d->dir);
        return;
    }
    float *flat = mem_alloc(4 * n); /* views are not contiguous */
    if (!flat) {
        error_memory(&d->e, path, 4 * n);
        return;
    }
    for (int r = 0; r < t->rows; r++)
        memcpy(flat + (size_t)r * (size_t)t->cols, row_f32(t, r), 4 * (size_t)t->cols);
    npy_write(path, flat, 2, shape, &d->e);
    mem_free(flat);
}

blip2_options blip2_debug_options(blip2_library library)
{
    blip2_options o = blip2_options_default(NULL, BLIP2_CAPTION, BLIP2_HF);
    o.library = library;
    o.max_new_tokens = 20;
    return o;
}

blip2_model *blip2_debug_load(const char *path_or_name, blip2_dtype dtype, blip2_error *err)
{
    Error e = {0};
    blip2_model *m = api_load(path_or_name, dtype, false, &e);
    if (!m)
        api_error(err, &e);
    return m;
}

/* The picture's pixels: the caller's, or prepared as the library does. *owned is freed after. */
static const float *run_pixels(const blip2_session *s, const blip2_debug_run *r, int *h, int *w,
                               float **owned, blip2_error *err)
{
    int size = s->model->net->config.pixels;
    *owned = NULL;
    *h = r->pixels ? r->height : size;
    *w = r->pixels ? r->width : size;
    if (r->pixels)
        return r->pixels;
    Error e = {0};
    *owned = mem_alloc(3 * sizeof(float) * (size_t)size * (size_t)size);
    if (!*owned)
        error_memory(&e, "pixels", 12 * (size_t)size * (size_t)size);
    blip2_library lib = r->options ? r->options->library : BLIP2_LAVIS;
    if (e.code)
        api_error(err, &e);
    else if (blip2_debug_preprocess(r->image, lib, size, NULL, *owned, err))
        return *owned;
    return NULL;
}

/* Soft tokens in memory of their own, since the arena is reused for what follows. */
static float *run_soft(blip2_session *s, const float *px, int h, int w, Error *e)
{
    const Blip2 *net = s->model->net;
    ctx_reset(&s->ctx);
    s->ctx.role = ROLE_ENCODE;
    Tensor *t = model_soft(&s->ctx, net, model_encode(&s->ctx, net, px, 1, h, w));
    if (!t) {
        error_set(e, s->ctx.err.code, "%s", s->ctx.err.message);
        return NULL;
    }
    size_t bytes = sizeof(float) * (size_t)t->rows * (size_t)t->cols;
    float *soft = mem_alloc(bytes);
    if (!soft)
        error_memory(e, "picture", bytes);
    else
        memcpy(soft, t->data, bytes);
    return soft;
}

static bool take_output(blip2_debug_output *out, GenSequence *seq, size_t n)
{
    out->ids = mem_calloc(n, sizeof *out->ids);
    out->id_counts = mem_calloc(n, sizeof *out->id_counts);
    out->scores = mem_calloc(n, sizeof *out->scores);
    if (!out->ids || !out->id_counts || !out->scores)
        return false;
    out->count = n;
    for (size_t i = 0; i < n; i++) {
        out->ids[i] = seq[i].ids;
        out->id_counts[i] = (size_t)seq[i].n;
        out->scores[i] = seq[i].score;
        seq[i].ids = NULL;
    }
    return true;
}

static bool run_generate(blip2_session *s, const blip2_debug_run *r, const LmItem *item,
                         blip2_debug_output *out, Error *e)
{
    GenOptions o = api_gen_options(s->model, r->options);
    const OptConfig *k = &s->model->net->config.opt;
    Ids history = {0};
    if (!generate_check(&o, k->vocab, 1, e))
        return false;
    bool ok = api_history(&s->model->net->config, o.library, r->ids, r->id_count, &history);
    int steps = generate_room(&o, (int)history.n, k->positions);
    size_t vocab = (size_t)k->vocab, n = (size_t)o.num_captions;
    float *logits = mem_alloc(sizeof *logits * vocab);
    GenSequence *seq = mem_calloc(n, sizeof *seq);
    ok = (ok && logits && seq) || error_memory(e, "generation", vocab * 4);
    GenItem gen = {.history = history.id, .n_history = (int)history.n};
    int rows = o.num_beams > o.num_captions ? o.num_beams : o.num_captions;
    ok = ok && opt_lm_start(&s->lm, item, 1, rows, steps, logits, e);
    ok = ok && generate(&s->lm.lm, logits, &gen, 1, &o, NULL, NULL, seq, e);
    ok = ok && (take_output(out, seq, n) || error_memory(e, "results", n));
    if (seq)
        generate_free(seq, (int)n);
    mem_free(seq);
    mem_free(logits);
    ids_free(&history);
    return ok;
}

static bool make_dir(const char *dir, Error *e)
{
    if (!dir || mkdir(dir, 0777) == 0 || (errno == EEXIST && file_is_dir(dir)))
        return true;
    return error_set(e, ERR_FAILED, "%s: %s", dir, strerror(errno));
}

static bool run_language(blip2_session *s, const blip2_debug_run *r, const float *soft,
                         blip2_debug_output *out, Error *e)
{
    LmItem item = {soft, r->ids, (int)r->id_count};
    if (r->generate)
        return run_generate(s, r, &item, out, e);
    return opt_lm_read(&s->lm, &item, e) != NULL;
}

/* Picture, then text, every named activation to dump->dir when there is one. */
static bool run_all(blip2_session *s, const blip2_debug_run *r, const float *px, int h, int w,
                    Dump *dump, blip2_debug_output *out, Error *e)
{
    s->ctx.tap = dump->dir ? dump_tensor : NULL;
    s->ctx.tap_user = dump;
    float *soft = run_soft(s, px, h, w, e);
    bool ok = soft != NULL;
    if (ok && dump->dir && r->generate) { /* the dump is that of the prompt */
        LmItem item = {soft, r->ids, (int)r->id_count};
        ok = opt_lm_read(&s->lm, &item, e) != NULL;
        s->ctx.tap = NULL;
    }
    ok = ok && run_language(s, r, soft, out, e);
    s->ctx.tap = NULL;
    mem_free(soft);
    return ok && (!dump->e.code || error_set(e, dump->e.code, "%s", dump->e.message));
}

bool blip2_debug_forward(blip2_session *s, const blip2_debug_run *r, blip2_debug_output *out,
                         blip2_error *err)
{
    Error e = {0};
    int h, w;
    float *owned;
    Dump dump = {.dir = r->dump_dir};
    if (out)
        *out = (blip2_debug_output){0};
    if (r->generate && (!out || !r->options)) {
        error_set(&e, ERR_USAGE, "generation: expected options and a place for the output");
        return api_error(err, &e);
    }
    const float *px = run_pixels(s, r, &h, &w, &owned, err);
    if (!px) {
        mem_free(owned);
        return false;
    }
    bool ok = make_dir(r->dump_dir, &e) && run_all(s, r, px, h, w, &dump, out, &e);
    mem_free(owned);
    if (!ok && out)
        blip2_debug_output_free(out);
    return ok || api_error(err, &e);
}

void blip2_debug_output_free(blip2_debug_output *out)
{
    for (size_t i = 0; i < out->count; i++)
        mem_free(out->ids[i]);
    mem_free(out->ids);
    mem_free(out->id_counts);
    mem_free(out->scores);
    *out = (blip2_debug_output){0};
}
