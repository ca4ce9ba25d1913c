/* Damaged and hostile files: a clean one-line error where Pillow fails, the same pixels or a clean
 * error where it does not. */
#include "image_cases.h"

#include "base/sys.h"

static void check_error(const char *file, const Error *e)
{
    char start[256];
    snprintf(start, sizeof start, "%s: ", file);
    assert_int_equal(e->code, ERR_FAILED);
    assert_memory_equal(e->message, start, strlen(start));
    assert_null(strchr(e->message, '\n'));
}

static bool must_load(const char *file)
{
    return strcmp(file, "jpeg_named.png") == 0 || strcmp(file, "png_named.jpg") == 0;
}

static void check_file(const json_t *row)
{
    const char *file = text_of(row, "file");
    bool ok = json_is_true(json_object_get(row, "ok"));
    size_t n, before = mem_in_use();
    unsigned char *bytes = case_bytes("malformed", file, &n);
    double start = now_ms();
    Picture p;
    Error e = {0};
    if (picture_decode(&p, bytes, n, file, &e)) {
        if (!ok)
            fail_msg("%s: loaded, expected an error", file);
        check_route(&p, file, "rgb", ROUTE_LAVIS, p.width, p.height, text_of(row, "rgb"));
    } else {
        if (must_load(file))
            fail_msg("%s", e.message);
        assert_null(p.data);
        check_error(file, &e);
    }
    if (now_ms() - start > 2000)
        fail_msg("%s: %.0f ms", file, now_ms() - start);
    picture_free(&p);
    mem_free(bytes);
    assert_int_equal(mem_in_use(), before);
}

static void all_files(void **state)
{
    (void)state;
    assert_int_equal(each_case("malformed.jsonl", check_file), 67);
}

/* A picture cut anywhere is an error or the whole picture, and nothing leaks. */
static void check_cuts(const char *file, size_t step)
{
    size_t n, before = mem_in_use();
    unsigned char *bytes = case_bytes("valid", file, &n);
    for (size_t cut = 0; cut < n; cut += step) {
        Picture p;
        Error e = {0};
        unsigned char *part = mem_alloc(cut); /* its own block: reading on is seen by ASan */
        memcpy(part, bytes, cut);
        if (!picture_decode(&p, part, cut, file, &e))
            check_error(file, &e);
        picture_free(&p);
        mem_free(part);
    }
    mem_free(bytes);
    assert_int_equal(mem_in_use(), before);
}

static void truncation(void **state)
{
    (void)state;
    check_cuts("j_7x5.jpg", 1);
    check_cuts("j_gray_prog.jpg", 37);
    check_cuts("j_arith.jpg", 97);
    check_cuts("p_pal2.png", 1);
    check_cuts("p_rgba8_interlaced.png", 191);
    check_cuts("w_lossy_alpha.webp", 11);
    check_cuts("w_anim.webp", 31);
    check_cuts("g_trans.gif", 41);
    check_cuts("b_1.bmp", 11);
    check_cuts("b_32.bmp", 227);
    check_cuts("n_pgm.pgm", 61);
}

static void missing_file(void **state)
{
    (void)state;
    Picture p;
    Error e = {0};
    assert_false(picture_load(&p, "/nonexistent/a.jpg", &e));
    assert_null(p.data);
    assert_int_equal(e.code, ERR_FAILED);
    e = (Error){0};
    assert_false(picture_load(&p, "/", &e));
    assert_null(p.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_files),
        cmocka_unit_test(truncation),
        cmocka_unit_test(missing_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
