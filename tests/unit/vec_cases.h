/* vec_cases.h: the integer dot products of cpu/vec.h over arrays, one function per instruction set. */
#ifndef VEC_CASES_H
#define VEC_CASES_H

#include <stdint.h>

enum { VEC_CASE_LANES = 16 }; /* a multiple of the lanes of every set */

/* sum[i] += the products of u[4i..4i+4) and s[4i..4i+4) */
typedef void (*DotBytes)(int32_t *sum, const uint8_t *u, const int8_t *s);
/* sum[i] += a[2i] b[2i] + a[2i+1] b[2i+1] */
typedef void (*DotWords)(int32_t *sum, const int16_t *a, const int16_t *b);

#define DECLARE_VEC_CASES(isa)                                             \
    void dot_bytes_##isa(int32_t *sum, const uint8_t *u, const int8_t *s); \
    void dot_words_##isa(int32_t *sum, const int16_t *a, const int16_t *b);
DECLARE_VEC_CASES(portable)
DECLARE_VEC_CASES(avx2)
DECLARE_VEC_CASES(avx512)
DECLARE_VEC_CASES(avx512bf16)
DECLARE_VEC_CASES(neon)

#endif
