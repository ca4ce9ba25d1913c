/* tensor/tensor.h: activations (Tensor) and weights (Param).
 *
 * A Tensor is a matrix of rows x cols; what the literature writes as [batch, tokens, width] is
 * batch*tokens rows of width columns, and ops that care are told how many groups there are. It may
 * be a view: `ld` is the distance of two rows in elements. Its memory lies in a Ctx's arena, what
 * is in it is the device's (tensor/host.h).
 *
 * A Param is a weight: it lives as long as the model, has a storage type and a layout of its own,
 * and is used where it lies (mapped file, or owned memory). `linear` hides the pair
 * (type of x, type of w). */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include "tensor/dtype.h"

enum {
    T_GRAD = 1,   /* somebody wants the gradient of this tensor */
    T_STREAM = 2, /* block() may overwrite it with the next layer's output */
};

typedef struct Tensor Tensor;
struct Tensor {
    DType dtype; /* type of the activations; F32 on the CPU */
    unsigned flags;
    int rows, cols, ld;
    int depth;   /* block scopes that were open when it was made */
    void *data;  /* device memory: only kernels and copies touch it */
    float *grad; /* same shape and ld; NULL until the backward needs it (ops/tape.h) */
    Tensor *of;  /* a view: the tensor that it is a window on; else NULL */
};

typedef enum Layout {
    LAYOUT_ROWS, /* row-major [out,in], as in a Hugging Face file */
    LAYOUT_PANEL, /* panels of 32 outputs, as in a packed file; ops refuse it so far (cpu/linear.h) */
} Layout;

typedef struct Param {
    const char *name; /* full checkpoint name; owned by the model's arena */
    DType dtype;
    Layout layout;
    int rows, cols;     /* a matrix is [out,in]; a vector has rows = 1 */
    const void *data;   /* NULL: this parameter is absent (a Linear without bias) */
    const float *scale; /* I8: one factor per row; else NULL */
    float *grad;        /* [rows, cols] when trained, else NULL */
} Param;

#endif
