/* tensor/dtype.c: the table of types; f16 and bf16 to and from f32, rounded to nearest even. */
#include "tensor/dtype.h"

static const struct {
    const char *name;
    unsigned bits;
} TYPES[DTYPE_COUNT] = {
    [F32] = {"F32", 32},        [F16] = {"F16", 16},        [BF16] = {"BF16", 16},
    [I8] = {"I8", 8},           [I4] = {"I4", 4},           [F64] = {"F64", 64},
    [I64] = {"I64", 64},        [I32] = {"I32", 32},        [I16] = {"I16", 16},
    [U8] = {"U8", 8},           [BOOL] = {"BOOL", 8},       [U16] = {"U16", 16},
    [U32] = {"U32", 32},        [U64] = {"U64", 64},        [F8_E4M3] = {"F8_E4M3", 8},
    [F8_E5M2] = {"F8_E5M2", 8}, [F8_E8M0] = {"F8_E8M0", 8}, [C64] = {"C64", 64},
    [F4] = {"F4", 4},           [F6_E2M3] = {"F6_E2M3", 6}, [F6_E3M2] = {"F6_E3M2", 6},
};

size_t dtype_bytes(DType t, size_t n)
{
    size_t bytes, bits = TYPES[t].bits;
    bool over = __builtin_mul_overflow(n / 8, bits, &bytes);
    over |= __builtin_add_overflow(bytes, (n % 8 * bits + 7) / 8, &bytes);
    return over ? SIZE_MAX : bytes;
}

size_t dtype_size(DType t)
{
    return TYPES[t].bits / 8;
}

const char *dtype_name(DType t)
{
    return TYPES[t].name;
}

bool dtype_from_name(const char *name, DType *t)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (strcmp(TYPES[i].name, name) == 0) {
            *t = (DType)i;
            return true;
        }
    return false;
}

static uint32_t bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

uint16_t f32_to_bf16(float f)
{
    uint32_t u = bits(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40); /* keep NaN a NaN whatever bits are cut off */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 0x3ff;
    if (exp == 31)
        return from_bits(sign | 0x7f800000 | man << 13);
    if (exp)
        return from_bits(sign | (exp + 112) << 23 | man << 13);
    float small = (float)man * 0x1p-24f; /* subnormal: exact */
    return sign ? -small : small;
}

uint16_t f32_to_f16(float f)
{
    uint32_t u = bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000)
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) { /* subnormal or zero: let the FPU round at 2^-24 */
        float scaled = from_bits(a) + 0.5f;
        return (uint16_t)(sign | (bits(scaled) - 0x3f000000));
    }
    a += 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | (a - 0x38000000) >> 13);
}

static void widen_bf16(float *dst, const unsigned char *src, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, src + 2 * i, 2);
        dst[i] = bf16_to_f32(h);
    }
}

static void widen_f16(float *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, src + 2 * i, 2);
        dst[i] = f16_to_f32(h);
    }
}

static void narrow_f64(float *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, src + 8 * i, 8);
        dst[i] = (float)d;
    }
}

void convert_to_f32(float *dst, const void *src, DType t, size_t n)
{
    if (t == F32)
        memcpy(dst, src, 4 * n);
    else if (t == BF16)
        widen_bf16(dst, src, n);
    else if (t == F16)
        widen_f16(dst, src, n);
    else
        narrow_f64(dst, src, n);
}
