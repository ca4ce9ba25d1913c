/* The resize's kernels: every one that runs here gives the bytes of the one in plain C, whatever the size, the turn
 * and the alpha of what it reads, and Pillow's bytes. */
#include <stdlib.h>
#include "base/rng.h"
#include "image/pass.h"
#include "image_cases.h"

enum { MOST = 90, SOURCES = 400 };

static uint64_t drawn;

/* lo <= n <= hi */
static int between(int lo, int hi)
{
    return lo + (int)(rng_unit(7, drawn++) * (hi - lo + 1));
}

/* Kinds of a view: as it lies, from the right, from below, both, columns as rows. */
static View view_of(const uint8_t *data, int width, int height, int pixel, int turn, bool white)
{
    ptrdiff_t line = (ptrdiff_t)width * pixel;
    bool right = turn & 1, below = turn & 2, swap = turn & 4;
    ptrdiff_t along = right ? -pixel : pixel, across = below ? -line : line;
    return (View){
        .data = data + (right ? width - 1 : 0) * pixel + (below ? height - 1 : 0) * line,
        .width = swap ? height : width,
        .height = swap ? width : height,
        .right = swap ? across : along,
        .down = swap ? along : across,
        .white = white,
    };
}

static uint8_t *resized(const ResizeKernel *k, const View *v, int dw, int dh, bool vertical_first)
{
    Error e = {0};
    uint8_t *dst = mem_alloc((size_t)dw * (size_t)dh * 3);
    assert_non_null(dst);
    if (!resize_view_by(k, dst, dw, dh, v, vertical_first, &e))
        fail_msg("%s", e.message);
    return dst;
}

static void check_view(const View *v, int dw, int dh, bool vertical_first)
{
    const ResizeKernel *const *k = resize_kernels();
    uint8_t *want = resized(*k, v, dw, dh, vertical_first);
    for (k++; *k; k++) {
        uint8_t *got = resized(*k, v, dw, dh, vertical_first);
        if (memcmp(got, want, (size_t)dw * (size_t)dh * 3) != 0)
            fail_msg("%s: %d x %d -> %d x %d, right %td, down %td, white %d, vertical first %d",
                     (*k)->name, v->width, v->height, dw, dh, v->right, v->down, v->white,
                     vertical_first);
        mem_free(got);
    }
    mem_free(want);
}

/* Noise of 0 and 255 as well, which sums to the ends of the range and beyond. */
static uint8_t *pixels(size_t n)
{
    uint8_t *data = mem_alloc(n);
    int kind = between(0, 2);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        data[i] = kind == 0 ? between(0, 1) * 255 : kind == 1 ? (uint8_t)between(0, 255) : 255;
    return data;
}

/* The sanitizers see what is read beyond the pixels: they end where their block does. */
static void check_source(int width, int height, int dw, int dh)
{
    int pixel = between(3, 4), turn = between(0, 7);
    uint8_t *data = pixels((size_t)width * (size_t)height * (size_t)pixel);
    View v = view_of(data, width, height, pixel, turn, pixel == 4 && between(0, 1));
    check_view(&v, dw, dh, false);
    check_view(&v, dw, dh, true);
    check_view(&v, v.width, dh, false);
    check_view(&v, dw, v.height, false);
    check_view(&v, v.width, v.height, false);
    mem_free(data);
}

static void random_sizes(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    assert_string_equal(resize_kernels()[0]->name, "plain");
    for (int i = 0; i < SOURCES; i++)
        check_source(between(1, MOST), between(1, MOST), between(1, MOST), between(1, MOST));
    assert_int_equal(mem_in_use(), before);
}

static void edges(void **state)
{
    (void)state;
    static const int size[] = {1, 2, 3, 4, 5, 15, 16, 17, 33, 1000, 3001};
    enum { N = sizeof size / sizeof *size };
    for (int i = 0; i < N; i++) {
        check_source(size[i], 1, 7, 5);
        check_source(1, size[i], 7, 5);
        check_source(size[i], size[(i + 3) % N], 17, 16);
        check_source(size[i], 40, 1, 1);
    }
    check_source(LONG_AXIS, 3, 5, 2);
    check_source(LONG_AXIS + 1, 3, 5, 2);
    check_source(5, 5, 2000, 3);
}

/* None is left out by mistake. */
static void kernels_of_the_machine(void **state)
{
    (void)state;
    int n = 0;
    while (resize_kernels()[n])
        n++;
#if defined(__x86_64__)
    assert_int_equal(n, __builtin_cpu_supports("avx2") ? 3 : 2);
#elif defined(__aarch64__)
    assert_int_equal(n, 2);
#endif
}

static void pillow(void **state)
{
    (void)state;
    static const char *const file[] = {"chelsea.png", "j_300x500.jpg"};
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        Error e = {0};
        Picture want, p;
        snprintf(path, sizeof path, SOURCE_DIR "/tests/data/preprocess/ppm/%s.224.ppm", file[i]);
        assert_true(picture_load(&want, path, &e));
        snprintf(path, sizeof path, SOURCE_DIR "/tests/data/images/valid/%s", file[i]);
        assert_true(picture_load(&p, path, &e));
        View v = view_of(p.data, p.width, p.height, p.channels, 0, false);
        for (const ResizeKernel *const *k = resize_kernels(); *k; k++) {
            uint8_t *got = resized(*k, &v, 224, 224, false);
            assert_memory_equal(got, want.data, 224 * 224 * 3);
            mem_free(got);
        }
        picture_free(&want);
        picture_free(&p);
    }
}

static void check_weights(int n, int m)
{
    for (int i = 0; i < m; i += 1 + m / 50) {
        Target t = target_of(i, m, n);
        for (int s = t.lo; s < t.hi; s++) {
            int32_t w = target_weight(&t, s), high = weight_high(w), low = weight_low(w);
            if (abs(w) >= 2 << PRECISION || low < -2048 || low > 2047 ||
                high * (1 << LOW_BITS) + low != w)
                fail_msg("%d to %d, target %d, source %d: %d = %d, %d", n, m, i, s, w, high, low);
        }
    }
}

static void weights_fit(void **state)
{
    (void)state;
    for (int n = 1; n <= 40; n++)
        for (int m = 1; m <= 40; m++)
            check_weights(n, m);
    for (int i = 0; i < 200; i++)
        check_weights(between(1, 6000), between(1, 1000));
}

/* Every value under every alpha. */
static void over_white(void **state)
{
    (void)state;
    enum { N = 256 * 256 };
    uint8_t *src = mem_alloc(4 * N), *want = mem_alloc(4 * N), *got = mem_alloc(4 * N);
    const ResizeKernel *const *k = resize_kernels();
    for (int i = 0; i < N; i++) {
        uint8_t v = (uint8_t)(i & 255);
        memcpy(src + 4 * (size_t)i, (uint8_t[4]){v, 255 - v, v ^ 0x55, (uint8_t)(i >> 8)}, 4);
    }
    (*k)->white(want, src, N);
    for (k++; *k; k++) {
        (*k)->white(got, src, N);
        for (size_t i = 0; i < 4 * N; i++)
            if (i % 4 != 3 && got[i] != want[i])
                fail_msg("%s: byte %zu: %d, expected %d", (*k)->name, i, got[i], want[i]);
    }
    mem_free(src);
    mem_free(want);
    mem_free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sizes),
        cmocka_unit_test(edges),
        cmocka_unit_test(kernels_of_the_machine),
        cmocka_unit_test(pillow),
        cmocka_unit_test(weights_fit),
        cmocka_unit_test(over_white),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
