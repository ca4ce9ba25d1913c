/* eval/bleu.c: clipped n-gram precision. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "eval/caption_metrics.h"

typedef struct Sums {
    int64_t correct[NGRAMS], guess[NGRAMS], length, reference_length;
} Sums;

typedef struct Bleu {
    Words words;
    Sentence candidate, *references;
    size_t reference_cap;
    Grams grams, theirs;
} Bleu;

static void bleu_free(Bleu *b)
{
    words_free(&b->words);
    sentence_free(&b->candidate);
    for (size_t i = 0; i < b->reference_cap; i++)
        sentence_free(&b->references[i]);
    mem_free(b->references);
    grams_free(&b->grams);
    grams_free(&b->theirs);
}

static bool more_references(Bleu *b, size_t count, Error *e)
{
    size_t had = b->reference_cap;
    if (!MEM_GROW(b->references, &b->reference_cap, count))
        return error_memory(e, "references", count * sizeof *b->references);
    for (size_t i = had; i < b->reference_cap; i++)
        b->references[i] = (Sentence){0};
    return true;
}

static bool split_case(Bleu *b, const CaptionCase *c, Error *e)
{
    if (!more_references(b, c->count, e) ||
        !words_split(&b->words, c->candidate, SPLIT_SPACE, &b->candidate, e))
        return false;
    for (size_t i = 0; i < c->count; i++)
        if (!words_split(&b->words, c->references[i], SPLIT_SPACE, &b->references[i], e))
            return false;
    return true;
}

/* The closest one, of two the shorter. */
static int64_t closest_length(const Bleu *b, size_t count)
{
    int64_t n = (int64_t)b->candidate.count, best = (int64_t)b->references[0].count;
    for (size_t i = 1; i < count; i++) {
        int64_t r = (int64_t)b->references[i].count, far = llabs(r - n), near = llabs(best - n);
        if (far < near || (far == near && r < best))
            best = r;
    }
    return best;
}

/* Candidate grams of n words, each counted at most as often as in the reference that has it most often. */
static bool count_correct(Bleu *b, size_t references, size_t n, int64_t *correct, Error *e)
{
    *correct = 0;
    if (!grams_count(&b->candidate, n, &b->grams, e))
        return false;
    uint32_t *most = mem_calloc(b->grams.count + 1, sizeof *most);
    bool ok = most || error_memory(e, "n-grams", b->grams.count * sizeof *most);
    for (size_t i = 0; ok && i < references; i++) {
        ok = grams_count(&b->references[i], n, &b->theirs, e);
        for (size_t k = 0; ok && k < b->grams.count; k++) {
            uint32_t count = grams_of(&b->theirs, &b->grams.list[k].gram);
            most[k] = count > most[k] ? count : most[k];
        }
    }
    for (size_t k = 0; ok && k < b->grams.count; k++)
        *correct += b->grams.list[k].count < most[k] ? b->grams.list[k].count : most[k];
    mem_free(most);
    return ok;
}

static bool count_case(Bleu *b, const CaptionCase *c, Sums *s, Error *e)
{
    if (!split_case(b, c, e))
        return false;
    *s = (Sums){.length = (int64_t)b->candidate.count,
                .reference_length = closest_length(b, c->count)};
    for (size_t n = 1; n <= NGRAMS; n++) {
        s->guess[n - 1] = s->length >= (int64_t)n ? s->length - (int64_t)n + 1 : 0;
        if (!count_correct(b, c->count, n, &s->correct[n - 1], e))
            return false;
    }
    return true;
}

/* bleu_scorer.py: the small numbers stand in for smoothing. */
static void finish(const Sums *s, double out[NGRAMS])
{
    double product = 1, ratio = ((double)s->length + 1e-15) / ((double)s->reference_length + 1e-9);
    for (int n = 0; n < NGRAMS; n++) {
        product *= ((double)s->correct[n] + 1e-15) / ((double)s->guess[n] + 1e-9);
        out[n] = pow(product, 1.0 / (n + 1));
        if (ratio < 1)
            out[n] *= exp(1 - 1 / ratio);
    }
}

static void add(Sums *to, const Sums *s)
{
    for (int n = 0; n < NGRAMS; n++) {
        to->correct[n] += s->correct[n];
        to->guess[n] += s->guess[n];
    }
    to->length += s->length;
    to->reference_length += s->reference_length;
}

bool bleu_score(const CaptionCase *cases, size_t n, double corpus[NGRAMS], double (*each)[NGRAMS],
                Error *e)
{
    Bleu b = {0};
    Sums all = {0}, one;
    bool ok = n > 0 || error_set(e, ERR_FAILED, "BLEU: expected captions, got none");
    for (size_t i = 0; ok && i < n; i++) {
        ok = cases[i].count > 0 || error_set(e, ERR_FAILED, "BLEU: expected references, got none");
        if (!ok || !(ok = count_case(&b, &cases[i], &one, e)))
            break;
        add(&all, &one);
        if (each)
            finish(&one, each[i]);
    }
    if (ok)
        finish(&all, corpus);
    bleu_free(&b);
    return ok;
}
