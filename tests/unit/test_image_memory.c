/* Every allocation of our own (and of libpng, which lets us) fails once: the error says so, and
 * nothing leaks. */
#include "image_cases.h"

static bool decode_and_prepare(const unsigned char *bytes, size_t n, const char *file, Error *e)
{
    static float out[3 * 40 * 30];
    PrepareSpec spec = prepare_default(40);
    spec.height = 30;
    Picture p;
    bool ok = picture_decode(&p, bytes, n, file, e);
    for (int route = ROUTE_OWN; ok && route <= ROUTE_HF; route++)
        ok = picture_prepare(out, &p, (PrepareRoute)route, &spec, e);
    picture_free(&p);
    return ok;
}

static void check_file(const char *folder, const char *file)
{
    size_t n;
    unsigned char *bytes = case_bytes(folder, file, &n);
    size_t before = mem_in_use();
    bool done = false;
    for (long k = 1; !done; k++) {
        Error e = {0};
        mem_fail_at(k);
        bool ok = decode_and_prepare(bytes, n, file, &e);
        done = !mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(mem_in_use(), before);
        if (done && !ok)
            fail_msg("%s: %s", file, e.message);
        if (!done && (ok || e.code != ERR_MEMORY))
            fail_msg("%s: allocation %ld: code %d: %s", file, k, e.code, e.message);
        assert_true(k < 1000);
    }
    mem_free(bytes);
}

static void all_kinds(void **state)
{
    (void)state;
    static const char *const files[][2] = {
        {"valid", "j_cmyk.jpg"},
        {"valid", "j_exif6.jpg"},
        {"valid", "j_prog_420.jpg"},
        {"valid", "p_rgba8_interlaced.png"},
        {"valid", "p_pal16_trns.png"},
        {"valid", "p_exif6.png"},
        {"valid", "p_g16.png"},
        {"valid", "w_lossy_alpha.webp"},
        {"valid", "w_anim.webp"},
        {"valid", "g_trans.gif"},
        {"valid", "b_8.bmp"},
        {"valid", "n_ppm.ppm"},
        {"oriented", "j_joined.jpg"},
        {"oriented", "p_raw_ztxt.png"},
        {"oriented", "p_xmp_itxt_packed.png"},
        {"tiff", "ii_tiles.tif"},
        {"tiff", "YCbCr_jpeg.tif"},
        {"tiff", "P_packbits.tif"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        check_file(files[i][0], files[i][1]);
}

static void load_from_disk(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    bool hit = true;
    for (long k = 1; hit; k++) {
        Picture p;
        Error e = {0};
        mem_fail_at(k);
        bool ok = picture_load(&p, SOURCE_DIR "/tests/data/images/valid/b_24.bmp", &e);
        hit = mem_fail_hit();
        mem_fail_at(0);
        assert_true(ok == !hit);
        assert_true(ok || e.code == ERR_MEMORY);
        picture_free(&p);
        assert_int_equal(mem_in_use(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds),
        cmocka_unit_test(load_from_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
