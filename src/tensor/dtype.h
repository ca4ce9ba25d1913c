/* tensor/dtype.h: the element types that occur in files and in memory, what they are called, how
 * much room they take, and the conversions between the floating ones. For every room; nothing here
 * allocates or fails. */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The first five can be weights; the others are in files beside them. */
typedef enum DType {
    F32,
    F16,
    BF16,
    I8,
    I4,
    F64,
    I64,
    I32,
    I16,
    U8,
    BOOL,
    U16,
    U32,
    U64,
    F8_E4M3,
    F8_E5M2,
    F8_E8M0,
    C64,
    F4,
    F6_E2M3,
    F6_E3M2,
    DTYPE_COUNT
} DType;

/* Bytes of n elements that lie without gaps; of I4, two in a byte, an odd last one has its own.
 * SIZE_MAX: more than a size_t can say. */
size_t dtype_bytes(DType t, size_t n);
size_t dtype_size(DType t);      /* distance of two elements in bytes; I4: 0 */
const char *dtype_name(DType t); /* "F32", "BF16": the names in safetensors files */
bool dtype_from_name(const char *name, DType *t); /* false: not one of ours */
/* Types that a weight may have in a file and that kernels read as they are. */
static inline bool dtype_is_float(DType t)
{
    return t == F32 || t == F16 || t == BF16;
}

static inline float bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

uint16_t f32_to_bf16(float f); /* round to nearest even, NaN stays NaN */
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f); /* round to nearest even */

/* n elements of type t (F32, F16, BF16, F64) at src, any alignment, to float. */
void convert_to_f32(float *dst, const void *src, DType t, size_t n);

#endif
