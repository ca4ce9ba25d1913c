/* What is no picture that we read is called by its name; AVIF where libheif is. */
#include "image_cases.h"

#include "image/decode.h"

static void check_name(const char *bytes, size_t n, const char *want)
{
    Picture p;
    Error e = {0};
    assert_false(picture_decode(&p, bytes, n, "a", &e));
    assert_int_equal(e.code, ERR_FAILED);
    if (!strstr(e.message, want))
        fail_msg("%s, expected %s", e.message, want);
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *want;
    } table[] = {
        {"\xff\x0a\xfa\x7f", 4, "the file is JPEG XL, expected JPEG, PNG,"},
        {"\0\0\0\x0cJXL \r\n\x87\n\0\0\0", 15, "JPEG XL"},
        {"\0\0\0\x0cjP  \r\n\x87\n\0\0\0", 15, "JPEG 2000"},
        {"\xff\x4f\xff\x51\0\x2f", 6, "JPEG 2000"},
        {"8BPS\0\1", 6, "PSD"},
        {"%PDF-1.7\n", 9, "PDF"},
        {"\0\0\1\0\1\0", 6, "ICO"},
        {"<svg xmlns=", 11, "SVG"},
        {"\xef\xbb\xbf\n <?xml version=\"1.0\"?>\n<!-- a -->\n<svg width=", 50, "SVG"},
        {"<?xml version=\"1.0\"?><note/>", 28, "XML"},
        {"<!DOCTYPE html><html>", 21, "HTML"},
        {"\0\0\0\x20"
         "ftypisom",
         12, "video"},
        {"version https://git-lfs.github.com/spec/v1\noid", 46, "Git LFS"},
        {"RIFF\4\0\0\0WAVEfmt ", 16, "not a picture, expected JPEG, PNG,"},
        {"abcdefgh", 8, "not a picture"},
        {"<", 1, "not a picture"},
        {" \n\t", 3, "not a picture"},
        {"II", 2, "not a picture"},
        {"", 0, "empty"},
        {"\0\0\0\x1c"
         "ftypheic\0\0\0\0",
         16, "HEI"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        check_name(table[i].bytes, table[i].n, table[i].want);
}

/* What Pillow 13 makes of these files, which it wrote, turned: two decoders' roundings apart. The second
 * tells in EXIF and in the container that it is to be turned, which must happen once. */
static void check_avif(const char *file, int w, int h, int channels, const char *hex)
{
    size_t n;
    unsigned char *bytes = case_bytes("heif", file, &n);
    Picture p;
    Error e = {0};
    bool ok = picture_decode(&p, bytes, n, file, &e);
    mem_free(bytes);
    if (!ok && strstr(e.message, "libheif"))
        skip();
    if (!ok)
        fail_msg("%s", e.message);
    assert_int_equal(p.width, w);
    assert_int_equal(p.height, h);
    assert_int_equal(p.channels, channels);
    assert_int_equal(p.orientation, 1);
    for (int i = 0; i < w * h * channels; i++) {
        int v = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", (unsigned *)&v), 1);
        assert_in_range(p.data[i] + 3 - v, 0, 6);
    }
    picture_free(&p);
}

static void avif(void **state)
{
    (void)state;
    check_avif(
        "rgb.avif", 6, 4, 3,
        "0806fe3105df5906c18205a5a90586d205680942f43141d55942b782419ba9417cd2415e097eea317ecc597d"
        "ad817e91a97d72d17e5409bae031bac259b9a381ba87aab968d2ba4a");
    check_avif(
        "turned.avif", 4, 6, 3,
        "09bae0097eea0942f40806fe31bac2317ecc3141d53105df59b9a3597dad5942b75906c181ba87817e918241"
        "9b8205a5aab968a97d72a9417ca90586d2ba4ad17e54d2415ed20568");
    check_avif(
        "alpha.avif", 6, 4, 4,
        "0a05fe003305e00a5a05c3148205a51eaa058628d20568320a41f43c3242d8465a41b95082419b5aaa407c64"
        "d241606e0a7dea78327dce82597daf8c827d9196a97d72a0d37d56aa09b9e1b432b9c3be59b9a5c883b987d2"
        "aab86adcd2b94ce6");
}

/* A file cut anywhere is an error. */
static void cut(void **state)
{
    (void)state;
    size_t n;
    unsigned char *bytes = case_bytes("heif", "alpha.avif", &n);
    for (size_t i = 0; i < n; i += 3) {
        Picture p;
        Error e = {0};
        assert_false(picture_decode(&p, bytes, i, "a", &e));
        assert_null(p.data);
        assert_int_equal(e.code, ERR_FAILED);
    }
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(avif),
        cmocka_unit_test(cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
