/* blip2_image_prepare: an image that was prepared before has the bits of one that was not, under both libraries'
 * rules and in another thread; what it is not for is refused. */
#include <pthread.h>

#include "test_api.h"

static Sample sample[SAMPLES];
static blip2_model *model;

static int setup(void **state)
{
    (void)state;
    open_samples(sample);
    model = open_model(SCENES, BLIP2_AUTO);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_samples(sample);
    blip2_model_free(model);
    return 0;
}

static blip2_image *open_scene(int i)
{
    char path[512];
    blip2_error err = {0};
    snprintf(path, sizeof path, SCENES "/samples/scene%03d.png", i);
    blip2_image *image = blip2_image_from_file(path, &err);
    assert_non_null(image);
    return image;
}

static blip2_features *vision(blip2_session *s, blip2_image *image, blip2_library library)
{
    blip2_error err = {0};
    blip2_embed_item item = blip2_embed_item_default();
    item.image = image;
    item.kind = BLIP2_VISION;
    item.library = library;
    blip2_features *r = blip2_embed(s, &item, 1, &err);
    assert_non_null(r);
    return r;
}

static void *prepare(void *image)
{
    return blip2_image_prepare(image, model, BLIP2_LAVIS, NULL) ? image : NULL;
}

static void same_bits(void **state)
{
    (void)state;
    blip2_session *s = open_session(model, 1, NULL);
    for (int library = 0; library < 2; library++)
        for (int i = 0; i < SAMPLES; i++) {
            blip2_image *image = open_scene(i);
            assert_true(blip2_image_prepare(image, model, (blip2_library)library, NULL));
            assert_int_equal(blip2_image_width(image), blip2_image_width(sample[i].image));
            blip2_features *a = vision(s, sample[i].image, (blip2_library)library);
            blip2_features *b = vision(s, image, (blip2_library)library);
            const blip2_feature *x = blip2_features_at(a, 0), *y = blip2_features_at(b, 0);
            assert_true(x && y && x->rows == y->rows && x->columns == y->columns);
            assert_memory_equal(x->values, y->values, x->rows * x->columns * sizeof(float));
            blip2_features_free(a);
            blip2_features_free(b);
            blip2_image_free(image);
        }
    blip2_session_free(s);
}

static void in_threads(void **state)
{
    (void)state;
    pthread_t thread[SAMPLES];
    blip2_image *image[SAMPLES];
    blip2_session *s = open_session(model, 2, NULL);
    for (int i = 0; i < SAMPLES; i++) {
        image[i] = open_scene(i);
        assert_int_equal(pthread_create(&thread[i], NULL, prepare, image[i]), 0);
    }
    for (int i = 0; i < SAMPLES; i++) {
        void *done;
        pthread_join(thread[i], &done);
        assert_non_null(done);
    }
    blip2_result *r = ask_all(s, image, SAMPLES, &ITEM(.task = BLIP2_CAPTION));
    for (int i = 0; i < SAMPLES; i++) {
        assert_string_equal(blip2_result_text(r, (size_t)i), sample[i].caption);
        assert_true(blip2_result_timings(r, (size_t)i)->preprocess > 0);
        blip2_image_free(image[i]);
    }
    blip2_result_free(r);
    blip2_session_free(s);
}

/* Prepared by other rules, or asked for its pixels. */
static void refused(void **state)
{
    (void)state;
    blip2_error err = {0};
    uint8_t rgb[3 * 8 * 8];
    blip2_session *s = open_session(model, 1, NULL);
    blip2_image *image = open_scene(3);
    assert_true(blip2_image_prepare(image, model, BLIP2_HF, &err));
    assert_true(blip2_image_prepare(image, model, BLIP2_LAVIS, &err)); /* stays as it is */
    blip2_features *r = vision(s, image, BLIP2_LAVIS);
    assert_null(blip2_features_at(r, 0));
    assert_int_equal(blip2_features_error(r, 0)->code, BLIP2_FAILED);
    assert_non_null(strstr(blip2_features_error(r, 0)->message, "expected one prepared for this"));
    assert_false(blip2_debug_preprocess(image, BLIP2_HF, 8, rgb, NULL, &err));
    assert_int_equal(err.code, BLIP2_FAILED);
    blip2_features_free(r);
    blip2_image_free(image);
    blip2_session_free(s);
}

static void misuse(void **state)
{
    (void)state;
    blip2_image *image = open_scene(3);
    for (int i = 0; i < 3; i++) {
        blip2_error err = {0};
        assert_false(blip2_image_prepare(i == 0 ? NULL : image, i == 1 ? NULL : model,
                                         (blip2_library)(i == 2 ? 7 : 0), &err));
        assert_int_equal(err.code, BLIP2_USAGE);
    }
    blip2_image_free(image);
}

/* It is as it was, and can be used and prepared afterwards. */
static void out_of_memory(void **state)
{
    (void)state;
    blip2_image *image = open_scene(3);
    blip2_session *s = open_session(model, 1, NULL);
    int failed = 0;
    for (long n = 1;; n++) {
        blip2_error err = {0};
        blip2_debug_fail_alloc(n);
        bool ok = blip2_image_prepare(image, model, BLIP2_LAVIS, &err);
        blip2_debug_fail_alloc(0);
        if (ok)
            break;
        assert_int_equal(err.code, BLIP2_MEMORY);
        failed++;
    }
    assert_true(failed > 0);
    blip2_result *r = ask_all(s, &image, 1, &ITEM(.task = BLIP2_CAPTION));
    assert_string_equal(blip2_result_text(r, 0), sample[3].caption);
    blip2_result_free(r);
    blip2_image_free(image);
    blip2_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits), cmocka_unit_test(in_threads),    cmocka_unit_test(refused),
        cmocka_unit_test(misuse),    cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
