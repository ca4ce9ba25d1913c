/* eval/score.h: any system's result files against a ground truth, without a model.
 *
 * Formats are those of docs/EVALUATION.md: COCO's of captions, VQA's, LAVIS' of GQA, and matrices of scores of retrieval. All
 * errors are ERR_FAILED with the file in front, or ERR_MEMORY. Memory is that of the texts and ids, of the scores
 * in retrieval; files are read item by item. */
#ifndef EVAL_SCORE_H
#define EVAL_SCORE_H

#include <stddef.h>

#include "base/error.h"
#include "base/note.h"

typedef struct Metric {
    char group[64]; /* a subset or a kind of question; "": all */
    char name[64];  /* as LAVIS calls it */
    double value;   /* in the unit in which LAVIS reports it */
    bool computed;  /* false: what it needs was not given */
} Metric;

/* Starts as {0}, freed by metrics_free. */
typedef struct Metrics {
    Metric *list;
    size_t count, cap;
    Notes notes;
} Metrics;

bool metrics_add(Metrics *m, const char *group, const char *name, double value, Error *e);
bool metrics_add_missing(Metrics *m, const char *group, const char *name, Error *e);
void metrics_free(Metrics *m);

/* Strings belong to the caller; NULL: not given. */
typedef struct ScoreFiles {
    const char *const *results;
    size_t
        count; /* at least 1; of several, the shards of one result, the first entry of an id counts */
    const char *truth; /* GQA has its own in the result */
    bool
        only_predicted; /* captions: pictures without a prediction are left out instead of being an error */
    const char *ptb_jar, *meteor_jar, *spice_jar; /* captions */
    bool lemmatize;                               /* answers: by eval/lemma.h, approximately */
    const char *lemmatizer; /* answers: a shell command, a line in, a line out */
} ScoreFiles;

/* Bleu_1..4, METEOR, ROUGE_L, CIDEr, SPICE, agg_metrics (CIDEr + Bleu_4); again for each "domain" that pictures of the ground truth
 * have, document frequencies those of the subset. */
bool score_captions(const ScoreFiles *f, Metrics *out, Error *e);
/* agg_metrics and one a type of answer, in percent, rounded to two digits; in the groups "question_type ..." those. */
bool score_vqa(const ScoreFiles *f, Metrics *out, Error *e);
/* agg_metrics, acc: percent, not rounded. */
bool score_gqa(const ScoreFiles *f, Metrics *out, Error *e);
/* txt_r1, txt_r5, txt_r10, txt_r_mean, img_..., r_mean, agg_metrics: percent. */
bool score_retrieval(const ScoreFiles *f, Metrics *out, Error *e);

#endif
