/* eval/cider.c: consensus of n-grams weighted by how few pictures have them. */
#include <math.h>

#include "base/mem.h"
#include "eval/caption_metrics.h"

static const double SIGMA = 6;

typedef struct Vector {
    Grams grams;
    double *weights; /* of grams.list */
    size_t cap;
    double norm;
} Vector;

typedef struct Cider {
    Words words;
    Sentence sentence;
    GramTable seen; /* the number of cases with a gram in a reference */
    Vector candidate[NGRAMS], reference[NGRAMS];
    double log_cases;
} Cider;

static void vector_free(Vector *v)
{
    grams_free(&v->grams);
    mem_free(v->weights);
}

static void cider_free(Cider *c)
{
    words_free(&c->words);
    sentence_free(&c->sentence);
    gram_table_free(&c->seen);
    for (int n = 0; n < NGRAMS; n++) {
        vector_free(&c->candidate[n]);
        vector_free(&c->reference[n]);
    }
}

/* Each gram of the references once a case, however many of them have it. */
static bool count_documents(Cider *c, const CaptionCase *one, Error *e)
{
    GramTable here = {0};
    Grams *grams = &c->reference[0].grams;
    bool ok = true;
    for (size_t i = 0; ok && i < one->count; i++) {
        ok = words_split(&c->words, one->references[i], SPLIT_SPACE, &c->sentence, e);
        for (size_t n = 1; ok && n <= NGRAMS; n++) {
            ok = grams_count(&c->sentence, n, grams, e);
            for (size_t k = 0; ok && k < grams->count; k++) {
                const Gram *gram = &grams->list[k].gram;
                bool known = gram_table_get(&here, gram) > 0;
                ok = known || (gram_table_add(&here, gram, e) && gram_table_add(&c->seen, gram, e));
            }
        }
    }
    gram_table_free(&here);
    return ok;
}

/* Weights of the n-grams of c->sentence: count times log(cases / cases with it). */
static bool weigh(Cider *c, size_t n, Vector *v, Error *e)
{
    v->norm = 0;
    if (!grams_count(&c->sentence, n, &v->grams, e))
        return false;
    if (!MEM_GROW(v->weights, &v->cap, v->grams.count))
        return error_memory(e, "CIDEr", v->grams.count * sizeof *v->weights);
    for (size_t i = 0; i < v->grams.count; i++) {
        uint32_t df = gram_table_get(&c->seen, &v->grams.list[i].gram);
        v->weights[i] = v->grams.list[i].count * (c->log_cases - log(df > 1 ? df : 1));
        v->norm += v->weights[i] * v->weights[i];
    }
    v->norm = sqrt(v->norm);
    return true;
}

/* The vectors of a sentence, and in *length its bigrams, by which the package measures length. */
static bool vectors(Cider *c, const char *text, Vector *v, double *length, Error *e)
{
    if (!words_split(&c->words, text, SPLIT_SPACE, &c->sentence, e))
        return false;
    *length = c->sentence.count > 1 ? (double)c->sentence.count - 1 : 0;
    for (size_t n = 1; n <= NGRAMS; n++)
        if (!weigh(c, n, &v[n - 1], e))
            return false;
    return true;
}

/* Cosine, the candidate's weights clipped to the reference's; both lists ascend. */
static double similarity(const Vector *a, const Vector *b)
{
    double sum = 0;
    if (a->norm == 0 || b->norm == 0)
        return 0;
    for (size_t i = 0; i < a->grams.count; i++) {
        uint32_t count = grams_of(&b->grams, &a->grams.list[i].gram);
        if (!count)
            continue;
        double other =
            a->weights[i] / a->grams.list[i].count * count; /* the same gram, their count */
        sum += (a->weights[i] < other ? a->weights[i] : other) * other;
    }
    return sum / (a->norm * b->norm);
}

static bool score_case(Cider *c, const CaptionCase *one, double *out, Error *e)
{
    double sum = 0, length, theirs;
    if (!vectors(c, one->candidate, c->candidate, &length, e))
        return false;
    for (size_t i = 0; i < one->count; i++) {
        double all = 0;
        if (!vectors(c, one->references[i], c->reference, &theirs, e))
            return false;
        for (int n = 0; n < NGRAMS; n++)
            all += similarity(&c->candidate[n], &c->reference[n]);
        sum += all * exp(-(length - theirs) * (length - theirs) / (2 * SIGMA * SIGMA));
    }
    *out = 10 * sum / NGRAMS / (double)one->count;
    return true;
}

bool cider_score(const CaptionCase *cases, size_t n, double *corpus, double *each, Error *e)
{
    Cider c = {.log_cases = log((double)n)};
    double sum = 0, one;
    bool ok = n > 0 || error_set(e, ERR_FAILED, "CIDEr: expected captions, got none");
    for (size_t i = 0; ok && i < n; i++) {
        ok = cases[i].count > 0 || error_set(e, ERR_FAILED, "CIDEr: expected references, got none");
        ok = ok && count_documents(&c, &cases[i], e);
    }
    for (size_t i = 0; ok && i < n; i++) {
        ok = score_case(&c, &cases[i], &one, e);
        sum += ok ? one : 0;
        if (ok && each)
            each[i] = one;
    }
    if (ok)
        *corpus = sum / (double)n;
    cider_free(&c);
    return ok;
}
