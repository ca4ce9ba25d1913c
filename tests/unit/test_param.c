/* Weights: how many bytes and scales they have, what a walk says about a layer, and that a tied
 * weight is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "tensor/tensor.h"

static void bytes_of_types(void **state)
{
    static const struct {
        DType type;
        size_t n, bytes;
    } CASES[] = {
        {F32, 3, 12},
        {BF16, 3, 6},
        {F64, 9, 72},
        {BOOL, 5, 5},
        {I8, 0, 0},
        {I4, 0, 0},
        {I4, 1, 1},
        {I4, 2, 1},
        {I4, 7, 4},
        {I4, 8, 4},
        {I4, 9, 5},
        {I4, 4097, 2049},
        {I4, SIZE_MAX, (SIZE_MAX >> 1) + 1},
        {U8, SIZE_MAX - 1, SIZE_MAX - 1},
        {F16, SIZE_MAX / 2 + 1, SIZE_MAX},
        {F64, SIZE_MAX / 8 + 1, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (dtype_bytes(CASES[i].type, CASES[i].n) != CASES[i].bytes)
            fail_msg("%zu of %s: expected %zu bytes, got %zu", CASES[i].n,
                     dtype_name(CASES[i].type), CASES[i].bytes,
                     dtype_bytes(CASES[i].type, CASES[i].n));
}

static void names_of_types(void **state)
{
    DType t;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        assert_true(dtype_from_name(dtype_name((DType)i), &t));
        assert_int_equal(t, i);
    }
    assert_string_equal(dtype_name(I4), "I4");
    assert_false(dtype_from_name("I5", &t));
    assert_false(dtype_is_float(I4));
}

static void scales_of_a_weight(void **state)
{
    Param p = {.dtype = F32, .rows = 3, .cols = 70};
    assert_int_equal(param_scales(&p), 0);
    assert_int_equal(param_bytes(&p), 840);
    p.dtype = I8;
    assert_int_equal(param_scales(&p), 3);
    assert_int_equal(param_bytes(&p), 210 + 12);
    p.block = 32; /* the last block of a row has 6 */
    assert_int_equal(param_scales(&p), 9);
    p.dtype = I4;
    assert_int_equal(param_bytes(&p), 105 + 36);
    p.block = 35;
    assert_int_equal(param_scales(&p), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_types),
        cmocka_unit_test(names_of_types),
        cmocka_unit_test(scales_of_a_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
