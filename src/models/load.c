/* models/load.c: fills a model's parameters: from a checkpoint in place, quantised, or at random.
 * All three are visitors over the same walk. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "models/blip2.h"

/* A block that belongs to the model: matrices that could not stay in the mapping. */
typedef struct Owned {
    struct Owned *next;
    void *data;
    size_t bytes;
    bool mapped; /* anonymous mapping instead of mem_alloc */
} Owned;

static void *own(Blip2 *m, size_t bytes, bool small_pages)
{
    Owned *o = mem_alloc(sizeof *o);
    if (!o)
        return NULL;
    *o = (Owned){.next = m->owned, .bytes = bytes, .mapped = small_pages};
    if (small_pages) {
        o->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (o->data == MAP_FAILED)
            o->data = NULL;
        else
            madvise(o->data, bytes, MADV_NOHUGEPAGE);
    } else {
        o->data = mem_alloc(bytes);
    }
    if (!o->data) {
        mem_free(o);
        return NULL;
    }
    m->owned = o;
    return o->data;
}

void model_close(Blip2 *m)
{
    if (!m)
        return;
    for (Owned *o = m->owned, *next; o; o = next) {
        next = o->next;
        if (o->mapped)
            munmap(o->data, o->bytes);
        else
            mem_free(o->data);
        mem_free(o);
    }
    arena_free(&m->mem);
    ckpt_close(m->ckpt);
    mem_free(m);
}

static Blip2 *model_new(const ModelConfig *config, Error *e)
{
    Blip2 *m = mem_calloc(1, sizeof *m);
    if (!m) {
        error_memory(e, "model", sizeof *m);
        return NULL;
    }
    m->config = *config;
    if (vit_init(&m->vit, &config->vit, &m->mem) &&
        qformer_init(&m->qformer, &config->qformer, &m->mem) &&
        opt_init(&m->opt, &config->opt, &m->mem))
        return m;
    error_memory(e, "layers", 0);
    model_close(m);
    return NULL;
}

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
    void *copy = own(m, t->bytes, false); /* a hand-made file: elements do not lie aligned */
    if (!copy)
        return false;
    p->data = memcpy(copy, t->data, t->bytes);
    return true;
}

/* Symmetric, one scale per row: q = round(w / s), s = max|w| / 127. */
static void quantise_row(int8_t *q, float *scale, const float *w, int n)
{
    float top = 0;
    for (int i = 0; i < n; i++)
        top = fmaxf(top, fabsf(w[i]));
    *scale = top / 127;
    float inverse = top > 0 ? 127 / top : 0;
    for (int i = 0; i < n; i++)
        q[i] = (int8_t)lrintf(w[i] * inverse);
}

static bool load_quantised(Blip2 *m, Param *p, const CkptTensor *t)
{
    size_t n = (size_t)p->cols;
    float *row = mem_alloc(sizeof *row * n);
    int8_t *q = own(m, (size_t)p->rows * n, false);
    float *scale = arena_alloc(&m->mem, sizeof *scale * (size_t)p->rows);
    bool ok = row && q && scale;
    for (int r = 0; ok && r < p->rows; r++) {
        const char *from = (const char *)t->data + (size_t)r * n * dtype_size(t->dtype);
        convert_to_f32(row, from, t->dtype, n);
        quantise_row(q + (size_t)r * n, &scale[r], row, p->cols);
    }
    mem_free(row);
    p->dtype = I8;
    p->data = q;
    p->scale = scale;
    return ok;
}

/* Files of the first generation leave out one level of OPT's names (checkpoints.md 2.4). */
static CkptTensor *take(Checkpoint *ckpt, const char *name)
{
    static const char LONG[] = "language_model.model.", SHORT[] = "language_model.";
    CkptTensor *t = ckpt_take(ckpt, name);
    char other[256];
    if (t || strncmp(name, LONG, sizeof LONG - 1) != 0)
        return t;
    snprintf(other, sizeof other, "%s%s", SHORT, name + sizeof LONG - 1);
    return ckpt_take(ckpt, other);
}

static bool load_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Loader *l = (Loader *)v;
    CkptTensor *t = take(l->m->ckpt, name);
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

/* --- at random ---------------------------------------------------------------------------------- */

typedef struct Randomiser {
    Visitor base;
    Blip2 *m;
    DType type;
    uint64_t seed;
    Error *e;
} Randomiser;

/* Vectors: a norm's gamma is 1, everything else small. */
static bool random_vector(Randomiser *r, Param *p, const char *name)
{
    size_t n = strlen(name);
    bool gamma = n > 7 && strcmp(name + n - 7, ".weight") == 0;
    float *v = arena_alloc(&r->m->mem, sizeof *v * (size_t)p->cols);
    for (int i = 0; v && i < p->cols; i++)
        v[i] = (gamma ? 1.0f : 0.0f) + 0.02f * (float)(rng_unit(r->seed, (uint64_t)i) - 0.5);
    p->dtype = F32;
    p->data = v;
    return v != NULL;
}

static void put(void *data, DType t, size_t i, float x)
{
    if (t == F32)
        ((float *)data)[i] = x;
    else if (t == I8)
        ((int8_t *)data)[i] = (int8_t)lrintf(x * 127);
    else
        ((uint16_t *)data)[i] = t == F16 ? f32_to_f16(x) : f32_to_bf16(x);
}

/* Speed is measured, not meaning: a block of random values is repeated, since drawing billions
 * would take longer than the measurement. */
static bool random_matrix(Randomiser *r, Param *p, DType t)
{
    enum { PERIOD = 65521 };
    size_t n = (size_t)p->rows * (size_t)p->cols, size = dtype_size(t);
    char *data = own(r->m, n * size, true);
    float *scale = t == I8 ? arena_alloc(&r->m->mem, sizeof *scale * (size_t)p->rows) : NULL;
    if (!data || (t == I8 && !scale))
        return false;
    float range = sqrtf(3.0f / (float)p->cols);
    for (size_t i = 0; i < n && i < PERIOD; i++) {
        float x = (float)(2 * rng_unit(r->seed, i) - 1);
        put(data, t, i, t == I8 ? x : range * x);
    }
    for (size_t done = PERIOD; done < n; done += PERIOD)
        memcpy(data + done * size, data, (n - done < PERIOD ? n - done : PERIOD) * size);
    for (int i = 0; scale && i < p->rows; i++)
        scale[i] = range / 127;
    p->dtype = t;
    p->data = data;
    p->scale = scale;
    return true;
}

static bool random_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Randomiser *r = (Randomiser *)v;
    if (spec->optional && r->m->opt.tokens.data)
        return true; /* the head is the token table */
    *p = (Param){.name = arena_strdup(&r->m->mem, name), .rows = spec->rows, .cols = spec->cols};
    r->seed++;
    DType t = spec->kind == PARAM_TABLE && r->type == I8 ? BF16 : r->type;
    bool ok = spec->kind == PARAM_VECTOR ? random_vector(r, p, name) : random_matrix(r, p, t);
    return (ok && p->name) ||
           error_memory(r->e, name, (unsigned long long)spec->rows * (unsigned)spec->cols);
}

Blip2 *model_random(const ModelConfig *config, DType type, uint64_t seed, Error *e)
{
    Blip2 *m = model_new(config, e);
    if (!m)
        return NULL;
    Randomiser r = {.base.param = random_param, .m = m, .type = type, .seed = seed, .e = e};
    model_visit(&r.base, m);
    if (!r.base.stopped && opt_tie(&m->opt))
        return m;
    model_close(m);
    return NULL;
}
