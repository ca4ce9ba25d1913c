/* models/convert_plan.c: which tensors a file will have, and in which order. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ckpt/names.h"
#include "ckpt/packed.h"
#include "models/convert_parts.h"
#include "models/extra.h"
#include "models/fits.h"

/* --- what is to be written ------------------------------------------------------------------------- */

/* [panels, inputs, 32], of bf16 [panels, inputs/2, 32, 2] (tensor/panel.h). */
static void as_panels(Output *o)
{
    const DType t = o->recipe.dtype;
    const size_t group = panel_group(t), ins = panel_inputs(t, o->recipe.width);
    o->form = OUT_PANELS;
    o->entry.rank = group > 1 ? 4 : 3;
    o->entry.shape[0] = (int64_t)panel_count(o->rows);
    o->entry.shape[1] = (int64_t)(ins / group);
    o->entry.shape[2] = PANEL;
    o->entry.shape[3] = (int64_t)group;
    o->entry.bytes = panels_bytes(t, o->rows, o->recipe.width);
}

/* [panels, blocks, 576], in front of all others: so each lies on a multiple of 64. */
static void as_int4(Output *o)
{
    o->entry.dtype = U8;
    o->entry.place = -1;
    o->entry.rank = 3;
    o->entry.shape[0] = (int64_t)panel_count(o->rows);
    o->entry.shape[1] = (int64_t)i4_blocks(o->recipe.width);
    o->entry.shape[2] = I4_BYTES;
    o->entry.bytes = panels_bytes(I4, o->rows, o->recipe.width);
}

/* Room for one more; NULL: out of memory. */
static Output *one_more(Converter *c, const char *name)
{
    if (MEM_GROW(c->out, &c->cap, c->n + 1))
        return &c->out[c->n++];
    error_memory(c->e, name, (c->n + 1) * sizeof *c->out);
    return NULL;
}

/* The scales of the int8 weight that was added last. They come behind all weights, and are kept until then: their
 * numbers are known when the weights have been read. */
static bool push_scales(Converter *c)
{
    Output *o = one_more(c, "scales");
    if (!o)
        return false;
    Output *weight = o - 1;
    weight->scale = arena_alloc(&c->m->mem, sizeof *weight->scale * weight->rows);
    *o = *weight;
    o->form = OUT_SCALES;
    o->entry = (StEntry){.name = arena_printf(&c->m->mem, "%s%s", weight->entry.name, PACKED_SCALE),
                         .dtype = F32,
                         .place = 1,
                         .rank = 1,
                         .shape = {(int64_t)o->rows},
                         .bytes = sizeof *o->scale * o->rows};
    c->total += o->entry.bytes;
    return (o->scale && o->entry.name) || error_memory(c->e, weight->entry.name, o->entry.bytes);
}

static void choose_form(const Converter *c, Output *o)
{
    const DType from = o->recipe.dtype;
    if (o->to != from)
        o->form = OUT_QUANTISED;
    else if (dtype_is_float(from) && c->o->to == CONVERT_PACKED && o->spec.kind == PARAM_MATRIX &&
             o->spec.rows >= PANEL)
        as_panels(o);
    if (o->to == I4)
        as_int4(o);
}

/* The type that a weight is written as; of a vector, unlike in memory, that in which it is stored. */
static DType written_type(const Converter *c, const char *name, const ParamSpec *spec, DType stored)
{
    return spec->kind == PARAM_VECTOR ? stored : preset_type(c->o->preset, name, spec, stored);
}

/* Rows of the Param under that name; rows 0: all of them. */
static bool push(Converter *c, const char *name, const ParamSpec *spec, const Recipe *r,
                 size_t first, size_t rows)
{
    Output *o = one_more(c, name);
    if (!o)
        return false;
    DType to = written_type(c, name, spec, r->dtype);
    *o = (Output){.recipe = *r, .first = first, .rows = rows, .spec = *spec, .to = to};
    o->entry = (StEntry){.name = arena_strdup(&c->m->mem, name),
                         .dtype = to,
                         .rank = spec->rank,
                         .bytes = dtype_bytes(to, rows * r->width)};
    memcpy(o->entry.shape, spec->shape, sizeof *spec->shape * (size_t)spec->rank);
    o->entry.shape[0] = (int64_t)rows;
    choose_form(c, o);
    c->total += o->entry.bytes;
    if (!o->entry.name)
        return error_memory(c->e, name, strlen(name));
    return to != I8 || push_scales(c);
}

/* --- LAVIS' key without a bias: two tensors for one ---------------------------------------------------- */

