/* models/load.c: fills a model's parameters from a checkpoint, in place or quantised. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/build.h"

/* --- from a checkpoint -------------------------------------------------------------------------- */

typedef struct Loader {
    Visitor base;
    Blip2 *m;
    bool quantise;
    Error *e;
} Loader;

static void shape_text(char *out, size_t n, int rank, const int64_t *shape)
{
    size_t at = (size_t)snprintf(out, n, "[");
    for (int i = 0; i < rank && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%lld", i ? "," : "", (long long)shape[i]);
    if (at < n)
        snprintf(out + at, n - at, "]");
}

static bool fits(const CkptTensor *t, const ParamSpec *spec, Error *e)
{
    char want[128], got[128];
    if (!dtype_is_float(t->dtype))
        return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected F32, F16 or BF16, got %s",
                         t->file, t->name, dtype_name(t->dtype));
    if (t->rank == spec->rank &&
        memcmp(t->shape, spec->shape, sizeof *t->shape * (size_t)t->rank) == 0)
        return true;
    shape_text(want, sizeof want, spec->rank, spec->shape);
    shape_text(got, sizeof got, t->rank, t->shape);
    return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected shape %s, got %s", t->file,
                     t->name, want, got);
}

/* Small, and read by every kernel: kept as f32 whatever the file has. */
static bool load_vector(Blip2 *m, Param *p, const CkptTensor *t)
{
    float *v = arena_alloc(&m->mem, sizeof *v * (size_t)p->cols);
    if (!v)
        return false;
    convert_to_f32(v, t->data, t->dtype, (size_t)p->cols);
    p->dtype = F32;
    p->data = v;
    return true;
}

static bool load_in_place(Blip2 *m, Param *p, const CkptTensor *t)
{
    p->dtype = t->dtype;
    p->data = t->data;
    if ((uintptr_t)t->data % dtype_size(t->dtype) == 0)
        return true;
    void *copy = model_own(m, t->bytes, false); /* a hand-made file: elements do not lie aligned */
    if (!copy)
        return false;
    p->data = memcpy(copy, t->data, t->bytes);
    return true;
}

/* Symmetric, one scale per row: q = round(w / s), s = max|w| / 127. A row with a weight that is no
 * number stays one that gives none; a row too small to divide by is zero. */
static void quantise_row(int8_t *q, float *scale, const float *w, int n)
{
    float top = 0;
    int odd = 0; /* infinities and NaN */
#pragma omp simd reduction(max : top) reduction(+ : odd)
    for (int i = 0; i < n; i++) {
        float size = fabsf(w[i]);
        top = size > top ? size : top;
        odd += !(size <= FLT_MAX);
    }
    float up = 127 / top;
    bool flat = odd || !isfinite(up);
    *scale = odd ? NAN : flat ? 0 : top / 127;
    up = flat ? 0 : up;
#pragma omp simd
    for (int i = 0; i < n; i++)
        q[i] = flat ? 0 : (int8_t)lrintf(w[i] * up);
}

static bool load_quantised(Blip2 *m, Param *p, const CkptTensor *t)
{
    size_t n = (size_t)p->cols;
    float *row = mem_alloc(sizeof *row * n);
    int8_t *q = model_own(m, (size_t)p->rows * n, false);
    float *scale = arena_alloc(&m->mem, sizeof *scale * (size_t)p->rows);
    bool ok = row && q && scale;
    for (int r = 0; ok && r < p->rows; r++) {
        const char *from = (const char *)t->data + (size_t)r * n * dtype_size(t->dtype);
        convert_to_f32(row, from, t->dtype, n);
        quantise_row(q + (size_t)r * n, &scale[r], row, p->cols);
    }
    mem_free(row);
    ckpt_done_with(t); /* else the file would stay in memory beside the copy */
    p->dtype = I8;
    p->data = q;
    p->scale = scale;
    return ok;
}

static bool load_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Loader *l = (Loader *)v;
    CkptTensor *t = ckpt_take(l->m->ckpt, name);
    if (!t && spec->optional)
        return true;
    if (!t)
        return error_set(l->e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected, but missing",
                         ckpt_path(l->m->ckpt), name);
    if (!fits(t, spec, l->e))
        return false;
    *p = (Param){.name = arena_strdup(&l->m->mem, name),
                 .rows = spec->rows,
                 .cols = spec->cols,
                 .grad = p->grad};
    bool ok = spec->kind == PARAM_VECTOR                  ? load_vector(l->m, p, t)
              : spec->kind == PARAM_MATRIX && l->quantise ? load_quantised(l->m, p, t)
                                                          : load_in_place(l->m, p, t);
    return (ok && p->name) || error_memory(l->e, name, t->bytes);
}

/* Buffers that some versions of the libraries saved beside the weights. */
static bool is_buffer(const CkptTensor *t)
{
    size_t n = strlen(t->name);
    return n >= 12 && strcmp(t->name + n - 12, "position_ids") == 0;
}

static bool nothing_left(Checkpoint *ckpt, Error *e)
{
    const CkptTensor *first = NULL;
    size_t left = 0;
    for (size_t i = 0; i < ckpt_count(ckpt); i++) {
        const CkptTensor *t = ckpt_at(ckpt, i);
        if (t->used || is_buffer(t))
            continue;
        first = first ? first : t;
        left++;
    }
    if (!left)
        return true;
    return error_set(e, ERR_BAD_MODEL,
                     "%s: tensor \"%s\": superfluous, expected none beside the model's own "
                     "(%zu in all)",
                     first->file, first->name, left);
}

static bool load_all(Blip2 *m, bool quantise, Error *e)
{
    Loader l = {.base.param = load_param, .m = m, .quantise = quantise, .e = e};
    model_visit(&l.base, m);
    if (l.base.stopped)
        return false;
    if (!opt_tie(&m->opt))
        return error_set(e, ERR_BAD_MODEL,
                         "%s: tensor \"language_model.model.decoder.embed_tokens.weight\": "
                         "expected, but missing (and no lm_head.weight either)",
                         ckpt_path(m->ckpt));
    return nothing_left(m->ckpt, e);
}

Blip2 *model_open(const char *dir, bool quantise, Error *e)
{
    static const char *const KINDS[] = {[MODEL_T5] = "Flan-T5", [MODEL_MATCHING] = "matching"};
    ModelConfig config;
    if (!config_load(&config, dir, e))
        return NULL;
    if (config.kind != MODEL_OPT) {
        error_set(e, ERR_BAD_MODEL,
                  "%s/config.json: language model: expected OPT, got a %s model, "
                  "which this version cannot run",
                  dir, KINDS[config.kind]);
        return NULL;
    }
    Blip2 *m = model_new(&config, e);
    if (!m)
        return NULL;
    m->ckpt = ckpt_open(dir, e);
    if (m->ckpt && load_all(m, quantise, e))
        return m;
    model_close(m);
    return NULL;
}
