/* models/random.c: a model with random weights, to measure speed without a download. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "models/build.h"

typedef struct Randomiser {
    Visitor base;
    Blip2 *m;
    DType type;
    Preset preset;
    uint64_t seed;
    Error *e;
} Randomiser;

/* Vectors: a norm's gamma is 1, everything else small. */
static bool random_vector(Randomiser *r, Param *p, const ParamSpec *spec)
{
    size_t n = strlen(p->name);
    bool gamma = n > 7 && strcmp(p->name + n - 7, ".weight") == 0;
    float *v = param_room(r->m, p, spec, true);
    for (int i = 0; v && i < p->cols; i++)
        v[i] = (gamma ? 1.0f : 0.0f) + 0.02f * (float)(rng_unit(r->seed, (uint64_t)i) - 0.5);
    return param_give(r->m, p, v, NULL);
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

enum { PERIOD = 65521 };

/* Speed is measured, not meaning: a block of random values is repeated, since drawing billions
 * would take longer than the measurement. */
static void fill(char *data, DType t, size_t n, float range, uint64_t seed)
{
    for (size_t i = 0; i < n && i < PERIOD; i++) {
        float x = (float)(2 * rng_unit(seed, i) - 1);
        put(data, t, i, t == I8 ? x : range * x);
    }
    for (size_t done = PERIOD; done < n; done += PERIOD)
        memcpy(data + dtype_bytes(t, done), data,
               dtype_bytes(t, n - done < PERIOD ? n - done : PERIOD));
}

/* Blocks of int4 in panels: integers of any bits, each with the scale that gives that range. */
static void fill_i4(unsigned char *data, size_t bytes, float range, uint64_t seed)
{
    const uint16_t scale = f32_to_f16(range / 8);
    fill((char *)data, I8, bytes, range, seed);
    for (size_t at = 0; at < bytes; at += I4_BYTES)
        for (size_t i = 0; i < PANEL; i++)
            memcpy(data + at + 2 * i, &scale, sizeof scale);
}

static bool random_matrix(Randomiser *r, Param *p, const ParamSpec *spec)
{
    float range = sqrtf(3.0f / (float)p->cols);
    p->layout = p->dtype == I4 ? LAYOUT_PANEL : LAYOUT_ROWS;
    char *data = param_room(r->m, p, spec, true);
    float *scale = param_scale_room(r->m, p);
    if (data && p->dtype == I4)
        fill_i4((unsigned char *)data, param_data_bytes(p), range, r->seed);
    else if (data)
        fill(data, p->dtype, param_count(p), range, r->seed);
    for (size_t i = 0; scale && i < param_scales(p); i++)
        scale[i] = range / 127;
    return param_give(r->m, p, data, scale);
}

/* What may be absent is, the head being the token table, but for a quantised one (load.c). */
static bool absent(const ParamSpec *spec, Preset preset)
{
    return spec->optional && (spec->kind != PARAM_HEAD || preset == PRESET_NONE);
}

static bool random_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Randomiser *r = (Randomiser *)v;
    if (absent(spec, r->preset))
        return true;
    r->seed++;
    bool vector = spec->kind == PARAM_VECTOR;
    DType type = preset_type(r->preset, name, spec, r->type);
    bool ok = param_begin(r->m, p, name, spec, type) &&
              (vector ? random_vector(r, p, spec) : random_matrix(r, p, spec));
    return ok || error_memory(r->e, name, param_bytes(p));
}

Blip2 *model_random(Device *dev, const ModelConfig *config, DType type, Preset preset,
                    uint64_t seed, Error *e)
{
    Blip2 *m = model_new(dev, config, e);
    if (!m)
        return NULL;
    Randomiser r = {
        .base.param = random_param, .m = m, .type = type, .preset = preset, .seed = seed, .e = e};
    model_visit(&r.base, m);
    if (!r.base.stopped)
        return m;
    model_close(m);
    return NULL;
}

typedef struct Counter {
    Visitor base;
    DType type;
    Preset preset;
    uint64_t bytes;
} Counter;

static bool count_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Counter *c = (Counter *)v;
    DType type = preset_type(c->preset, name, spec, c->type);
    (void)p;
    if (!absent(spec, c->preset))
        c->bytes += param_bytes(&(Param){.dtype = type,
                                         .layout = type == I4 ? LAYOUT_PANEL : LAYOUT_ROWS,
                                         .rows = spec->rows,
                                         .cols = spec->cols});
    return true;
}

bool model_random_bytes(const ModelConfig *config, DType type, Preset preset, uint64_t *bytes,
                        Error *e)
{
    Counter c = {.base.param = count_param, .type = type, .preset = preset};
    Blip2 *m = model_new(NULL, config, e);
    if (!m)
        return false;
    model_visit(&c.base, m);
    model_close(m);
    *bytes = c.bytes;
    return true;
}
