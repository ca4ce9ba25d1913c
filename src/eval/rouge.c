/* eval/rouge.c: the longest common subsequence. */
#include "base/mem.h"
#include "eval/caption_metrics.h"

static const double BETA = 1.2;

typedef struct Rouge {
    Words words;
    Sentence candidate, reference;
    uint32_t row[SENTENCE_WORDS + 1];
} Rouge;

/* One row of the usual table at a time. */
static uint32_t common_length(Rouge *r)
{
    const Sentence *a = &r->candidate, *b = &r->reference;
    for (size_t j = 0; j <= b->count; j++)
        r->row[j] = 0;
    for (size_t i = 0; i < a->count; i++) {
        uint32_t corner = 0; /* the row above, one to the left */
        for (size_t j = 0; j < b->count; j++) {
            uint32_t above = r->row[j + 1], left = r->row[j];
            r->row[j + 1] = a->ids[i] == b->ids[j] ? corner + 1 : above > left ? above : left;
            corner = above;
        }
    }
    return r->row[b->count];
}

static bool score_case(Rouge *r, const CaptionCase *c, double *out, Error *e)
{
    double precision = 0, recall = 0;
    if (!words_split(&r->words, c->candidate, SPLIT_BLANK, &r->candidate, e))
        return false;
    for (size_t i = 0; i < c->count; i++) {
        if (!words_split(&r->words, c->references[i], SPLIT_BLANK, &r->reference, e))
            return false;
        double common = common_length(r);
        double p = common / (double)r->candidate.count, q = common / (double)r->reference.count;
        precision = p > precision ? p : precision;
        recall = q > recall ? q : recall;
    }
    *out = 0;
    if (precision > 0 && recall > 0)
        *out = (1 + BETA * BETA) * precision * recall / (recall + BETA * BETA * precision);
    return true;
}

bool rouge_l_score(const CaptionCase *cases, size_t n, double *corpus, double *each, Error *e)
{
    double sum = 0, one;
    Rouge *r = mem_calloc(1, sizeof *r);
    bool ok = r ? n > 0 || error_set(e, ERR_FAILED, "ROUGE-L: expected captions, got none")
                : error_memory(e, "ROUGE-L", sizeof *r);
    for (size_t i = 0; ok && i < n; i++) {
        ok = cases[i].count > 0 ||
             error_set(e, ERR_FAILED, "ROUGE-L: expected references, got none");
        if (!ok || !(ok = score_case(r, &cases[i], &one, e)))
            break;
        sum += one;
        if (each)
            each[i] = one;
    }
    if (ok)
        *corpus = sum / (double)n;
    if (r) {
        words_free(&r->words);
        sentence_free(&r->candidate);
        sentence_free(&r->reference);
    }
    mem_free(r);
    return ok;
}
