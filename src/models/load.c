/* models/load.c: fills a model's parameters from a checkpoint, in place or quantised. */
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "models/build.h"
#include "models/extra.h"
#include "models/fits.h"
#include "models/quantise.h"
#include "models/recipe.h"

/* --- one parameter ------------------------------------------------------------------------------ */

typedef struct Loader {
    Visitor base;
    Blip2 *m;
    Preset preset;
    Quantiser quantiser;
    size_t low; /* weights that the file has in another low precision than the one asked for */
    const char *low_one; /* one of them */
    char missing[256];   /* the tensor that ended the walk by not being there */
    Error *e;
} Loader;

static bool load_vector(Blip2 *m, Param *p, const ParamSpec *spec, const Recipe *r)
{
    float *v = param_room(m, p, spec, false);
    if (v)
        recipe_floats(r, v, 0, (size_t)spec->shape[0]);
    return param_give(m, p, v, NULL);
}

static bool load_stored(Blip2 *m, Param *p, const ParamSpec *spec, const Recipe *r)
{
    bool table = spec->kind != PARAM_MATRIX; /* whose rows are looked up */
    const void *there = r->panels && table ? NULL : recipe_in_place(r);
    p->layout = r->panels && !table ? LAYOUT_PANEL : LAYOUT_ROWS;
    void *copy = there ? NULL : param_room(m, p, spec, false);
    if (copy) {
        if (table)
            recipe_rows(r, copy, 0, (size_t)spec->shape[0]);
        else
            recipe_copy(r, copy);
        recipe_done(r);
    }
    return param_give(m, p, there ? there : copy, NULL);
}

/* Small integers as the file has them. */
static bool load_low(Blip2 *m, Param *p, const ParamSpec *spec, const Recipe *r)
{
    const void *there = recipe_in_place(r);
    const float *scale = r->dtype == I8 ? recipe_scales_in_place(r) : NULL;
    float *copy = scale || r->dtype == I4 ? NULL : param_scale_room(m, p);
    p->layout = r->panels ? LAYOUT_PANEL : LAYOUT_ROWS;
    if (copy)
        recipe_scales(r, copy, 0, (size_t)spec->shape[0]);
    return param_give(m, p, there, scale ? scale : copy);
}

/* Quantised, or widened from bitsandbytes' 4 bits, by all processors. */
static bool load_made(Loader *l, Param *p, const ParamSpec *spec, const Recipe *r)
{
    p->layout = p->dtype == I4 ? LAYOUT_PANEL : LAYOUT_ROWS;
    void *q = param_room(l->m, p, spec, false);
    float *scale = p->dtype == I8 ? param_scale_room(l->m, p) : NULL;
    bool ok = q && (scale || p->dtype != I8) &&
              quantise(&l->quantiser, r, p->dtype, 0, (size_t)p->rows, q, scale);
    ckpt_rest(l->m->ckpt); /* else the file would stay in memory beside the copy */
    return ok && param_give(l->m, p, q, scale);
}

static bool load_values(Loader *l, Param *p, const ParamSpec *spec, const Recipe *r)
{
    if (spec->kind == PARAM_VECTOR)
        return load_vector(l->m, p, spec, r);
    if (recipe_quantised(r))
        return load_low(l->m, p, spec, r);
    bool stored = p->dtype == r->dtype && !r->four.code;
    return stored ? load_stored(l->m, p, spec, r) : load_made(l, p, spec, r);
}

/* A head that the model shares with its token table is a weight of its own when it is quantised: the table is not. */
static bool take(Loader *l, Recipe *r, const char *name, const ParamSpec *spec)
{
    if (!recipe_take(r, l->m->ckpt, name, spec, l->e))
        return false;
    if (r->n || spec->kind != PARAM_HEAD || l->preset == PRESET_NONE)
        return true;
    return recipe_tied(r, l->m->ckpt, spec, l->e);
}

static void note_low(Loader *l, const Recipe *r, const char *name, const ParamSpec *spec)
{
    bool other = l->preset != PRESET_NONE && recipe_quantised(r) &&
                 preset_type(l->preset, name, spec, F32) != r->dtype;
    if (other && l->low++ == 0)
        l->low_one = r->piece[0].from->name;
}

static bool load_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Loader *l = (Loader *)v;
    Recipe r;
    if (!take(l, &r, name, spec)) {
        memcpy(l->missing, r.missing, sizeof l->missing);
        return false;
    }
    if (!r.n)
        return true;
    note_low(l, &r, name, spec);
    DType type = preset_type(l->preset, name, spec, r.dtype);
    bool ok = param_begin(l->m, p, name, spec, type) && load_values(l, p, spec, &r);
    return ok || error_memory(l->e, name, param_bytes(p));
}

/* --- the whole model ---------------------------------------------------------------------------- */

/* What the model has no use for is no reason to refuse it, but should be known. */
static void note_unused(Blip2 *m)
{
    const CkptTensor *first = NULL;
    size_t left = 0;
    for (size_t i = 0; i < ckpt_count(m->ckpt); i++) {
        const CkptTensor *t = ckpt_at(m->ckpt, i);
        if (t->used || tensor_extra(t))
            continue;
        first = first ? first : t;
        left++;
    }
    if (left)
        note_add(&m->notes, "%s: tensor \"%s\": not used (%zu in all)", first->file, first->name,
                 left);
}

