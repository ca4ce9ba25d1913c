/* tensor/host.h: addresses within tensor data, for those who may compute with them: the CPU's
 * kernels, which also follow them, and ops/, which hands them to kernels and never follows them.
 * Nothing above ops/ includes this (tools/check_layers.sh). */
#ifndef TENSOR_HOST_H
#define TENSOR_HOST_H

#include "tensor/tensor.h"

static inline float *f32(const Tensor *t)
{
    return (float *)t->data;
}

static inline float *row_f32(const Tensor *t, int r)
{
    return (float *)t->data + (size_t)r * (size_t)t->ld;
}

static inline float *row_grad(const Tensor *t, int r)
{
    return t->grad + (size_t)r * (size_t)t->ld;
}

#endif
