/* tensor/panel.h: weights in panels (LAYOUT_PANEL), the order in which products read them.
 *
 * A panel is 32 neighbouring outputs of a matrix [out, in], so that one of few loads has a number for each of them; the
 * outputs that the last one lacks are zeros. It lies by inputs: [in][32] of F32 and F16. BF16 lies in pairs of inputs,
 * [in/2][32][2], an odd last one beside a zero: a pair is the word that vdpbf16ps takes, and a shift and a mask widen
 * it. A packed file (ckpt/packed.h) has its matrices so; kernels in cpu/k_linear*.c read them. */
#ifndef TENSOR_PANEL_H
#define TENSOR_PANEL_H

#include "tensor/dtype.h"

enum { PANEL = 32 }; /* outputs */

/* Inputs of a type that lie beside each other. */
static inline size_t panel_group(DType t)
{
    return t == BF16 ? 2 : 1;
}

/* Inputs that there is room for: those of the matrix, in whole groups. */
static inline size_t panel_inputs(DType t, size_t cols)
{
    size_t g = panel_group(t);
    return (cols + g - 1) / g * g;
}

/* Panels of a matrix of so many outputs. */
static inline size_t panel_count(size_t rows)
{
    return (rows + PANEL - 1) / PANEL;
}

/* Numbers of one panel, its zeros among them. */
static inline size_t panel_numbers(DType t, size_t cols)
{
    return PANEL * panel_inputs(t, cols);
}

/* Numbers of all panels of a matrix. */
static inline size_t panels_numbers(DType t, size_t rows, size_t cols)
{
    return panel_count(rows) * panel_numbers(t, cols);
}

/* Fills one panel from 1..32 rows of the matrix, which lie one after another. */
void panel_from_rows(void *panel, const void *rows, size_t n, DType t, size_t cols);

/* The other way: n numbers of one row of a matrix in panels, from input `first` on. */
void panel_to_row(void *to, const void *panels, size_t row, size_t first, size_t n, DType t,
                  size_t cols);

#endif
