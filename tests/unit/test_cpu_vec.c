/* The integer dot products of cpu/vec.h, of every instruction set, against the sum written out in 64 bits: all
 * pairs of bytes, the ends of the ranges, where instructions that saturate would differ, and sums that wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/rng.h"
#include "cpu/cpu.h"
#include "vec_cases.h"

enum { N = VEC_CASE_LANES };

typedef struct Set {
    const char *name;
    DotBytes bytes;
    DotWords words;
} Set;

#define SET(isa)                               \
    {                                          \
#isa, dot_bytes_##isa, dot_words_##isa \
    }

static const Set sets[] = {
    SET(portable),
#ifdef HAVE_ISA_neon
    SET(neon),
#endif
#ifdef HAVE_ISA_avx2
    SET(avx2),
#endif
#ifdef HAVE_ISA_avx512
    SET(avx512),
#endif
#ifdef HAVE_ISA_avx512bf16
    SET(avx512bf16),
#endif
};

static const Set *set_of(const char *isa)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!strcmp(sets[i].name, isa))
            return &sets[i];
    fail_msg("%s: not in this test", isa);
    return NULL;
}

/* Modulo 2^32. */
static void check(const char *isa, int32_t got, int32_t sum, int64_t products)
{
    if ((uint32_t)got != (uint32_t)((int64_t)sum + products))
        fail_msg("%s: got %d, expected %d + %lld", isa, got, sum, (long long)products);
}

static void check_bytes(const Set *set, const int32_t *sum, const uint8_t *u, const int8_t *s)
{
    int32_t got[N];
    memcpy(got, sum, sizeof got);
    set->bytes(got, u, s);
    for (int i = 0; i < N; i++) {
        int64_t products = 0;
        for (int j = 4 * i; j < 4 * i + 4; j++)
            products += (int64_t)u[j] * s[j];
        check(set->name, got[i], sum[i], products);
    }
}

static void check_words(const Set *set, const int32_t *sum, const int16_t *a, const int16_t *b)
{
    int32_t got[N];
    memcpy(got, sum, sizeof got);
    set->words(got, a, b);
    for (int i = 0; i < N; i++)
        check(set->name, got[i], sum[i],
              (int64_t)a[2 * i] * b[2 * i] + (int64_t)a[2 * i + 1] * b[2 * i + 1]);
}

static void each_set(void (*fn)(const Set *))
{
    for (const char *const *isa = cpu_isas(); *isa; isa++)
        fn(set_of(*isa));
}

/* One pair in turn at each of the four places, the others zero: a byte that is read with the wrong sign or from
 * the wrong place shows. */
static void all_pairs_of(const Set *set)
{
    const int32_t sum[N] = {0};
    for (int pair = 0; pair < 65536; pair += N)
        for (int place = 0; place < 4; place++) {
            uint8_t u[4 * N] = {0};
            int8_t s[4 * N] = {0};
            for (int i = 0; i < N; i++) {
                u[4 * i + place] = (uint8_t)((pair + i) >> 8);
                s[4 * i + place] = (int8_t)(pair + i - 128);
            }
            check_bytes(set, sum, u, s);
        }
}

static void test_all_pairs(void **state)
{
    (void)state;
    each_set(all_pairs_of);
}

static void ends_of(const Set *set)
{
    static const int32_t sums[] = {0, 1, INT32_MAX, INT32_MIN, -1};
    static const int8_t signed_ends[] = {-128, 127};
    static const int16_t word_ends[] = {INT16_MIN, INT16_MAX, -1};
    for (size_t k = 0; k < sizeof sums / sizeof *sums; k++) {
        int32_t sum[N];
        uint8_t u[4 * N];
        int8_t s[4 * N];
        int16_t a[2 * N], b[2 * N];
        for (int i = 0; i < N; i++)
            sum[i] = sums[k];
        memset(u, 255, sizeof u);
        for (int i = 0; i < 4 * N; i++)
            s[i] = signed_ends[i / 4 >> i % 4 & 1]; /* every choice of the four */
        check_bytes(set, sum, u, s);
        for (int i = 0; i < 2 * N; i++) {
            a[i] = word_ends[i % 3];
            b[i] = word_ends[i / 3 % 3];
        }
        a[0] = a[1] = b[0] = b[1] = INT16_MIN; /* 2^31 */
        check_words(set, sum, a, b);
    }
}

static void test_ends(void **state)
{
    (void)state;
    each_set(ends_of);
}

static void drawn_of(const Set *set)
{
    for (uint64_t round = 0; round < 2000; round++) {
        uint32_t bits[5 * N];
        int32_t sum[N];
        for (uint64_t i = 0; i < 5 * N; i++)
            bits[i] = (uint32_t)(rng_unit(7, round * 5 * N + i) * 4294967296.0);
        memcpy(sum, bits, sizeof sum);
        check_bytes(set, sum, (const uint8_t *)(bits + N), (const int8_t *)(bits + 2 * N));
        check_words(set, sum, (const int16_t *)(bits + 3 * N), (const int16_t *)(bits + 4 * N));
    }
}

static void test_drawn(void **state)
{
    (void)state;
    each_set(drawn_of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pairs),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
