/* debug/run_matching.c: what a matching model makes of a picture and of ids: each result under its own name. */
#include "debug/run.h"

#include <stdio.h>

#include "ckpt/ckpt.h"
#include "task/match.h"
#include "task/reading.h"

static bool write(const char *dir, const char *name, const float *v, int rank, const int64_t *shape,
                  Error *e)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s.npy", dir, name) >= (int)sizeof path)
        return error_set(e, ERR_FAILED, "%.200s: dump: expected a shorter path", dir);
    return npy_write(path, v, rank, shape, e);
}

/* A kind of features, when the model has it and what it is of was given. */
static bool dump_feature(Engine *en, const EncodeJob *image, const blip2_debug_run *r,
                         FeatureKind kind, const char *name, Error *e)
{
    FeatureJob job = {.kind = kind, .ids = r->ids, .n_ids = (int)r->id_count};
    Error lacks = {0};
    if (!feature_check(&en->net->config, kind, &lacks) || (feature_has_text(kind) && !r->id_count))
        return true;
    if (feature_has_image(kind))
        job.image = *image;
    engine_features(en, &job, 1);
    if (!job.values)
        return error_set(e, job.error.code, "%s", job.error.message);
    int64_t shape[2] = {job.rows, job.cols};
    bool ok = write(r->dump_dir, name, job.values, 2, shape, e);
    mem_free(job.values);
    return ok;
}

/* The rows of the queries and of the words. */
static bool dump_all_rows(Engine *en, const Encoded *picture, const blip2_debug_run *r, Error *e)
{
    Ctx *c = &en->text;
    Reading reading = {.n = 0};
    reading_add(&reading, picture, r->ids, (int)r->id_count);
    ctx_begin(c, ROLE_ENCODE);
    Tensor *x = reading_run(c, &en->net->qformer, &reading);
    size_t bytes = x ? sizeof(float) * (size_t)x->rows * (size_t)x->cols : 0;
    float *v = x ? mem_alloc(bytes) : NULL;
    bool ok = v && tensor_download(c, v, x);
    if (ok) {
        int64_t shape[2] = {x->rows, x->cols};
        ok = write(r->dump_dir, "multimodal_all", v, 2, shape, e);
    } else if (x && !v) {
        error_memory(e, "features", bytes);
    } else {
        error_set(e, c->err.code, "%s", c->err.message);
    }
    mem_free(v);
    return ok;
}

static bool dump_scores(Engine *en, const EncodeJob *image, const blip2_debug_run *r, Error *e)
{
    static const int64_t TWO[] = {2}, ONE[] = {1};
    MatchJob job = {.image = *image, .ids = r->ids, .n_ids = (int)r->id_count};
    Error lacks = {0};
    if (!match_check(&en->net->config, &lacks))
        return true;
    engine_match(en, &job, 1);
    if (job.error.code)
        return error_set(e, job.error.code, "%s", job.error.message);
    return write(r->dump_dir, "itm_logits", job.itm, 1, TWO, e) &&
           write(r->dump_dir, "itc_sim", &job.itc, 1, ONE, e);
}

bool run_matching(Engine *en, const EncodeJob *image, const Encoded *picture,
                  const blip2_debug_run *r, Error *e)
{
    static const struct {
        FeatureKind kind;
        const char *name;
    } KINDS[] = {{FEATURE_IMAGE, "image_features"},
                 {FEATURE_WORDS, "text_embeds"},
                 {FEATURE_TEXT, "text_features"},
                 {FEATURE_BOTH, "multimodal_embeds"}};
    const ModelConfig *k = &en->net->config;
    bool text = r->id_count > 0;
    if (text && (k->parts & PART_TEXT) && !reading_check(&k->qformer, r->ids, (int)r->id_count, e))
        return false;
    for (size_t i = 0; r->dump_dir && i < sizeof KINDS / sizeof *KINDS; i++)
        if (!dump_feature(en, image, r, KINDS[i].kind, KINDS[i].name, e))
            return false;
    if (!r->dump_dir || !text || !picture || !(k->parts & PART_TEXT))
        return true;
    return dump_all_rows(en, picture, r, e) && dump_scores(en, image, r, e);
}
