/* Panels of int4: their order, byte by byte; the error of the scale against every scale of a fine grid; weights that
 * are no numbers, too small or too large. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/rng.h"
#include "tensor/panel.h"

enum { BLOCK = 576 }; /* bytes of 32 outputs and 32 inputs */

/* [block of inputs][scales as f16[32], then [4][32][4] bytes], said index by index. */
static int stored(const unsigned char *panels, size_t out, size_t in, size_t cols)
{
    size_t blocks = (cols + 31) / 32;
    const unsigned char *b = panels + (out / 32 * blocks + in / 32) * BLOCK;
    size_t k = in % 32, g = k / 8, j = k % 4;
    int two = b[64 + g * 128 + out % 32 * 4 + j];
    return (k % 8 < 4 ? two % 16 : two / 16) - 8;
}

static float scale_of(const unsigned char *panels, size_t out, size_t in, size_t cols)
{
    size_t blocks = (cols + 31) / 32;
    const unsigned char *b = panels + (out / 32 * blocks + in / 32) * BLOCK + out % 32 * 2;
    return f16_to_f32((uint16_t)(b[0] | b[1] << 8));
}

static unsigned char *quantised(const float *w, size_t rows, size_t cols)
{
    const size_t one = (cols + 31) / 32 * BLOCK;
    unsigned char *panels = mem_alloc((rows + 31) / 32 * one);
    for (size_t i = 0; i < rows; i += 32)
        panel_quantise_i4(panels + i / 32 * one, w + i * cols, rows - i < 32 ? rows - i : 32, cols);
    return panels;
}

static void sizes(void **state)
{
    assert_int_equal(panel_bytes(I4, 1), BLOCK);
    assert_int_equal(panel_bytes(I4, 32), BLOCK);
    assert_int_equal(panel_bytes(I4, 33), 2 * BLOCK);
    assert_int_equal(panels_bytes(I4, 33, 65), 6 * BLOCK);
    assert_int_equal(panel_bytes(BF16, 3), 32 * 4 * 2);
}

/* Integers times a power of two come back as they were: no other order would give that. */
static void order(void **state)
{
    enum { ROWS = 70, COLS = 77 };
    float *w = mem_alloc(sizeof *w * ROWS * COLS), row[COLS];
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < COLS; k++)
            w[i * COLS + k] = (k % 32 == 5 ? -8 : (float)(rng_u64(3, i * COLS + k) % 16) - 8) *
                              ldexpf(1, (int)(i % 9) - (int)(k / 32));
    unsigned char *panels = quantised(w, ROWS, COLS);
    for (size_t i = 0; i < 96; i++)
        for (size_t k = 0; k < 96; k++) {
            float got = (float)stored(panels, i, k, COLS) * scale_of(panels, i, k, COLS);
            float want = i < ROWS && k < COLS ? w[i * COLS + k] : 0;
            if (got != want)
                fail_msg("output %zu, input %zu: expected %g, got %g", i, k, (double)want,
                         (double)got);
        }
    for (size_t i = 0; i < ROWS; i++) {
        panel_i4_to_row(row, panels, i, 0, COLS, COLS);
        assert_memory_equal(row, w + i * COLS, sizeof row);
        panel_i4_to_row(row, panels, i, 31, 3, COLS);
        assert_memory_equal(row, w + i * COLS + 31, 3 * sizeof *row);
    }
    mem_free(panels);
    mem_free(w);
}

static double error_at(const float *w, double scale)
{
    double sum = 0;
    for (int i = 0; i < 32; i++) {
        double q = rint((double)w[i] / scale);
        q = q < -8 ? -8 : q > 7 ? 7 : q;
        sum += ((double)w[i] - q * scale) * ((double)w[i] - q * scale);
    }
    return sum;
}

/* The least error over 2000 scales of either sign; q is the best for each. */
static double least_error(const float *w)
{
    double top = 0, least = INFINITY;
    for (int i = 0; i < 32; i++)
        top = fabs((double)w[i]) > top ? fabs((double)w[i]) : top;
    for (int i = -1000; i <= 1000; i++)
        if (i)
            least = fmin(least, error_at(w, top / 4 * i / 1000));
    return least;
}

/* On normal weights, all in all: within 3 % of the best scales' error (root mean square); the plain scale, the extreme
 * at 7, is 8 % above them or more. */
static void scales_are_good(void **state)
{
    enum { N = 200 };
    double best = 0, ours = 0, plain = 0;
    for (size_t b = 0; b < N; b++) {
        float w[32], back[32], top = 0;
        for (size_t i = 0; i < 32; i++) {
            w[i] = 0.02f * (float)rng_normal(8, b * 32 + i);
            top = fmaxf(top, fabsf(w[i]));
        }
        unsigned char *panel = quantised(w, 1, 32);
        panel_i4_to_row(back, panel, 0, 0, 32, 32);
        for (int i = 0; i < 32; i++)
            ours += ((double)w[i] - (double)back[i]) * ((double)w[i] - (double)back[i]);
        best += least_error(w);
        plain += error_at(w, (double)top / 7);
        mem_free(panel);
    }
    if (!(sqrt(ours / best) < 1.03 && sqrt(plain / best) > 1.08))
        fail_msg("the error is %g times the least one, the plain scale's %g", sqrt(ours / best),
                 sqrt(plain / best));
}

/* What a block may hold in its first weight, beside a 1 in another row, and in the next block. */
static void odd_weights(void **state)
{
    static const struct {
        float w;
        int scale; /* 0: zero, 1: some, 2: NaN */
    } CASES[] = {{0, 0},    {NAN, 2},   {INFINITY, 2}, {-INFINITY, 2}, {1e-40f, 0}, {-1e-30f, 0},
                 {1e6f, 2}, {3e38f, 2}, {4e5f, 1},     {-4e5f, 1},     {-3e-5f, 1}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        float w[2 * 64] = {CASES[i].w}, back[64];
        w[40] = w[64] = 1;
        unsigned char *panel = quantised(w, 2, 64);
        float scale = scale_of(panel, 0, 0, 64);
        assert_int_equal(isnan(scale) ? 2 : scale != 0, CASES[i].scale);
        panel_i4_to_row(back, panel, 0, 0, 64, 64);
        for (int k = 0; k < 32; k++)
            assert_int_equal(isnan(back[k]), CASES[i].scale == 2);
        if (CASES[i].scale == 1)
            assert_true(fabsf(back[0] - CASES[i].w) <= 0.01f * fabsf(CASES[i].w));
        assert_true(back[40] == 1); /* another block */
        panel_i4_to_row(back, panel, 1, 0, 64, 64);
        assert_true(back[0] == 1 && back[1] == 0); /* another output */
        mem_free(panel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(order),
        cmocka_unit_test(scales_are_good),
        cmocka_unit_test(odd_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
