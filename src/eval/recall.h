/* eval/recall.h: recall at k of retrieval in both directions (LAVIS tasks/retrieval.py). Pure. */
#ifndef EVAL_RECALL_H
#define EVAL_RECALL_H

#include <stddef.h>

/* The rank, from 0, of the best placed of `count` entries good[], all below n, among scores[0..n) in descending
 * order. Of equal scores the later entry stands first, as numpy's reversed argsort leaves short rows; scores are
 * numbers (no NaN). */
size_t recall_rank(const double *scores, size_t n, const size_t *good, size_t count);

typedef struct Recall {
    double r1, r5, r10, mean; /* percent */
} Recall;

/* Of n >= 1 ranks. */
Recall recall_of(const size_t *ranks, size_t n);

#endif
