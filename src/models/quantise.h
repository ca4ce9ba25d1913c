/* models/quantise.h: a float weight as small integers. Called by whoever makes Params or writes them (load.c,
 * convert.c); kernels know only the result, Param.dtype and .scale. */
#ifndef MODELS_QUANTISE_H
#define MODELS_QUANTISE_H

#include <stdint.h>

#include "cpu/pool.h"
#include "models/recipe.h"

/* One row of n floats as int8 with one scale, symmetric: q = round(w / s), s = max|w| / 127. A row
 * with a weight that is no number stays one that gives none (its scale is NaN); a row too small to
 * divide by is zero. Depends on this row only. */
void quantise_row(int8_t *q, float *scale, const float *w, int n);

/* Threads of the host, and room for 32 rows of floats for each of them: what lies in the file is widened there. Starts
 * as {0}, ends with quantiser_free. */
typedef struct Quantiser {
    Pool *pool;
    int threads;
    float *room;
    size_t cap; /* floats of room */
} Quantiser;

void quantiser_free(Quantiser *q);

/* Rows of a weight, n of them from row `first` on, as `to`: I8 [n, width] and their scales [n], or I4 in panels, without
 * scales; then `first` is a multiple of 32, and the rows end with a panel or with the weight. Or the weight's own type, of
 * what takes long to read (bitsandbytes' 4 bits). The result depends on the weight only. false: out of memory. */
bool quantise(Quantiser *q, const Recipe *r, DType to, size_t first, size_t n, void *out,
              float *scale);

/* Of such a result the first row with a scale that is no number; n: there is none. */
size_t quantised_odd(DType t, const void *values, const float *scale, size_t n, size_t width);

#endif
