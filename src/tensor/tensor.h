/* tensor/tensor.h: activations (Tensor) and weights (Param).
 *
 * A Tensor is a matrix of rows x cols; what the literature writes as [batch, tokens, width] is
 * batch*tokens rows of width columns, and ops that care are told how many groups there are. It may
 * be a view: `ld` is the distance of two rows in elements. Its memory lies in a Ctx's arena, what
 * is in it is the device's (tensor/host.h).
 *
 * A Param is a weight: it lives as long as the model, has a storage type and a layout of its own,
 * and is used where it lies (mapped file, or owned memory). `linear` hides the pair
 * (type of x, type of w). Only models/ makes Params (models/build.h); ops and kernels read them. One
 * weight is one Param, so it has one gradient: whoever uses it in two places (a tied head) points
 * to it twice. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include "tensor/panel.h"

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
    LAYOUT_PANEL, /* panels of 32 outputs (tensor/panel.h), as in a packed file: F32, F16, BF16; always I4 */
} Layout;

typedef struct Param {
    const char *name; /* full checkpoint name; owned by the model's arena */
    DType dtype;
    Layout layout;
    int rows, cols;     /* a matrix is [out,in]; a vector has rows = 1 */
    const void *data;   /* NULL: this parameter is absent (a Linear without bias) */
    const float *scale; /* I8: [rows][scales of a row], which multiply the integers; else NULL */
    int block;   /* I8: weights of a row that share a scale, the row's last may be fewer; 0: all */
    float *grad; /* [rows, cols] when trained, else NULL */
} Param;

static inline size_t param_count(const Param *p)
{
    return (size_t)p->rows * (size_t)p->cols;
}

/* Floats at p->scale: none for a type that needs no scale, or has it among the values (I4). */
static inline size_t param_scales(const Param *p)
{
    if (p->dtype != I8)
        return 0;
    size_t cols = (size_t)p->cols, block = p->block ? (size_t)p->block : cols;
    return (size_t)p->rows * ((cols + block - 1) / block);
}

/* Bytes at p->data. */
static inline size_t param_data_bytes(const Param *p)
{
    return p->layout == LAYOUT_PANEL ? panels_bytes(p->dtype, (size_t)p->rows, (size_t)p->cols)
                                     : dtype_bytes(p->dtype, param_count(p));
}

/* Bytes of data and scales. */
static inline size_t param_bytes(const Param *p)
{
    return param_data_bytes(p) + sizeof *p->scale * param_scales(p);
}

#endif
