/* api/model.c: loading a model, facts about it, giving it back. */
#include "api/api.h"
#include "ckpt/source.h"
#include "models/facts.h"
#include "models/fits.h"

bool api_check_dtype(blip2_dtype dtype, Error *e)
{
    if ((int)dtype >= BLIP2_AUTO && dtype <= BLIP2_MIXED)
        return true;
    return error_set(e, ERR_USAGE, "dtype: expected one of %d to %d, got %d", BLIP2_AUTO,
                     BLIP2_MIXED, (int)dtype);
}

Preset api_preset(blip2_dtype dtype)
{
    return dtype == BLIP2_INT8    ? PRESET_INT8
           : dtype == BLIP2_INT4  ? PRESET_INT4
           : dtype == BLIP2_MIXED ? PRESET_MIXED
                                  : PRESET_NONE;
}

bool api_describe(blip2_model *m, const char *path, Error *e)
{
    Notes notes = model_notes(m->net, m->tokenizer, path);
    const ModelConfig *k = &m->net->config;
    const LanguageConfig lm = config_language(k);
    blip2_info *info = &m->info;
    PartFacts part[MODEL_PARTS_MAX];
    info->part_count = (size_t)model_facts(m->net, part);
    for (size_t i = 0; i < info->part_count; i++) {
        const char *dtype = arena_strdup(&m->mem, part[i].dtype);
        if (!dtype)
            return error_memory(e, path, sizeof part[i].dtype);
        info->parts[i] = (blip2_part){part[i].name, part[i].parameters, part[i].bytes, dtype};
        info->parameters += part[i].parameters;
        info->weight_bytes += part[i].bytes;
    }
    info->path = arena_strdup(&m->mem, path);
    info->architecture = model_architecture(k, &m->mem);
    info->language_model = lm.name;
    if (m->tokenizer)
        info->tokenizer = arena_printf(&m->mem, "%s, %d tokens", tokenizer_kind(m->tokenizer),
                                       tokenizer_size(m->tokenizer));
    else
        info->missing = "tokenizer";
    info->licence = k->licence[0] ? k->licence : NULL;
    info->image_size = k->pixels;
    info->query_tokens = k->qformer.queries;
    info->vocabulary = lm.vocab;
    info->positions = lm.positions;
    info->working_bytes = model_working_bytes(k);
    info->device = m->dev->model ? arena_printf(&m->mem, "%s (%s)", m->dev->name, m->dev->model)
                                 : m->dev->name;
    if (*notes.text)
        info->notice = arena_strdup(&m->mem, notes.text);
    return (info->path && info->architecture && info->device &&
            (info->tokenizer || info->missing) && (info->notice || !*notes.text)) ||
           error_memory(e, path, 256);
}

blip2_model *api_model_new(blip2_dtype dtype, const DeviceChoice *on, const char *name, Error *e)
{
    blip2_model *m = mem_calloc(1, sizeof *m);
    if (!m) {
        error_memory(e, name, sizeof *m);
        return NULL;
    }
    atomic_init(&m->holders, 1);
    m->dtype = dtype;
    m->dev = api_device_open(on, e);
    if (m->dev)
        return m;
    blip2_model_free(m);
    return NULL;
}

static bool load_tokenizer(blip2_model *m, const Folder *dir, bool needed, Error *e)
{
    m->tokenizer = tokenizer_open(dir, &m->no_tokenizer);
    if (m->tokenizer || (!needed && m->no_tokenizer.code == ERR_NO_MODEL))
        return true;
    *e = m->no_tokenizer;
    if (e->code == ERR_NO_MODEL)
        e->code = ERR_BAD_MODEL; /* there is a model; a part of it is missing */
    return false;
}

static bool load_parts(blip2_model *m, ModelSource *from, bool need_tokenizer, Error *e)
{
    m->net = model_load(m->dev, from, api_preset(m->dtype), e);
    return m->net && load_tokenizer(m, &from->tokenizer, need_tokenizer, e) &&
           model_fits(m->net, m->tokenizer, from->path, e) && api_describe(m, from->path, e);
}

/* *card: it was tried on one. */
static blip2_model *load_on(const DeviceChoice *on, const char *path_or_name,
                            const blip2_load_options *o, bool need_tokenizer, bool *card, Error *e)
{
    ModelSource from = {0};
    SourceHints hints = {o->type, o->vit, o->language};
    bool found = source_find(&from, path_or_name, &hints, e);
    blip2_model *m = found ? api_model_new(o->dtype, on, from.path, e) : NULL;
    *card = m && api_on_card(m->dev);
    bool ok = m && load_parts(m, &from, need_tokenizer, e);
    source_free(&from);
    if (ok)
        return m;
    blip2_model_free(m);
    return NULL;
}

/* What the user should know of why the card was not used goes in front of the model's own notice. */
static blip2_model *note_no_room(blip2_model *m, const Error *why)
{
    blip2_info *info = m ? &m->info : NULL;
    if (info)
        info->notice = arena_printf(&m->mem, "%s: computing on the CPU%s%s", why->message,
                                    info->notice ? "; " : "", info->notice ? info->notice : "");
    return m;
}

/* Where nobody asked for the card, a model that it has no room for goes to the CPU. */
static blip2_model *load(const char *path_or_name, const blip2_load_options *o, bool need_tokenizer,
                         Error *e)
{
    static const DeviceChoice CPU = {.kind = DEVICE_CPU};
    DeviceChoice on;
    bool card;
    Error first = {0};
    if (!api_device_choice(o->device, &on, e))
        return NULL;
    blip2_model *m = load_on(&on, path_or_name, o, need_tokenizer, &card, &first);
    if (m)
        return m;
    if (on.kind == DEVICE_AUTO && card && first.code == ERR_MEMORY)
        return note_no_room(load_on(&CPU, path_or_name, o, need_tokenizer, &card, e), &first);
    *e = first;
    return NULL;
}

blip2_model *api_load(const char *path_or_name, const blip2_load_options *options,
                      bool need_tokenizer, blip2_error *err)
{
    Error e = {0};
    blip2_load_options o = {.size = sizeof o};
    bool ok = !options || sized_take(&o, sizeof o, options, "load options", &e);
    ok = ok && api_reserved(o.reserved, "load options", &e) && api_check_dtype(o.dtype, &e);
    blip2_model *m = ok ? load(path_or_name, &o, need_tokenizer, &e) : NULL;
    if (!m)
        api_error(err, &e);
    return m;
}

blip2_model *blip2_model_load(const char *path_or_name, const blip2_load_options *options,
                              blip2_error *err)
{
    return api_load(path_or_name, options, true, err);
}

void blip2_model_free(blip2_model *m)
{
    if (!m || atomic_fetch_sub(&m->holders, 1) > 1)
        return;
    model_close(m->net);
    tokenizer_free(m->tokenizer);
    if (m->dev)
        m->dev->close(m->dev);
    arena_free(&m->mem);
    mem_free(m);
}

const blip2_info *blip2_model_info(const blip2_model *model)
{
    return model ? &model->info : NULL;
}
