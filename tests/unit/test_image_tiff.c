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
    decode_case("tiff", row, check_pixels);
}

static void all_kinds(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    assert_true(each_case("tiff.jsonl", check_file) == 188);
    assert_int_equal(mem_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
