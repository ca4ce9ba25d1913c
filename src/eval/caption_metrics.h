/* eval/caption_metrics.h: BLEU, ROUGE-L and CIDEr over tokens, as pycocoevalcap 1.2 computes them.
 *
 * Pure functions. A Captions case is one picture: a candidate and its references, UTF-8 strings of tokens with blanks
 * between them, of at most SENTENCE_WORDS words (words.h); they belong to the caller. `each`, one result a case, may be
 * NULL. Results are fractions (CIDEr up to 10), not percent. Without cases, or with a case that has no references:
 * ERR_FAILED. Time is linear in the words, but for ROUGE-L, which takes the product of the lengths of candidate and
 * reference; memory is that of the words, and for CIDEr of the references' n-grams. */
#ifndef EVAL_CAPTION_METRICS_H
#define EVAL_CAPTION_METRICS_H

#include "base/error.h"
#include "eval/words.h"

typedef struct CaptionCase {
    const char *candidate;
    const char *const *references;
    size_t count;
} CaptionCase;

/* BLEU-1..4 with the reference length that is closest to the candidate's (Papineni et al. 2002, not smoothed). */
bool bleu_score(const CaptionCase *cases, size_t n, double corpus[NGRAMS], double (*each)[NGRAMS],
                Error *e);

/* ROUGE-L with beta 1.2 (Lin 2004): the largest precision and the largest recall over the references. The corpus'
 * is the mean. */
bool rouge_l_score(const CaptionCase *cases, size_t n, double *corpus, double *each, Error *e);

/* CIDEr-D without stemming (Vedantam et al. 2015), which the package calls CIDEr; document frequencies are of these
 * cases' references. The corpus' is the mean. */
bool cider_score(const CaptionCase *cases, size_t n, double *corpus, double *each, Error *e);

#endif
