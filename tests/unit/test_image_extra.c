/* Small pictures of the rarer kinds (run lengths, bit fields, plain PNM, frames off their canvas,
 * transparent colours), and damage that the larger set does not have. */
#include "image_cases.h"

static void check_ok(const Picture *p, const json_t *row, const char *file)
{
    const json_t *up = json_object_get(row, "upright_size");
    int width = (int)json_integer_value(json_array_get(up, 0));
    int height = (int)json_integer_value(json_array_get(up, 1));
    if (p->width != int_of(row, "width") || p->height != int_of(row, "height"))
        fail_msg("%s: %d x %d", file, p->width, p->height);
    check_route(p, file, "rgb", ROUTE_LAVIS, p->width, p->height, text_of(row, "rgb"));
    check_route(p, file, "white", ROUTE_HF, p->width, p->height, text_of(row, "white"));
    check_route(p, file, "upright", ROUTE_OWN, width, height, text_of(row, "upright"));
    check_route(p, file, "lavis", ROUTE_LAVIS, 50, 40, text_of(row, "lavis_50x40"));
    check_route(p, file, "hf", ROUTE_HF, 50, 40, text_of(row, "hf_50x40"));
}

static void check_file(const json_t *row)
{
    decode_case("extra", row, check_ok);
}

static void all_files(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    assert_int_equal(each_case("extra.jsonl", check_file), 75);
    assert_int_equal(mem_in_use(), before);
}

/* Files that ask for more than they can hold: the error must come before the memory. */
static void check_hostile(const void *bytes, size_t n, const char *want)
{
    Picture p;
    Error e = {0};
    size_t before = mem_in_use();
    assert_false(picture_decode(&p, bytes, n, "a", &e));
    assert_int_equal(e.code, ERR_FAILED);
    if (!strstr(e.message, want))
        fail_msg("%s, expected %s", e.message, want);
    assert_int_equal(mem_in_use(), before);
}

static void hostile_headers(void **state)
{
    (void)state;
    check_hostile("P6 100000 100000 255\n", 21, "too large");
    check_hostile("P6 9999999999 9999999999 255\n", 29, "too large");
    check_hostile("P6 0 5 255\n", 11, "empty");
    check_hostile("P6 10000 10000 255\n", 19, "truncated");
    check_hostile("P3 2 1 255\n1 2 3 4 5 999", 24, "at most 255");
    check_hostile("P3 1 1 70000\n1 2 3", 18, "largest value");
    check_hostile("P2 1 1 255\n-1", 13, "not a number");
    check_hostile("BM", 2, "truncated");
    check_hostile("\xff\xd8\xff", 3, "JPEG");
    check_hostile("RIFF\x04\0\0\0WEBP", 12, "WebP");
    check_hostile("GIF89a", 6, "GIF");
    check_hostile("", 0, "empty");
    check_hostile("hello", 5, "not a picture");
}

/* A progressive file whose last scan is repeated for ever would take hours: refused early. The
 * scan is the last one of a sound file. */
static void endless_scans(void **state)
{
    (void)state;
    enum { REPEAT = 3000 };
    size_t n, last = 0;
    unsigned char *bytes = case_bytes("valid", "j_prog_420.jpg", &n);
    for (size_t i = 0; i + 1 < n; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xda)
            last = i;
    assert_true(last > 0);
    size_t scan = n - 2 - last, size = n + REPEAT * scan;
    unsigned char *bomb = mem_alloc(size);
    memcpy(bomb, bytes, n - 2);
    for (size_t k = 0; k < REPEAT; k++)
        memcpy(bomb + n - 2 + k * scan, bytes + last, scan);
    memcpy(bomb + size - 2, "\xff\xd9", 2);
    check_hostile(bomb, size, "too many scans");
    mem_free(bomb);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_files),
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(endless_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
