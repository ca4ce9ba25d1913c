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

/* A sound progressive file whose last scan is repeated; mem_free it. */
static unsigned char *repeated_scan(size_t repeat, size_t *size)
{
    size_t n, last = 0;
    unsigned char *bytes = case_bytes("valid", "j_prog_420.jpg", &n);
    for (size_t i = 0; i + 1 < n; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xda)
            last = i;
    assert_true(last > 0);
    size_t scan = n - 2 - last;
    *size = n + repeat * scan;
    unsigned char *bomb = mem_alloc(*size);
    memcpy(bomb, bytes, n - 2);
    for (size_t k = 0; k < repeat; k++)
        memcpy(bomb + n - 2 + k * scan, bytes + last, scan);
    memcpy(bomb + *size - 2, "\xff\xd9", 2);
    mem_free(bytes);
    return bomb;
}

static void put32(unsigned char *to, size_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(v >> 8 * i);
}

static void put_tag(unsigned char *to, unsigned tag, size_t count, size_t value)
{
    put32(to, tag | 4u << 16); /* LONG */
    put32(to + 4, count);
    put32(to + 8, value);
}

/* A TIFF of grey strips that all are the same JPEG; mem_free it. */
static unsigned char *tiff_of(const unsigned char *jpeg, size_t n, size_t width, size_t rows,
                              size_t strips, size_t *size)
{
    size_t at = 8 + (n + 1) / 2 * 2, lists = at + 2 + 9 * 12 + 4;
    *size = lists + 8 * strips;
    unsigned char *t = mem_calloc(1, *size), *tag = t + at + 2;
    memcpy(t, "II*\0", 4);
    put32(t + 4, at);
    memcpy(t + 8, jpeg, n);
    t[at] = 9;
    put_tag(tag, 256, 1, width);
    put_tag(tag + 12, 257, 1, rows * strips);
    put_tag(tag + 24, 258, 1, 8);
    put_tag(tag + 36, 259, 1, 7); /* JPEG */
    put_tag(tag + 48, 262, 1, 1); /* black is zero */
    put_tag(tag + 60, 273, strips, strips > 1 ? lists : 8);
    put_tag(tag + 72, 277, 1, 1);
    put_tag(tag + 84, 278, 1, rows);
    put_tag(tag + 96, 279, strips, strips > 1 ? lists + 4 * strips : n);
    for (size_t i = 0; i < strips; i++) {
        put32(t + lists + 4 * i, 8);
        put32(t + lists + 4 * strips + 4 * i, n);
    }
    return t;
}

/* A progressive file whose last scan is repeated for ever would take hours: refused early, also as the strips
 * of a TIFF, however they share its scans. */
static void endless_scans(void **state)
{
    (void)state;
    static const struct {
        size_t repeat, width, rows, strips;
        const char *want;
    } TIFFS[] = {{3000, 64, 64, 1, "too many scans"},
                 {90, 8000, 8000, 1, "too many scans"},
                 {90, 8000, 3000, 3, "too many scans"},
                 {90, 64, 64, 100, "share their bytes"}};
    size_t n, size;
    unsigned char *bomb = repeated_scan(3000, &n);
    check_hostile(bomb, n, "too many scans");
    mem_free(bomb);
    for (size_t i = 0; i < sizeof TIFFS / sizeof *TIFFS; i++) {
        bomb = repeated_scan(TIFFS[i].repeat, &n);
        unsigned char *t = tiff_of(bomb, n, TIFFS[i].width, TIFFS[i].rows, TIFFS[i].strips, &size);
        check_hostile(t, size, TIFFS[i].want);
        mem_free(t);
        mem_free(bomb);
    }
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
