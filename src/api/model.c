/* api/model.c: loading a model and giving it back. */
#include "api/api.h"

bool api_check_dtype(blip2_dtype dtype, Error *e)
{
    if ((int)dtype >= BLIP2_AUTO && dtype <= BLIP2_INT8)
        return true;
    if (dtype == BLIP2_INT4)
        return error_set(e, ERR_USAGE,
                         "--dtype int4: not available in this version, expected one of "
                         "f32, bf16, f16, int8");
    return error_set(e, ERR_USAGE, "dtype: expected one of %d to %d, got %d", BLIP2_AUTO,
                     BLIP2_INT8, (int)dtype);
}

/* What no file says wrong by itself: that the parts do not fit each other. */
static bool check_parts(const blip2_model *m, const char *dir, Error *e)
{
    const ModelConfig *k = &m->net->config;
    if (k->opt.positions <= k->qformer.queries)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: config.json: expected more positions than the picture's %d, got %d",
                         dir, k->qformer.queries, k->opt.positions);
    if (m->tokenizer && tokenizer_size(m->tokenizer) > k->opt.vocab)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: tokenizer: expected ids below the vocabulary's %d, got %d", dir,
                         k->opt.vocab, tokenizer_size(m->tokenizer) - 1);
    return true;
}

blip2_model *api_load(const char *path_or_name, blip2_dtype dtype, bool need_tokenizer, Error *e)
{
    if (!api_check_dtype(dtype, e))
        return NULL;
    char *dir = model_find(path_or_name, e);
    blip2_model *m = dir ? mem_calloc(1, sizeof *m) : NULL;
    if (!m) {
        error_memory(e, "model", sizeof *m); /* model_find has said more, when it failed */
        mem_free(dir);
        return NULL;
    }
    m->dtype = dtype;
    m->net = model_open(dir, dtype == BLIP2_INT8, e);
    m->tokenizer = m->net ? tokenizer_load(dir, &m->no_tokenizer) : NULL;
    bool ok = m->net != NULL;
    if (ok && !m->tokenizer && (need_tokenizer || m->no_tokenizer.code != ERR_NO_MODEL)) {
        *e = m->no_tokenizer;
        if (e->code == ERR_NO_MODEL)
            e->code = ERR_BAD_MODEL; /* there is a model; a part of it is missing */
        ok = false;
    }
    ok = ok && check_parts(m, dir, e) && api_describe(m, dir, e);
    mem_free(dir);
    if (ok)
        return m;
    blip2_model_free(m);
    return NULL;
}

blip2_model *blip2_model_load(const char *path_or_name, const blip2_load_options *options,
                              blip2_error *err)
{
    Error e = {0};
    blip2_model *m = api_load(path_or_name, options ? options->dtype : BLIP2_AUTO, true, &e);
    if (!m)
        api_error(err, &e);
    return m;
}

void blip2_model_free(blip2_model *m)
{
    if (!m)
        return;
    model_close(m->net);
    tokenizer_free(m->tokenizer);
    arena_free(&m->mem);
    mem_free(m);
}

Precision api_precision(const blip2_model *m)
{
    return m->dtype == BLIP2_F32 ? PREC_F32 : PREC_FAST;
}

const blip2_info *blip2_model_info(const blip2_model *model)
{
    return model ? &model->info : NULL;
}
