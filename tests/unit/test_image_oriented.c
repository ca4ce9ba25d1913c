/* Orientation from every place where Pillow looks (tests/data/images/oriented.py): EXIF of every form,
 * texts of a PNG, XMP, padding before a JPEG marker, and what must not count. */
#include "image_cases.h"

static void check_upright(const Picture *p, const json_t *row, const char *file)
{
    const json_t *size = json_object_get(row, "size");
    int width = (int)json_integer_value(json_array_get(size, 0));
    int height = (int)json_integer_value(json_array_get(size, 1));
    check_route(p, file, "upright", ROUTE_OWN, width, height, text_of(row, "upright"));
}

static void check_file(const json_t *row)
{
    decode_case("oriented", row, check_upright);
}

static void all_places(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    assert_int_equal(each_case("oriented.jsonl", check_file), 149);
    assert_int_equal(mem_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
