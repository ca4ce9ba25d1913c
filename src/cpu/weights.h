/* cpu/weights.h: stored weights of any type as floats: the one place that widens them.
 *
 * Weights may start at any byte. I8 comes without its scale, one factor per weight row, which the
 * products apply where it is cheapest: to a sum (linear.h) or to a packed row (k_tile.c). */
#ifndef CPU_WEIGHTS_H
#define CPU_WEIGHTS_H

#include "cpu/vec.h"
#include "tensor/dtype.h"

/* dtype_size as a constant: t is one wherever this is inlined. */
VEC_INLINE size_t weight_size(DType t)
{
    return t == F32 ? 4 : t == I8 ? 1 : 2;
}

/* VL weights at p. */
VEC_INLINE vf weight_load(DType t, const void *p)
{
    switch (t) {
    case BF16: return vf_from_bf16(p);
    case F16: return vf_from_f16(p);
    case I8: return vf_from_i8(p);
    default: return vf_loadu(p);
    }
}

/* VL pairs of bf16 at p: the first numbers and the second ones. */
VEC_INLINE void weight_load_pairs(const void *p, vf *first, vf *second)
{
    vi words = (vi)vf_loadu(p);
    *first = (vf)(words << 16);
    *second = (vf)(words & vi_set1((int32_t)0xffff0000));
}

/* As many of VL weights as lie in the `bytes` at p, then zeros; reads no byte beyond them. */
VEC_INLINE vf weight_load_bytes(DType t, const void *p, size_t bytes)
{
    char copy[4 * VL] = {0};
    memcpy(copy, p, bytes);
    return weight_load(t, copy);
}

/* The first n < VL weights at p, then zeros; reads no byte beyond them. */
VEC_INLINE vf weight_load_n(DType t, const void *p, int n)
{
    if (t == F32)
        return vf_load_n(p, n);
    return weight_load_bytes(t, p, (size_t)n * weight_size(t));
}

#endif
