/* Orientation from every place where Pillow looks (tests/data/images/oriented.py): EXIF of every form,
 * texts of a PNG, XMP, padding before a JPEG marker, and what must not count. */
#include "image_cases.h"

static void check_file(const json_t *row)
{
    const char *file = text_of(row, "file");
    const json_t *size = json_object_get(row, "size");
    int width = (int)json_integer_value(json_array_get(size, 0));
    int height = (int)json_integer_value(json_array_get(size, 1));
    size_t n;
    unsigned char *bytes = case_bytes("oriented", file, &n);
    Picture p;
    Error e = {0};
    if (!picture_decode(&p, bytes, n, file, &e))
        fail_msg("%s", e.message);
    check_route(&p, file, "upright", ROUTE_OWN, width, height, text_of(row, "upright"));
    picture_free(&p);
    mem_free(bytes);
}

static void all_places(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    assert_int_equal(each_case("oriented.jsonl", check_file), 144);
    assert_int_equal(mem_in_use(), before);
}

static void no_memory(void **state)
{
    (void)state;
    static const char *const files[] = {"j_joined.jpg", "p_raw_ztxt.png", "p_xmp_itxt_packed.png"};
    for (size_t i = 0; i < 3; i++) {
        size_t n, before;
        unsigned char *bytes = case_bytes("oriented", files[i], &n);
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
        cmocka_unit_test(all_places),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
