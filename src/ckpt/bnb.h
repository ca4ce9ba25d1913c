/* ckpt/bnb.h: weights as the Python library bitsandbytes stores them, which transformers saves with load_in_8bit and
 * load_in_4bit. Beside a weight X.weight lie
 *
 *     8 bits   X.SCB F32 [out], the largest size in each row, and X.weight_format, 0 (U8): the weight is I8 [out,in],
 *              in rows, and its integers stand for SCB / 127 each
 *     4 bits   X.weight.absmax, .quant_map F32 [16], .quant_state.bitsandbytes__nf4 (or fp4), JSON as U8: the weight
 *              is U8 with two numbers in a byte, the first in the high half, each an index into quant_map; blocks of
 *              so many numbers (`blocksize`) that follow one another, across the ends of rows, share a factor
 *              `absmax`. That is F32; or U8, an index into .nested_quant_map F32 [256], times a factor of
 *              .nested_absmax F32 for each `nested_blocksize` of them, plus `nested_offset`
 *
 * Source: bitsandbytes/functional.py (QuantState), nn/modules.py (Linear8bitLt), read, not copied. */
#ifndef CKPT_BNB_H
#define CKPT_BNB_H

#include "ckpt/ckpt.h"

/* 4 bits. Points into the checkpoint. */
typedef struct Bnb4 {
    const unsigned char *code;    /* NULL: it is something else */
    const void *map, *factor;     /* quant_map; absmax */
    const void *nested, *factors; /* nested_quant_map, NULL: there is none; nested_absmax */
    size_t block, nested_block;   /* powers of two */
    float offset;
    DType dtype; /* what it stood for: F32, F16 or BF16 */
} Bnb4;

/* 8 bits: the scales of a weight t of that many rows, marked as used. NULL and no error: there is none of
 * bitsandbytes. Errors: ERR_BAD_MODEL, a form that is none. */
const CkptTensor *bnb8_take(Checkpoint *c, const CkptTensor *t, int64_t rows, Error *e);

/* 4 bits: b->code is NULL, and there is no error, when t has no such neighbours; they are marked as used.
 * shape: of the weight. Errors: ERR_BAD_MODEL (a neighbour is missing, of another size, not understood). */
bool bnb4_take(Bnb4 *b, Checkpoint *c, const CkptTensor *t, int rank, const int64_t *shape,
               Error *e);

/* n numbers from number `first` of the weight on. */
void bnb4_floats(const Bnb4 *b, float *out, size_t first, size_t n);

#endif
