/* task/match.c: features of picture and text beside each other (ITC), and both through the Q-Former together
 * (ITM). */
#include "task/match.h"

#include <math.h>

#include "base/mem.h"
#include "task/reading.h"
#include "tensor/profile.h"

bool match_check(const ModelConfig *k, Error *e)
{
    if (!feature_check(k, FEATURE_IMAGE, e) || !feature_check(k, FEATURE_TEXT, e))
        return false;
    return (k->parts & PART_MATCH) ||
           error_set(
               e, ERR_USAGE,
               "matching: expected a model with a matching head, as itm-vit-g, got one without");
}

double match_probability(const float itm[2])
{
    return 1 / (1 + exp((double)itm[0] - (double)itm[1]));
}

enum { WINDOW = READING_MOST };

/* The jobs of a window that are still good, and what is known of them. */
typedef struct Pairs {
    MatchJob *job[WINDOW];
    int n;
    Reading texts, both;
} Pairs;

/* Why a pass ended is why none of its pairs has a score. */
static bool fail_all(Pairs *p, const Error *why)
{
    for (int i = 0; i < p->n; i++)
        p->job[i]->error = *why;
    return false;
}

/* The values of t, mem_alloc'd; NULL: all have the error. */
static float *values_of(Ctx *c, Pairs *p, const Tensor *t)
{
    Error e = {0};
    size_t bytes = t ? sizeof(float) * (size_t)t->rows * (size_t)t->cols : 0;
    float *v = t ? mem_alloc(bytes) : NULL;
    if (v && tensor_download(c, v, t))
        return v;
    mem_free(v);
    if (t && !v)
        error_memory(&e, "features", bytes);
    fail_all(p, c->err.code ? &c->err : &e);
    return NULL;
}

/* LAVIS Blip2Qformer: the largest over the queries of the product with the text's first row. */
static float similarity(const float *image, int queries, const float *text, int width)
{
    double best = -INFINITY;
    for (int q = 0; q < queries; q++) {
        double dot = 0;
        for (int i = 0; i < width; i++)
            dot += (double)image[q * width + i] * (double)text[i];
        best = dot > best ? dot : best;
    }
    return (float)best;
}

/* The features of one picture against the texts of its pairs. */
static bool contrast_image(Engine *en, Pairs *p, const Encoded *image, const float *text)
{
    Ctx *c = &en->text;
    Tensor part = image->part[ENCODED_QUERIES];
    int width = en->net->config.feature;
    ctx_begin(c, ROLE_ENCODE);
    float *features = values_of(c, p, heads_image(c, &en->net->heads, &part));
    for (int i = 0; features && i < p->n; i++)
        if (p->job[i]->image.encoded == image)
            p->job[i]->itc = similarity(features, part.rows, text + i * width, width);
    mem_free(features);
    return features != NULL;
}

static bool contrast(Engine *en, Pairs *p)
{
    Ctx *c = &en->text;
    const Qformer *q = &en->net->qformer;
    ctx_begin(c, ROLE_ENCODE);
    Tensor *first = reading_heads(c, q, &p->texts, reading_run(c, q, &p->texts), 1);
    float *text = values_of(c, p, heads_text(c, &en->net->heads, first));
    bool ok = text != NULL;
    for (int i = 0; ok && i < p->both.images; i++)
        ok = contrast_image(en, p, p->both.image[i], text);
    mem_free(text);
    return ok;
}

static bool match(Engine *en, Pairs *p)
{
    Ctx *c = &en->text;
    const Qformer *q = &en->net->qformer;
    int queries = q->config.queries;
    ctx_begin(c, ROLE_ENCODE);
    Tensor *seen = reading_heads(c, q, &p->both, reading_run(c, q, &p->both), queries);
    float *logits = values_of(c, p, heads_match(c, &en->net->heads, seen, queries));
    for (int i = 0; logits && i < p->n; i++)
        for (int k = 0; k < 2; k++)
            p->job[i]->itm[k] = logits[2 * i + k];
    mem_free(logits);
    return logits != NULL;
}

/* --- all of them ---------------------------------------------------------------------------------- */

static void check_all(const Engine *en, MatchJob *job, int n)
{
    const ModelConfig *k = &en->net->config;
    for (int i = 0; i < n; i++) {
        job[i].error = (Error){0};
        job[i].image.encoded = NULL;
        if (match_check(k, &job[i].error))
            reading_check(&k->qformer, job[i].ids, job[i].n_ids, &job[i].error);
    }
}

static void encode_all(Engine *en, MatchJob *job, int n, Pairs *p)
{
    EncodeJob image[WINDOW];
    MatchJob *of[WINDOW];
    int k = 0;
    for (int i = 0; i < n; i++)
        if (!job[i].error.code) {
            image[k] = job[i].image;
            image[k].parts = 1u << ENCODED_VISION | 1u << ENCODED_QUERIES;
            of[k++] = &job[i];
        }
    encoder_encode(&en->encoder, image, k);
    for (int i = 0; i < k; i++) {
        of[i]->image = image[i];
        of[i]->error = image[i].error;
        if (!image[i].encoded)
            continue;
        p->job[p->n++] = of[i];
        reading_add(&p->texts, NULL, of[i]->ids, of[i]->n_ids);
        reading_add(&p->both, image[i].encoded, of[i]->ids, of[i]->n_ids);
    }
}

static void window(Engine *en, MatchJob *job, int n)
{
    Pairs p = {.n = 0};
    check_all(en, job, n);
    encode_all(en, job, n, &p);
    ProfileStage before = profile_enter(en->text.on, STAGE_READING);
    if (p.n && contrast(en, &p))
        match(en, &p);
    profile_leave(en->text.on, before);
    for (int i = 0; i < p.n; i++)
        encoder_release(&en->encoder, p.job[i]->image.encoded);
}

void engine_match(Engine *en, MatchJob *job, int n)
{
    for (int i = 0; i < n; i += WINDOW)
        window(en, job + i, n - i < WINDOW ? n - i : WINDOW);
}
