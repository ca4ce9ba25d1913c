/* Every recorded picture: decoded, upright, over white, resized and normalised bytes are those of
 * Pillow, LAVIS and transformers. */
#include "image_cases.h"

static void check_size(const Picture *p, const char *file, const json_t *s, int size)
{
    PrepareSpec spec = prepare_default(size);
    size_t bytes = (size_t)size * (size_t)size * 3 * sizeof(float);
    float *out = mem_alloc(bytes);
    Error e = {0};
    assert_non_null(out);
    check_route(p, file, "lavis u8", ROUTE_LAVIS, size, size, text_of(s, "lavis_u8"));
    check_route(p, file, "hf u8", ROUTE_HF, size, size, text_of(s, "hf_u8"));
    assert_true(picture_prepare(out, p, ROUTE_LAVIS, &spec, &e));
    check_hash(file, "lavis f32", out, bytes, text_of(s, "lavis_f32"));
    if (strcmp(text_of(s, "hf_f32"), text_of(s, "lavis_f32")) != 0) {
        assert_true(picture_prepare(out, p, ROUTE_HF, &spec, &e));
        check_hash(file, "hf f32", out, bytes, text_of(s, "hf_f32"));
    }
    mem_free(out);
}

/* At its own size a picture is not filtered: what is left of a route is its colours and turn. */
static void check_picture(const json_t *row)
{
    const char *file = text_of(row, "file");
    size_t n;
    unsigned char *bytes = case_bytes("valid", file, &n);
    Picture p;
    Error e = {0};
    if (!picture_decode(&p, bytes, n, file, &e))
        fail_msg("%s: %s", file, e.message);
    mem_free(bytes);
    if (p.width != int_of(row, "width") || p.height != int_of(row, "height"))
        fail_msg("%s: %d x %d", file, p.width, p.height);
    if (p.orientation != int_of(row, "orientation"))
        fail_msg("%s: orientation %d", file, p.orientation);
    check_route(&p, file, "rgb", ROUTE_LAVIS, p.width, p.height, text_of(row, "rgb"));
    check_route(&p, file, "white", ROUTE_HF, p.width, p.height, text_of(row, "white"));
    const json_t *up = json_object_get(row, "upright_size");
    int width = (int)json_integer_value(json_array_get(up, 0));
    int height = (int)json_integer_value(json_array_get(up, 1));
    assert_true(p.channels == 3 || p.orientation == 1);
    check_route(&p, file, "upright", ROUTE_OWN, width, height,
                text_of(row, p.channels == 3 ? "upright" : "white"));
    check_size(&p, file, json_object_get(row, "s224"), 224);
    check_size(&p, file, json_object_get(row, "s364"), 364);
    picture_free(&p);
}

static void all_pictures(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    assert_int_equal(each_case("images.jsonl", check_picture), 106);
    assert_int_equal(mem_in_use(), before);
}

static void check_ppm(const char *file)
{
    char path[512];
    Error e = {0};
    Picture want, p;
    snprintf(path, sizeof path, "%s/tests/data/preprocess/ppm/%s.224.ppm", SOURCE_DIR, file);
    assert_true(picture_load(&want, path, &e));
    snprintf(path, sizeof path, "%s/tests/data/images/valid/%s", SOURCE_DIR, file);
    assert_true(picture_load(&p, path, &e));
    uint8_t *rgb = picture_resize(&p, ROUTE_LAVIS, 224, 224, &e);
    assert_non_null(rgb);
    assert_int_equal(want.width, 224);
    assert_int_equal(want.height, 224);
    assert_memory_equal(rgb, want.data, 224 * 224 * 3);
    mem_free(rgb);
    picture_free(&p);
    picture_free(&want);
}

static void resized_bytes(void **state)
{
    (void)state;
    check_ppm("chelsea.png");
    check_ppm("j_300x500.jpg");
    check_ppm("p_rgba8.png");
}

static void check_bits(const json_t *table, const float *chw)
{
    for (size_t c = 0; c < 3; c++)
        for (size_t v = 0; v < 256; v++) {
            char got[9];
            uint32_t bits;
            memcpy(&bits, chw + c * 256 + v, sizeof bits);
            snprintf(got, sizeof got, "%08x", (unsigned)bits);
            assert_string_equal(got,
                                json_string_value(json_array_get(json_array_get(table, c), v)));
        }
}

static void normalisation(void **state)
{
    (void)state;
    json_t *o = json_load_file(SOURCE_DIR "/tests/data/preprocess/normalize.json", 0, NULL);
    PrepareSpec spec = prepare_default(224);
    uint8_t rgb[256 * 3];
    float chw[256 * 3];
    assert_non_null(o);
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i / 3);
    picture_normalise(chw, rgb, 256, 1, &spec);
    check_bits(json_object_get(o, "lavis"), chw);
    check_bits(json_object_get(o, "hf_pil"), chw);
    json_decref(o);
}

static void caller_pixels(void **state)
{
    (void)state;
    const uint8_t grey[2] = {7, 200}, rgba[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    Picture p;
    Error e = {0};
    assert_true(picture_from_pixels(&p, grey, 2, 1, 1, &e));
    assert_int_equal(p.channels, 3);
    assert_memory_equal(p.data, ((uint8_t[6]){7, 7, 7, 200, 200, 200}), 6);
    picture_free(&p);
    assert_true(picture_from_pixels(&p, rgba, 1, 2, 4, &e));
    assert_memory_equal(p.data, rgba, 8);
    picture_free(&p);
    assert_false(picture_from_pixels(&p, rgba, 1, 2, 2, &e));
    assert_int_equal(e.code, ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pictures),
        cmocka_unit_test(resized_bytes),
        cmocka_unit_test(normalisation),
        cmocka_unit_test(caller_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
