/* tensor/dtype.h: the element types that occur in files and in memory. */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum DType { F32, F16, BF16, I8, F64, I64, I32, I16, U8, BOOL, DTYPE_COUNT } DType;

size_t dtype_size(DType t);                       /* bytes of one element */
const char *dtype_name(DType t);                  /* "F32", "BF16": safetensors' names */
bool dtype_from_name(const char *name, DType *t); /* false: not one of ours */
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
