/* task/features.c: pictures through the encoder, texts and pairs through the Q-Former, in groups. */
#include "task/features.h"

#include "task/reading.h"
#include "tensor/profile.h"

/* Jobs whose pictures are held at the same time. */
enum { WINDOW = READING_MOST };

static const struct {
    const char *name;
    unsigned model; /* ModelPart */
    bool image, text;
    EncodedPart part; /* of the picture */
} KINDS[FEATURE_KINDS] = {
    [FEATURE_VISION] = {"vision features", PART_VISION, true, false, ENCODED_VISION},
    [FEATURE_QUERIES] = {"Q-Former features", PART_VISION, true, false, ENCODED_QUERIES},
    [FEATURE_LANGUAGE] = {"image embeddings of a language model", PARTS_GENERATION, true, false,
                          ENCODED_EMBEDS},
    [FEATURE_IMAGE] = {"image features", PART_VISION | PART_IMAGE_FEATURE, true, false,
                       ENCODED_QUERIES},
    [FEATURE_WORDS] = {"text embeddings", PART_TEXT, false, true, ENCODED_PARTS},
    [FEATURE_TEXT] = {"text features", PART_TEXT | PART_TEXT_FEATURE, false, true, ENCODED_PARTS},
    [FEATURE_BOTH] = {"multimodal features", PART_VISION | PART_TEXT, true, true, ENCODED_VISION},
};

bool feature_has_image(FeatureKind kind)
{
    return KINDS[kind].image;
}

bool feature_has_text(FeatureKind kind)
{
    return KINDS[kind].text;
}

bool feature_check(const ModelConfig *k, FeatureKind kind, Error *e)
{
    static const struct {
        unsigned part;
        const char *name, *has; /* a published model with it */
    } PARTS[] = {{PART_VISION, "vision tower", "itm-vit-g"},
                 {PART_LANGUAGE, "language model", "opt-2.7b"},
                 {PART_TEXT, "text branch", "itm-vit-g"},
                 {PART_IMAGE_FEATURE, "vision projection", "itm-vit-g"},
                 {PART_TEXT_FEATURE, "text projection", "itm-vit-g"}};
    unsigned missing = KINDS[kind].model & ~k->parts;
    for (size_t i = 0; missing && i < sizeof PARTS / sizeof *PARTS; i++)
        if (missing & PARTS[i].part)
            return error_set(e, ERR_USAGE, "%s: expected a model with a %s, as %s, got one without",
                             KINDS[kind].name, PARTS[i].name, PARTS[i].has);
    return true;
}

/* --- one job ------------------------------------------------------------------------------------- */

static bool check(const Engine *en, const FeatureJob *job, Error *e)
{
    const ModelConfig *k = &en->net->config;
    return feature_check(k, job->kind, e) &&
           (!KINDS[job->kind].text || reading_check(&k->qformer, job->ids, job->n_ids, e));
}

/* The values of t become the job's. */
static bool keep(Ctx *c, FeatureJob *job, const Tensor *t)
{
    size_t bytes = t ? sizeof(float) * (size_t)t->rows * (size_t)t->cols : 0;
    float *values = t ? mem_alloc(bytes) : NULL;
    if (t && !values)
        return error_memory(&job->error, "features", bytes);
    if (!t || !tensor_download(c, values, t)) {
        mem_free(values);
        return error_set(&job->error, c->err.code, "%s", c->err.message);
    }
    job->values = values;
    job->rows = t->rows;
    job->cols = t->cols;
    return true;
}

static void look(Engine *en, FeatureJob *job)
{
    Ctx *c = &en->text;
    Tensor part = job->image.encoded->part[KINDS[job->kind].part];
    ctx_begin(c, ROLE_ENCODE);
    keep(c, job, job->kind == FEATURE_IMAGE ? heads_image(c, &en->net->heads, &part) : &part);
}

/* --- texts and pairs ------------------------------------------------------------------------------ */

/* Those of one kind in one pass. */
static void read_all(Engine *en, FeatureJob *job, int n, FeatureKind kind)
{
    Ctx *c = &en->text;
    const Blip2 *m = en->net;
    Reading r = {.n = 0};
    FeatureJob *of[WINDOW];
    for (int i = 0; i < n; i++)
        if (job[i].kind == kind && !job[i].error.code) {
            of[r.n] = &job[i];
            reading_add(&r, job[i].image.encoded, job[i].ids, job[i].n_ids);
        }
    if (!r.n)
        return;
    ctx_begin(c, ROLE_ENCODE);
    Tensor *x = reading_run(c, &m->qformer, &r);
    if (kind == FEATURE_TEXT)
        x = heads_text(c, &m->heads, x);
    for (int i = 0; i < r.n; i++) {
        int all, row = reading_row(&r, &m->qformer, i, &all);
        int wanted = kind == FEATURE_BOTH ? m->config.qformer.queries : all;
        keep(c, of[i], x ? rows(c, x, row, wanted) : NULL);
    }
}

/* --- all of them ---------------------------------------------------------------------------------- */

static void encode(Engine *en, FeatureJob *job, int n)
{
    EncodeJob image[WINDOW];
    FeatureJob *of[WINDOW];
    int k = 0;
    for (int i = 0; i < n; i++)
        if (KINDS[job[i].kind].image && !job[i].error.code) {
            image[k] = job[i].image;
            image[k].parts |= 1u << KINDS[job[i].kind].part;
            of[k++] = &job[i];
        }
    encoder_encode(&en->encoder, image, k);
    for (int i = 0; i < k; i++) {
        of[i]->image = image[i];
        if (!image[i].encoded)
            of[i]->error = image[i].error;
    }
}

static void finish(Engine *en, FeatureJob *job, int n)
{
    ProfileStage before = profile_enter(en->text.on, STAGE_READING);
    for (int i = 0; i < n; i++)
        if (!KINDS[job[i].kind].text && !job[i].error.code)
            look(en, &job[i]);
    for (int kind = 0; kind < FEATURE_KINDS; kind++)
        if (KINDS[kind].text)
            read_all(en, job, n, (FeatureKind)kind);
    profile_leave(en->text.on, before);
}

static void window(Engine *en, FeatureJob *job, int n)
{
    for (int i = 0; i < n; i++) {
        job[i].values = NULL;
        job[i].image.encoded = NULL;
        job[i].error = (Error){0};
        check(en, &job[i], &job[i].error);
    }
    encode(en, job, n);
    finish(en, job, n);
    for (int i = 0; i < n; i++)
        encoder_release(&en->encoder, job[i].image.encoded);
}

void engine_features(Engine *en, FeatureJob *job, int n)
{
    for (int i = 0; i < n; i += WINDOW)
        window(en, job + i, n - i < WINDOW ? n - i : WINDOW);
}
