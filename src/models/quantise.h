/* models/quantise.h: a float weight as small integers. Called by whoever makes Params (load.c);
 * kernels know only the result, Param.dtype and .scale. */
#ifndef MODELS_QUANTISE_H
#define MODELS_QUANTISE_H

#include <stdint.h>

/* One row of n floats as int8 with one scale, symmetric: q = round(w / s), s = max|w| / 127. A row
 * with a weight that is no number stays one that gives none (its scale is NaN); a row too small to
 * divide by is zero. Depends on this row only. */
void quantise_row(int8_t *q, float *scale, const float *w, int n);

#endif
