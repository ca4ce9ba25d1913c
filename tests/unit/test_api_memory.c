/* Memory that runs out, at every single allocation in turn: no crash, the right code, everything
 * given back, and with several pictures the others done and told once. */
#include "base/mem.h"
#include "test_api.h"

static size_t before; /* bytes in use around each run */

static void end_run(void)
{
    blip2_debug_fail_alloc(0);
    assert_int_equal(blip2_debug_bytes_in_use(), before);
}

/* Load, session, picture, caption: as a program does it that looks at the error at the end. */
static void run_program(long n, blip2_error *err, bool *hit)
{
    static const blip2_session_options ONE = {.threads = 1};
    blip2_options o = {0};
    blip2_item request = ITEM(.task = BLIP2_CAPTION, .options = &o);
    blip2_debug_fail_alloc(n);
    blip2_model *m = blip2_model_load(SCENES, NULL, err);
    blip2_session *s = blip2_session_new(m, &ONE, err);
    blip2_image *image = blip2_image_from_file(SCENES "/samples/scene002.png", err);
    o = blip2_options_default(m, BLIP2_CAPTION, BLIP2_LAVIS);
    o.num_beams = 2;
    blip2_result *r = blip2_generate(s, &image, 1, &request, err);
    *hit = mem_fail_hit();
    if (!err->code)
        *err = *blip2_result_error(r, 0);
    if (!err->code)
        assert_string_equal(blip2_result_text(r, 0), "a rabbit on a blue background");
    else
        assert_null(blip2_result_text(r, 0));
    blip2_result_free(r);
    blip2_image_free(image);
    blip2_session_free(s);
    blip2_model_free(m);
}

static void test_program(void **state)
{
    bool hit = true;
    long n = 0;
    before = blip2_debug_bytes_in_use();
    while (hit) {
        blip2_error err = {0};
        run_program(++n, &err, &hit);
        if (hit && err.code != BLIP2_OK && err.code != BLIP2_MEMORY)
            fail_msg("allocation %ld: expected an error of memory, got %d \"%s\"", n, err.code,
                     err.message);
        if (!hit)
            assert_int_equal(err.code, BLIP2_OK);
        end_run();
    }
    print_message("  %ld allocations\n", n - 1);
    assert_true(n > 100);
}

/* Three pictures at once: what fails as a batch is done again one by one. */
static void run_batch(blip2_model *m, blip2_image *const *images, const blip2_options *o, long n,
                      bool *hit)
{
    static Heard h;
    blip2_error err = {0};
    blip2_session *s = open_session(m, 1, NULL);
    h = (Heard){0};
    blip2_item request = ITEM(.task = BLIP2_CAPTION, .options = o, .on_token = hear, .user = &h);
    blip2_debug_fail_alloc(n);
    blip2_result *r = blip2_generate(s, images, 3, &request, &err);
    *hit = mem_fail_hit();
    blip2_debug_fail_alloc(0);
    if (!r)
        assert_int_equal(err.code, BLIP2_MEMORY); /* the prompt or the result */
    for (size_t i = 0; r && i < 3; i++) {
        assert_int_equal(blip2_result_error(r, i)->code, BLIP2_OK);
        assert_heard(&h, r, i);
    }
    blip2_result_free(r);
    blip2_session_free(s);
    assert_int_equal(blip2_debug_bytes_in_use(), before);
}

static void check_batches(int beams)
{
    Sample sample[SAMPLES];
    blip2_image *images[3];
    open_samples(sample);
    for (int i = 0; i < 3; i++)
        images[i] = sample[i].image;
    blip2_model *m = open_model(SCENES, BLIP2_AUTO);
    blip2_options o = blip2_options_default(m, BLIP2_CAPTION, BLIP2_HF);
    o.num_beams = beams;
    o.max_new_tokens = 5;
    before = blip2_debug_bytes_in_use();
    bool hit = true;
    for (long n = 1; hit; n++)
        run_batch(m, images, &o, n, &hit);
    blip2_model_free(m);
    close_samples(sample);
}

static void test_batch_greedy(void **state)
{
    check_batches(1);
}

static void test_batch_beams(void **state)
{
    check_batches(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_batch_greedy),
        cmocka_unit_test(test_batch_beams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
