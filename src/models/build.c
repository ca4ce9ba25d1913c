/* models/build.c: a model's memory. */
#include "models/build.h"

#include <sys/mman.h>

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

static Owned *owned_free(Owned *o)
{
    Owned *next = o->next;
    if (o->mapped)
        munmap(o->data, o->bytes);
    else
        mem_free(o->data);
    mem_free(o);
    return next;
}

/* The newest block, if it is that one: Params come to their data one after another. */
static void disown(Blip2 *m, const void *data)
{
    Owned *newest = m->owned;
    if (newest && newest->data == data)
        m->owned = owned_free(newest);
}

void model_close(Blip2 *m)
{
    if (!m)
        return;
    for (Owned *o = m->owned; o;)
        o = owned_free(o);
    arena_free(&m->mem);
    ckpt_close(m->ckpt);
    mem_free(m);
}

static bool init_language(Blip2 *m)
{
    const ModelConfig *k = &m->config;
    if (k->kind == MODEL_MATCHING)
        return true;
    return k->kind == MODEL_T5 ? t5_init(&m->t5, &k->t5, &m->mem)
                               : opt_init(&m->opt, &k->opt, &m->mem);
}

Blip2 *model_new(Device *dev, const ModelConfig *config, Error *e)
{
    Blip2 *m = mem_calloc(1, sizeof *m);
    if (!m) {
        error_memory(e, "model", sizeof *m);
        return NULL;
    }
    m->dev = dev;
    m->config = *config;
    heads_init(&m->heads, config);
    if (vit_init(&m->vit, &config->vit, &m->mem) &&
        qformer_init(&m->qformer, &config->qformer, &m->mem) && init_language(m))
        return m;
    error_memory(e, "layers", 0);
    model_close(m);
    return NULL;
}

/* --- parameters ------------------------------------------------------------------------------- */

/* Every weight passes through here, whether it lies in a file or in memory of the model: the place
 * at which the device reads these bytes (Device.place). NULL: the device has no room. */
static const void *place(Blip2 *m, const void *host, size_t bytes)
{
    return m->dev->place(m->dev, host, bytes);
}

/* The matrix p, whose panels are at `panels`, for a device that reads rows. */
static const void *place_in_rows(Blip2 *m, Param *p, const void *panels)
{
    const size_t cols = (size_t)p->cols, row = dtype_bytes(p->dtype, cols);
    char *rows = mem_alloc(row * (size_t)p->rows);
    for (size_t r = 0; rows && r < (size_t)p->rows; r++)
        panel_to_row(rows + r * row, panels, r, 0, cols, p->dtype, cols);
    const void *there = rows ? place(m, rows, row * (size_t)p->rows) : NULL;
    mem_free(rows);
    p->layout = LAYOUT_ROWS;
    return there;
}

static const void *place_values(Blip2 *m, Param *p, const void *values)
{
    if (p->layout == LAYOUT_PANEL && p->dtype != I4 && m->dev->rows_only)
        return place_in_rows(m, p, values);
    return place(m, values, param_data_bytes(p));
}

bool param_begin(Blip2 *m, Param *p, const char *name, const ParamSpec *spec, DType type)
{
    *p = (Param){.name = arena_strdup(&m->mem, name),
                 .dtype = type,
                 .rows = spec->rows,
                 .cols = spec->cols,
                 .grad = p->grad};
    return p->name != NULL;
}

void *param_room(Blip2 *m, const Param *p, const ParamSpec *spec, bool small_pages)
{
    size_t bytes = param_data_bytes(p);
    return spec->kind == PARAM_VECTOR ? arena_alloc(&m->mem, bytes) : own(m, bytes, small_pages);
}

float *param_scale_room(Blip2 *m, const Param *p)
{
    return arena_alloc(&m->mem, sizeof(float) * param_scales(p));
}

bool param_give(Blip2 *m, Param *p, const void *values, const float *scales)
{
    size_t n = param_scales(p);
    p->data = values ? place_values(m, p, values) : NULL;
    if (p->data && p->data != values)
        disown(m, values); /* the device has a copy of its own */
    p->scale = n && scales ? place(m, scales, n * sizeof *scales) : NULL;
    return p->data && (p->scale || !n);
}
