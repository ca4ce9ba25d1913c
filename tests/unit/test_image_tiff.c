/* TIFFs of every kind that Pillow reads (tests/data/images/tiffs.py), with its pixels; and those that it
 * refuses. */
#include "image_cases.h"

static void check_pixels(const Picture *p, const json_t *row, const char *file)
{
    const json_t *size = json_object_get(row, "size");
    int width = (int)json_integer_value(json_array_get(size, 0));
    int height = (int)json_integer_value(json_array_get(size, 1));
    check_route(p, file, "rgb", ROUTE_LAVIS, width, height, text_of(row, "rgb"));
    check_route(p, file, "white", ROUTE_HF, width, height, text_of(row, "white"));
    check_route(p, file, "upright", ROUTE_OWN, width, height, text_of(row, "white"));
}

static void check_file(const json_t *row)
{
    const char *file = text_of(row, "file");
    bool ok = json_is_true(json_object_get(row, "ok"));
    size_t n;
    unsigned char *bytes = case_bytes("tiff", file, &n);
    Picture p;
    Error e = {0};
    bool got = picture_decode(&p, bytes, n, file, &e);
    if (got != ok)
        fail_msg("%s: %s", file, got ? "loaded, expected an error" : e.message);
    if (ok)
        check_pixels(&p, row, file);
    else
        assert_int_equal(e.code, ERR_FAILED);
    picture_free(&p);
    mem_free(bytes);
}

static void all_kinds(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    assert_true(each_case("tiff.jsonl", check_file) == 188);
    assert_int_equal(mem_in_use(), before);
}

static void no_memory(void **state)
{
    (void)state;
    static const char *const files[] = {"ii_tiles.tif", "YCbCr_jpeg.tif", "P_packbits.tif"};
    for (size_t i = 0; i < 3; i++) {
        size_t n, before;
        unsigned char *bytes = case_bytes("tiff", files[i], &n);
        bool done = false;
        before = mem_in_use();
        for (long k = 1; !done; k++) {
            Picture p;
            Error e = {0};
            mem_fail_at(k);
            bool ok = picture_decode(&p, bytes, n, files[i], &e);
            done = !mem_fail_hit();
            mem_fail_at(0);
            picture_free(&p);
            assert_int_equal(mem_in_use(), before);
            assert_true(done ? ok : !ok && e.code == ERR_MEMORY);
        }
        mem_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