static bool mark(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Error ignored = {0};
    Recipe r;
    (void)p;
    recipe_take(&r, ((Loader *)v)->m->ckpt, name, spec, &ignored);
    return true;
}

/* Which of the names that nothing else asks for may be the missing one's. */
static void suggest(Loader *l)
{
    Loader all = {.base.param = mark, .m = l->m};
    model_visit(&all.base, l->m);
    const CkptTensor *near = ckpt_nearest(l->m->ckpt, l->missing);
    if (near)
        error_add(l->e, "; the file has \"%.200s\"", near->name);
}

/* Of weights in a form that this program does not read, one would be told a missing or mistyped tensor. */
static void explain(Loader *l)
{
    const char *how = ckpt_quantised(l->m->ckpt);
    if (l->e->code != ERR_BAD_MODEL)
        return;
    if (how) {
        *l->e = (Error){0};
        error_set(
            l->e, ERR_BAD_MODEL,
            "%s: weights: expected F32, F16 or BF16, got weights quantised with %s, which are not "
            "supported: take the original model (--dtype int8, int4 or mixed quantises it while "
            "loading)",
            ckpt_path(l->m->ckpt), how);
    } else if (*l->missing) {
        suggest(l);
    } else {
        model_disagree(l->m, l->e);
    }
}

static bool unwrap(Checkpoint *c, Notes *notes, Error *e)
{
    const char *first = NULL;
    size_t n;
    if (!ckpt_unwrap(c, "query_tokens", &n, &first, e))
        return false;
    if (n)
        note_add(notes, "%s: tensor \"%s\": read without the wrapper in its name (%zu in all)",
                 ckpt_path(c), first, n);
    return true;
}

/* What only the weights know: whether LAVIS' heads are there, which transformers' files leave out, and how many
 * words the table has, which config.json often has wrong by the one that was added. */
static void complete(ModelConfig *k, Checkpoint *c)
{
    const CkptTensor *words = ckpt_find(c, "embeddings.word_embeddings.weight");
    if (k->kind != MODEL_MATCHING)
        return;
    if (words && words->rank == 2 && words->shape[0] > 0 && words->shape[0] <= INT_MAX)
        k->qformer.vocab = (int)words->shape[0];
    if (ckpt_find(c, "cls.predictions.bias")) {
        k->parts |= PART_WORD_HEAD;
        k->start = k->qformer.vocab - 1; /* [DEC], which LAVIS adds behind BERT's words */
    }
    if (ckpt_find(c, "temp"))
        k->parts |= PART_TEMPERATURE;
}

static bool load_all(Blip2 *m, Preset preset, Error *e)
{
    Loader l = {.base.param = load_param, .m = m, .preset = preset, .e = e};
    model_visit(&l.base, m);
    quantiser_free(&l.quantiser);
    if (l.base.stopped)
        explain(&l);
    else
        note_unused(m);
    if (l.low)
        note_add(&m->notes,
                 "%s: tensor \"%s\": stays as it is stored, quantised already, in spite of %s (%zu "
                 "in all)",
                 ckpt_path(m->ckpt), l.low_one, preset_name(preset), l.low);
    return !l.base.stopped;
}

/* Whoever keeps an adapter beside its base model may think that it counts. */
static bool note_adapter(Blip2 *m, const Folder *dir, Error *e)
{
    int there = folder_has(dir, "adapter_config.json");
    if (there == 1)
        note_add(
            &m->notes,
            "%s/adapter_config.json: an adapter, which is not applied: merge it into the model "
            "(PEFT: merge_and_unload) and save that",
            dir->path);
    return there >= 0 || error_memory(e, dir->path, strlen(dir->path));
}

Blip2 *model_begin(Device *dev, ModelSource *source, Error *e)
{
    ModelConfig config;
    if (!config_open(&config, &source->config, e))
        return NULL;
    Checkpoint *ckpt = source_open(source, e);
    Blip2 *m = NULL;
    if (ckpt && unwrap(ckpt, &config.notes, e)) {
        complete(&config, ckpt);
        m = model_new(dev, &config, e);
    }
    if (!m) {
        ckpt_close(ckpt);
        return NULL;
    }
    m->ckpt = ckpt;
    m->notes = config.notes;
    return m;
}

Blip2 *model_load(Device *dev, ModelSource *source, Preset preset, Error *e)
{
    Blip2 *m = model_begin(dev, source, e);
    if (m && note_adapter(m, &source->config, e) && load_all(m, preset, e)) {
        ckpt_huge(m->ckpt);
        return m;
    }
    model_close(m);
    return NULL;
}

Blip2 *model_open(Device *dev, const char *dir, Preset preset, Error *e)
{
    ModelSource source = {0};
    Blip2 *m = model_dir_check(dir, e) && source_dir(&source, dir, e)
                   ? model_load(dev, &source, preset, e)
                   : NULL;
    source_free(&source);
    return m;
}
