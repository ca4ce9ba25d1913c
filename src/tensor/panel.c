/* tensor/panel.c: see tensor/panel.h. */
#include "tensor/panel.h"

#include <float.h>
#include <math.h>

/* Inputs that lie beside each other, and numbers from such a group to the next. */
typedef struct Place {
    size_t group, step;
} Place;

static Place place_of(DType t)
{
    size_t g = panel_group(t);
    return (Place){g, PANEL * g};
}

/* Output `out` (0..31) of a panel, from a row of the matrix. */
static void spread(void *panel, const void *row, size_t out, DType t, size_t cols)
{
    const Place p = place_of(t);
    const size_t size = dtype_size(t);
    char *to = (char *)panel + out * p.group * size;
    for (size_t k = 0; k < cols; k++)
        memcpy(to + (k / p.group * p.step + k % p.group) * size, (const char *)row + k * size,
               size);
}

void panel_from_rows(void *panel, const void *rows, size_t n, DType t, size_t cols)
{
    const size_t size = dtype_size(t);
    if (n < PANEL || cols % panel_group(t))
        memset(panel, 0, size * panel_numbers(t, cols));
    for (size_t i = 0; i < n; i++)
        spread(panel, (const char *)rows + i * cols * size, i, t, cols);
}

void panel_to_row(void *to, const void *panels, size_t row, size_t first, size_t n, DType t,
                  size_t cols)
{
    const Place p = place_of(t);
    const size_t size = dtype_size(t);
    const char *from = (const char *)panels +
                       (row / PANEL * panel_numbers(t, cols) + row % PANEL * p.group) * size;
    for (size_t i = 0; i < n; i++) {
        size_t k = first + i;
        memcpy((char *)to + i * size, from + (k / p.group * p.step + k % p.group) * size, size);
    }
}

/* --- I4 --------------------------------------------------------------------------------------------- */

/* A block of one output: 32 integers and what multiplies them. */
typedef struct Block {
    float q[I4_BLOCK], scale, error; /* error: squared, of all weights */
} Block;

/* w * up rounded to the nearest integer, ties to even, within -8..7. */
static void round_block(float *q, const float *w, float up)
{
    const float shift = 0x1.8p23f; /* beyond it a float has no fraction */
#pragma omp simd
    for (int i = 0; i < I4_BLOCK; i++) {
        float x = w[i] * up;
        x = x < -8 ? -8 : x > 7 ? 7 : x;
        q[i] = (x + shift) - shift;
    }
}

/* The scale that fits the integers best by least squares, as f16 has it, and what it leaves. */
static void fit_scale(Block *b, const float *w)
{
    float wq = 0, qq = 0, error = 0;
#pragma omp simd reduction(+ : wq, qq)
    for (int i = 0; i < I4_BLOCK; i++) {
        wq += w[i] * b->q[i];
        qq += b->q[i] * b->q[i];
    }
    float scale = f16_to_f32(f32_to_f16(qq > 0 ? wq / qq : 0));
#pragma omp simd reduction(+ : error)
    for (int i = 0; i < I4_BLOCK; i++) {
        float d = w[i] - scale * b->q[i];
        error += d * d;
    }
    b->scale = scale;
    b->error = error;
}

/* The weight of the largest size; *odd: there are infinities or NaN. */
static float extreme(const float *w, bool *odd)
{
    float most = 0, least = 0;
    int bad = 0;
#pragma omp simd reduction(max : most) reduction(min : least) reduction(+ : bad)
    for (int i = 0; i < I4_BLOCK; i++) {
        most = w[i] > most ? w[i] : most;
        least = w[i] < least ? w[i] : least;
        bad += !(fabsf(w[i]) <= FLT_MAX);
    }
    *odd = bad > 0;
    return most > -least ? most : least;
}

/* The extreme weight becomes -8 or near it, whatever its sign, since -8 has no counterpart. Beyond eight candidates
 * little is gained: 0.0812 of the size of normal weights, with forty 0.0811, with -8 alone 0.0861. */
static void quantise_block(Block *best, const float *w)
{
    static const float AT[] = {-8, -6.4f, -6.8f, -7.2f, -7.6f, -8.4f, -8.8f, -9.2f};
    enum { CANDIDATES = sizeof AT / sizeof *AT };
    const float large = 5e5f, top_at = 10;
    bool odd;
    const float top = extreme(w, &odd);
    *best = (Block){.scale = odd || fabsf(top) > large ? NAN : 0, .error = INFINITY};
    if (isnan(best->scale) || !isfinite(top_at / top))
        return;
    for (int i = 0; i < CANDIDATES; i++) {
        Block b;
        round_block(b.q, w, AT[i] / top);
        fit_scale(&b, w);
        if (b.error < best->error)
            *best = b;
    }
}

static void put_block(unsigned char *to, size_t out, const Block *b)
{
    const uint16_t scale = f32_to_f16(b->scale);
    memcpy(to + 2 * out, &scale, sizeof scale);
    unsigned char *at = to + I4_SCALES + 4 * out;
    for (size_t g = 0; g < 4; g++)
        for (size_t j = 0; j < 4; j++)
            at[g * 4 * PANEL + j] =
                (unsigned char)((int)b->q[8 * g + j] + 8 + (((int)b->q[8 * g + 4 + j] + 8) << 4));
}

void panel_quantise_i4(void *panel, const float *rows, size_t n, size_t cols)
{
    unsigned char *to = panel;
    for (size_t first = 0; first < cols; first += I4_BLOCK, to += I4_BYTES)
        for (size_t out = 0; out < PANEL; out++) {
            float w[I4_BLOCK] = {0};
            size_t some = cols - first < I4_BLOCK ? cols - first : I4_BLOCK;
            Block b;
            if (out < n)
                memcpy(w, rows + out * cols + first, some * sizeof *w);
            quantise_block(&b, w);
            put_block(to, out, &b);
        }
}

void panel_i4_to_row(float *to, const void *panels, size_t row, size_t first, size_t n, size_t cols)
{
    const size_t out = row % PANEL;
    const unsigned char *panel =
        (const unsigned char *)panels + row / PANEL * panel_bytes(I4, cols);
    for (size_t i = 0; i < n; i++) {
        const size_t k = first + i, in = k % I4_BLOCK;
        const unsigned char *block = panel + k / I4_BLOCK * I4_BYTES;
        uint16_t scale;
        memcpy(&scale, block + 2 * out, sizeof scale);
        int two = block[I4_SCALES + in / 8 * 4 * PANEL + 4 * out + in % 4];
        to[i] = f16_to_f32(scale) * (float)((in % 8 < 4 ? two & 15 : two >> 4) - 8);
    }
}
