/* tensor/panel.h: weights in panels (LAYOUT_PANEL), the order in which products read them.
 *
 * A panel is 32 neighbouring outputs of a matrix [out, in], so that one of few loads has a number for each of them; the
 * outputs that the last one lacks are zeros. It lies by inputs: [in][32] of F32 and F16. BF16 lies in pairs of inputs,
 * [in/2][32][2], an odd last one beside a zero: a pair is the word that vdpbf16ps takes, and a shift and a mask widen
 * it. A packed file (ckpt/packed.h) has its matrices so; kernels in cpu/k_linear*.c read them.
 *
 * I4 lies in blocks of 32 inputs, the last one filled up with zeros. A block is 576 bytes: a scale as f16 for each of the
 * 32 outputs, then [4][32][4] bytes. Byte [g][out][j] has the weights of two inputs of the block: 8g + j in the low
 * nibble, 8g + 4 + j in the high one. A nibble is q + 8, q in -8..7; the weight is q times the scale of its output, which
 * may be negative, or NaN for a block that had a weight that is no number. */
#ifndef TENSOR_PANEL_H
#define TENSOR_PANEL_H

#include "tensor/dtype.h"

enum {
    PANEL = 32,                                  /* outputs */
    I4_BLOCK = 32,                               /* inputs that share a scale */
    I4_SCALES = 2 * PANEL,                       /* bytes of a block's scales */
    I4_BYTES = I4_SCALES + PANEL * I4_BLOCK / 2, /* bytes of a block */
};

/* The floating types first. Inputs of a type that lie beside each other. */
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

/* Blocks of a panel of I4. */
static inline size_t i4_blocks(size_t cols)
{
    return (cols + I4_BLOCK - 1) / I4_BLOCK;
}

/* Bytes of one panel, and of all of a matrix; of I4 with its scales. */
static inline size_t panel_bytes(DType t, size_t cols)
{
    return t == I4 ? I4_BYTES * i4_blocks(cols) : dtype_bytes(t, panel_numbers(t, cols));
}

static inline size_t panels_bytes(DType t, size_t rows, size_t cols)
{
    return panel_count(rows) * panel_bytes(t, cols);
}

/* Fills one panel from 1..32 rows of the matrix, which lie one after another. */
void panel_from_rows(void *panel, const void *rows, size_t n, DType t, size_t cols);

/* The other way: n numbers of one row of a matrix in panels, from input `first` on. */
void panel_to_row(void *to, const void *panels, size_t row, size_t first, size_t n, DType t,
                  size_t cols);

/* Fills one panel of I4 from 1..32 rows of floats, which lie one after another. Of a few candidates each block's scale
 * is the one whose weights have the least squared error. A block depends on its 32 weights only; one with a weight that
 * is no number, or beyond 500000, which no scale in f16 can tell, gives NaN; one too small to divide by is zero. */
void panel_quantise_i4(void *panel, const float *rows, size_t n, size_t cols);

/* The other way: n numbers of one row of a matrix in panels of I4, from input `first` on. */
void panel_i4_to_row(float *to, const void *panels, size_t row, size_t first, size_t n,
                     size_t cols);

#endif
