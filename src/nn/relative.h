/* nn/relative.h: positions as a bias of the scores by relative distance (T5). */
#ifndef NN_RELATIVE_H
#define NN_RELATIVE_H

#include "ops/ops.h"

/* Row far + r is what a key at distance r = key - query adds to the scores of each head: one of the rows of `table`
 * [buckets, heads]. r runs from -far to far, or to 0 where nothing looks ahead (`both` false). Distances from `distance` on
 * have one bucket. Formula: HF T5Attention._relative_position_bucket. NULL: c->err. */
Tensor *relative_bias(Ctx *c, const Param *table, int distance, int far, bool both);

/* The largest of n >= 1 positions: the furthest that the row there looks back. */
int relative_most(const int *position, int n);

#endif
