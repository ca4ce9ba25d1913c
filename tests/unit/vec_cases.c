/* vec_cases.c: see vec_cases.h. Compiled once per instruction set, as the kernels are. */
#include "cpu/kernels.h"
#include "cpu/vec.h"
#include "vec_cases.h"

static vi load(const void *p)
{
    vi x;
    memcpy(&x, p, sizeof x);
    return x;
}

void ISA_SYM(dot_bytes)(int32_t *sum, const uint8_t *u, const int8_t *s)
{
    for (int i = 0; i < VEC_CASE_LANES; i += VL) {
        vi x = vi_dpbusd(load(sum + i), load(u + 4 * i), load(s + 4 * i));
        memcpy(sum + i, &x, sizeof x);
    }
}

void ISA_SYM(dot_words)(int32_t *sum, const int16_t *a, const int16_t *b)
{
    for (int i = 0; i < VEC_CASE_LANES; i += VL) {
        vi x = vi_dpwssd(load(sum + i), load(a + 2 * i), load(b + 2 * i));
        memcpy(sum + i, &x, sizeof x);
    }
}
