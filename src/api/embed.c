/* api/embed.c: pictures, texts and pairs to the engine, and their features back. */
#include "api/api.h"
#include "task/features.h"
#include "task/reading.h"

_Static_assert((int)FEATURE_VISION == BLIP2_VISION && (int)FEATURE_QUERIES == BLIP2_IMAGE_EMBEDS &&
                   (int)FEATURE_LANGUAGE == BLIP2_LANGUAGE_EMBEDS &&
                   (int)FEATURE_IMAGE == BLIP2_IMAGE_EMBEDS_PROJ &&
                   (int)FEATURE_WORDS == BLIP2_TEXT_EMBEDS &&
                   (int)FEATURE_TEXT == BLIP2_TEXT_EMBEDS_PROJ &&
                   (int)FEATURE_BOTH == BLIP2_MULTIMODAL_EMBEDS,
               "the enums of both sides are one");

typedef struct Outcome {
    blip2_error error;
    blip2_feature feature; /* values are the outcome's own */
    char notice[256];
} Outcome;

struct blip2_features {
    Outcome *item;
    size_t count;
};

/* Items of a call that make sense. */
typedef struct Call {
    FeatureJob *job;
    Ids *ids; /* [n] of each job's text */
    blip2_pool *pool;
    Outcome **of;
    int n;
} Call;

static bool check_item(const blip2_session *s, const blip2_embed_item *item, Error *e)
{
    return api_choice("item: kind", (int)item->kind, FEATURE_KINDS - 1, e) &&
           api_choice("item: pool", (int)item->pool, BLIP2_POOL_MAX, e) &&
           api_choice("item: library", (int)item->library, BLIP2_HF, e) &&
           feature_check(&s->engine.net->config, (FeatureKind)item->kind, e);
}

static bool take_item(const blip2_session *s, const blip2_embed_item *item, FeatureJob *job,
                      Ids *ids, char *notice, Error *e)
{
    if (!check_item(s, item, e))
        return false;
    *job = (FeatureJob){.kind = (FeatureKind)item->kind};
    if (feature_has_text(job->kind) &&
        !reading_ids(&s->engine, item->text, (Library)item->library, ids, notice, e))
        return false;
    job->ids = ids->id;
    job->n_ids = (int)ids->n;
    if (!feature_has_image(job->kind))
        return true;
    if (!item->image)
        return error_set(e, ERR_FAILED, "picture: expected one, got NULL");
    api_note_image(notice, item->image);
    job->image = api_image_job(item->image, item->library);
    return true;
}

static void add_item(Call *c, const blip2_session *s, const blip2_embed_item *items, size_t i,
                     Outcome *o)
{
    Error e = {0};
    blip2_embed_item item = {.size = sizeof item};
    if (api_element(&item, sizeof item, offsetof(blip2_embed_item, reserved), items, i, "item",
                    &e) &&
        take_item(s, &item, &c->job[c->n], &c->ids[c->n], o->notice, &e)) {
        c->pool[c->n] = item.pool;
        c->of[c->n++] = o;
    } else {
        ids_free(&c->ids[c->n]); /* the next item's place */
        api_error(&o->error, &e);
    }
}

/* All rows become the first one. */
static void pool_rows(float *v, int rows, int cols, blip2_pool how)
{
    for (int k = 0; k < cols; k++) {
        double sum = 0;
        float most = v[k];
        for (int r = 0; r < rows; r++) {
            float x = v[(size_t)r * (size_t)cols + (size_t)k];
            sum += (double)x;
            most = x > most ? x : most;
        }
        if (how != BLIP2_POOL_FIRST)
            v[k] = how == BLIP2_POOL_MAX ? most : (float)(sum / rows);
    }
}

static void keep(const FeatureJob *job, blip2_pool pool, Outcome *o)
{
    api_error(&o->error, &job->error);
    if (!job->values)
        return;
    if (pool != BLIP2_POOL_NONE)
        pool_rows(job->values, job->rows, job->cols, pool);
    o->feature = (blip2_feature){.values = job->values,
                                 .rows = pool == BLIP2_POOL_NONE ? (size_t)job->rows : 1,
                                 .columns = (size_t)job->cols};
}

static bool embed_all(blip2_session *s, const blip2_embed_item *items, blip2_features *r, Error *e)
{
    size_t n = r->count ? r->count : 1;
    Call c = {.job = mem_calloc(n, sizeof *c.job),
              .ids = mem_calloc(n, sizeof *c.ids),
              .pool = mem_calloc(n, sizeof *c.pool),
              .of = mem_calloc(n, sizeof(Outcome *))};
    bool ok = (c.job && c.ids && c.pool && c.of) || error_memory(e, "items", n * sizeof *c.job);
    for (size_t i = 0; ok && i < r->count; i++)
        add_item(&c, s, items, i, &r->item[i]);
    if (ok)
        engine_features(&s->engine, c.job, c.n);
    for (int i = 0; ok && i < c.n; i++)
        keep(&c.job[i], c.pool[i], c.of[i]);
    for (size_t i = 0; c.ids && i < n; i++)
        ids_free(&c.ids[i]);
    mem_free(c.job);
    mem_free(c.ids);
    mem_free(c.pool);
    mem_free(c.of);
    return ok;
}

static blip2_features *features_new(size_t count, Error *e)
{
    blip2_features *r = mem_calloc(1, sizeof *r);
    Outcome *item = mem_calloc(count ? count : 1, sizeof *item);
    if (r && item) {
        *r = (blip2_features){.item = item, .count = count};
        return r;
    }
    mem_free(r);
    mem_free(item);
    error_memory(e, "features", count * sizeof *item);
    return NULL;
}

blip2_features *blip2_embed(blip2_session *session, const blip2_embed_item *items, size_t count,
                            blip2_error *err)
{
    Error e = {0};
    bool ok = api_check_call(session, items, count, "item", &e);
    blip2_features *r = ok ? features_new(count, &e) : NULL;
    if (r && embed_all(session, items, r, &e))
        return r;
    blip2_features_free(r);
    api_error(err, &e);
    return NULL;
}

bool blip2_embed_check(blip2_session *session, blip2_feature_kind kind, blip2_error *err)
{
    Error e = {0};
    bool ok = session || api_missing("session", &e);
    ok = ok && api_choice("kind", (int)kind, FEATURE_KINDS - 1, &e) &&
         feature_check(&session->engine.net->config, (FeatureKind)kind, &e);
    return ok || api_error(err, &e);
}

bool blip2_feature_has_image(blip2_feature_kind kind)
{
    return (unsigned)kind < FEATURE_KINDS && feature_has_image((FeatureKind)kind);
}

bool blip2_feature_has_text(blip2_feature_kind kind)
{
    return (unsigned)kind < FEATURE_KINDS && feature_has_text((FeatureKind)kind);
}

void blip2_features_free(blip2_features *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        mem_free((void *)(uintptr_t)r->item[i].feature.values);
    mem_free(r->item);
    mem_free(r);
}

/* An empty item where there is none. */
static const Outcome *item_at(const blip2_features *r, size_t i)
{
    static const Outcome NONE;
    return r && i < r->count ? &r->item[i] : &NONE;
}

const blip2_feature *blip2_features_at(const blip2_features *r, size_t i)
{
    const Outcome *o = item_at(r, i);
    return o->feature.values ? &o->feature : NULL;
}

const blip2_error *blip2_features_error(const blip2_features *r, size_t i)
{
    return &item_at(r, i)->error;
}

const char *blip2_features_notice(const blip2_features *r, size_t i)
{
    const Outcome *o = item_at(r, i);
    return o->notice[0] ? o->notice : NULL;
}