static bool is_zero(const Recipe *r, size_t first, size_t rows)
{
    float v[256];
    for (size_t i = first; i < first + rows; i += 256 / r->width) {
        size_t n = first + rows - i < 256 / r->width ? first + rows - i : 256 / r->width;
        recipe_floats(r, v, i, n);
        for (size_t k = 0; k < n * r->width; k++)
            if (v[k] != 0)
                return false;
    }
    return true;
}

/* lavis: "visual_encoder.blocks.N.attn.qkv.bias", which becomes q_bias and v_bias (eva_vit.py, Attention). */
static bool push_bias(Converter *c, char *lavis, const char *name, const ParamSpec *spec,
                      const Recipe *r)
{
    size_t third = (size_t)spec->shape[0] / 3;
    char *tail = strstr(lavis, "qkv.bias");
    if (!is_zero(r, third, third))
        return error_set(c->e, ERR_BAD_MODEL,
                         "%s: tensor \"%s\": expected zeros for the keys, since LAVIS has no bias "
                         "there, got other numbers",
                         ckpt_path(c->m->ckpt), name);
    memcpy(tail, "q_bias", sizeof "q_bias");
    if (!push(c, lavis, spec, r, 0, third))
        return false;
    *tail = 'v';
    return push(c, lavis, spec, r, 2 * third, third);
}

static bool push_lavis(Converter *c, const char *name, const ParamSpec *spec, const Recipe *r)
{
    char lavis[NAME_LONGEST];
    if (!name_lavis(name, c->family, lavis, sizeof lavis))
        return error_set(c->e, ERR_BAD_MODEL, "%s: tensor \"%s\": LAVIS has no such tensor",
                         ckpt_path(c->m->ckpt), name);
    if (c->family & NAMES_EVA && str_ends(lavis, "attn.qkv.bias"))
        return push_bias(c, lavis, name, spec, r);
    return push(c, lavis, spec, r, 0, (size_t)spec->shape[0]);
}

/* Small integers are quantised but once, and other programs do not know ours. */
static bool may_go(Converter *c, const Recipe *r, const char *name)
{
    if (!recipe_quantised(r))
        return true;
    if (c->o->preset != PRESET_NONE)
        return error_set(c->e, ERR_BAD_MODEL,
                         "%s: tensor \"%s\": expected F32, F16 or BF16, got %s: quantised already; "
                         "take the original "
                         "model",
                         ckpt_path(c->m->ckpt), name, dtype_name(r->dtype));
    return c->o->to == CONVERT_PACKED ||
           error_set(
               c->e, ERR_USAGE,
               "%s: tensor \"%s\": expected F32, F16 or BF16, got %s: only a packed file can hold "
               "quantised weights",
               ckpt_path(c->m->ckpt), name, dtype_name(r->dtype));
}

static bool plan_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Converter *c = (Converter *)v;
    Recipe r;
    (void)p;
    if (!recipe_take(&r, c->m->ckpt, name, spec, c->e))
        return false;
    bool tied =
        !r.n && spec->kind == PARAM_HEAD && c->o->preset != PRESET_NONE; /* as load.c does */
    if (tied && !recipe_tied(&r, c->m->ckpt, spec, c->e))
        return false;
    if (!r.n)
        return true;
    if (!may_go(c, &r, name))
        return false;
    return c->o->to == CONVERT_LAVIS ? push_lavis(c, name, spec, &r)
                                     : push(c, name, spec, &r, 0, (size_t)spec->shape[0]);
}

/* Nothing is lost silently. */
static bool all_accounted(Converter *c)
{
    for (size_t i = 0; i < ckpt_count(c->m->ckpt); i++) {
        const CkptTensor *t = ckpt_at(c->m->ckpt, i);
        if (!t->used && !tensor_extra(t))
            return error_set(
                c->e, ERR_BAD_MODEL,
                "%s: tensor \"%s\": expected a place in the model, got none: it would be "
                "lost",
                t->file, t->name);
    }
    return true;
}

bool convert_plan(Converter *c)
{
    bool clip = ckpt_find(c->m->ckpt, "vision_model.pre_layernorm.weight") != NULL;
    c->family =
        (clip ? NAMES_CLIP : NAMES_EVA) | (c->m->config.kind == MODEL_T5 ? NAMES_T5 : NAMES_OPT);
    c->base.param = plan_param;
    model_visit(&c->base, c->m);
    if (c->base.stopped) {
        model_disagree(c->m, c->e);
        return false;
    }
    if (!all_accounted(c))
        return false;
    if (c->n)
        qsort(c->out, c->n, sizeof *c->out, st_order);
    return true;
}
