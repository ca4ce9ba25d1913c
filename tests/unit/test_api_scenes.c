/* The embedded model is right on its sample pictures: every caption and every answer, on every
 * kernel set of this machine and in every type of computing. The answers are those of
 * models/scenes/samples/cases.jsonl, which come from how the pictures were composed. */
#include "test_api.h"

static Sample sample[SAMPLES];

static int setup(void **state)
{
    open_samples(sample);
    return 0;
}

static int teardown(void **state)
{
    close_samples(sample);
    return 0;
}

static void check_captions(blip2_session *s, blip2_model *m, blip2_library library)
{
    blip2_image *images[SAMPLES];
    blip2_options o = blip2_options_default(m, BLIP2_CAPTION, library);
    for (int i = 0; i < SAMPLES; i++)
        images[i] = sample[i].image;
    blip2_result *r = ask_all(s, images, SAMPLES, &ITEM(.task = BLIP2_CAPTION, .options = &o));
    for (int i = 0; i < SAMPLES; i++)
        assert_string_equal(blip2_result_text(r, (size_t)i), sample[i].caption);
    blip2_result_free(r);
}

static void check_answers(blip2_session *s, const Sample *p)
{
    for (size_t q = 0; q < p->questions; q++) {
        blip2_item ask = ITEM(.task = BLIP2_ASK, .text = p->question[q]);
        blip2_result *r = ask_all(s, &p->image, 1, &ask);
        if (strcmp(blip2_result_text(r, 0), p->answer[q]) != 0)
            fail_msg("\"%s\" about \"%s\": expected \"%s\", got \"%s\"", p->question[q], p->caption,
                     p->answer[q], blip2_result_text(r, 0));
        blip2_result_free(r);
    }
}

static void check_type(blip2_dtype dtype)
{
    blip2_machine machine;
    blip2_error err = {0};
    assert_true(blip2_debug_machine(&machine, "cpu", 1, BLIP2_MEASURE_NOTHING, &err));
    blip2_model *m = open_model(SCENES, dtype);
    for (const char *const *isa = machine.isas; *isa; isa++) {
        if (dtype != BLIP2_AUTO && machine.isas[1] && strcmp(*isa, "portable") == 0)
            continue; /* slow, and its types are tested by the kernels' own tests */
        print_message("  kernels: %s\n", *isa);
        blip2_session *s = open_session(m, 1, *isa);
        check_captions(s, m, BLIP2_LAVIS);
        check_captions(s, m, BLIP2_HF);
        for (int i = 0; i < SAMPLES; i++)
            check_answers(s, &sample[i]);
        blip2_session_free(s);
    }
    blip2_model_free(m);
}

static void test_as_stored(void **state)
{
    check_type(BLIP2_AUTO);
}

static void test_f32(void **state)
{
    check_type(BLIP2_F32);
}

static void test_bf16(void **state)
{
    check_type(BLIP2_BF16);
}

static void test_int8(void **state)
{
    check_type(BLIP2_INT8);
}

static void test_int4(void **state)
{
    check_type(BLIP2_INT4);
}

static void test_mixed(void **state)
{
    check_type(BLIP2_MIXED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_stored), cmocka_unit_test(test_f32),  cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_int8),      cmocka_unit_test(test_int4), cmocka_unit_test(test_mixed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
