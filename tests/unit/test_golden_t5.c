/* Flan-T5 against the reference (transformers, and LAVIS' rules) on its tiny goldens: every activation of
 * every kernel set, and every generation case of both libraries; several prompts together as each alone. */
#define GOLDEN SOURCE_DIR "/tests/golden/t5"
#include "golden_check.h"

static void test_activations(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++)
        check_isa(*isa);
}

static void test_generation(void **state)
{
    (void)state;
    for (const char *const *isa = card_isas(); *isa; isa++) {
        Session s = open_session(*isa);
        int hf = check_hf(&s), lavis = check_lavis(&s);
        printf("%s: %d sequences as transformers 5, %d as LAVIS: all ids equal\n", *isa, hf, lavis);
        assert_int_equal(hf, 24);
        assert_int_equal(lavis, 16);
        blip2_session_free(s.s);
        blip2_model_free(s.model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_activations),
                                       cmocka_unit_test(test_generation)};
    encoder_decoder = true;
    return cmocka_run_group_tests(tests, golden_setup, golden_teardown);
}
