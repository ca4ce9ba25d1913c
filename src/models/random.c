/* models/random.c: a model with random weights, to measure speed without a download. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "models/build.h"

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
    char *data = model_own(r->m, dtype_bytes(t, n), true);
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
