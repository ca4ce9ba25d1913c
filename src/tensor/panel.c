/* tensor/panel.c: see tensor/panel.h. */
#include "tensor/panel.h"

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

/* 32 outputs side by side, so that each step is the same one for all of them: 32 weights of each, then of each what is
 * known by now. */
typedef struct Block {
    float w[I4_BLOCK][PANEL];
    float first[PANEL]; /* AT / this is what a candidate multiplies weights with; 0: none fits */
    float gain
        [PANEL]; /* of the best candidate: how much less the squared error is than all squares */
    float scale[PANEL],
        up[PANEL]; /* its scale, and what it multiplies weights with; 0: all integers are 0 */
} Block;

static void take_block(Block *b, const float *rows, size_t n, size_t cols, size_t first)
{
    const size_t some = cols - first < I4_BLOCK ? cols - first : I4_BLOCK;
    if (n < PANEL || some < I4_BLOCK)
        memset(b->w, 0, sizeof b->w);
    for (size_t out = 0; out < n; out++)
        for (size_t k = 0; k < some; k++)
            b->w[k][out] = rows[out * cols + first + k];
}

static int32_t bits_of(float f)
{
    int32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float of_bits(int32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The weight of the largest size is where candidates start. No scale is right for what is no number or too large for f16
 * to tell: NaN. The bits of floats above 0 are in their order, with infinity and then NaN at the end. */
static void find_extremes(Block *b)
{
    const float large = 5e5f, top_at = 10;
    int32_t most[PANEL] = {0}, least[PANEL] = {0};
    for (int k = 0; k < I4_BLOCK; k++)
#pragma omp simd
        for (int out = 0; out < PANEL; out++) {
            int32_t bits = bits_of(b->w[k][out]), minus = bits ^ INT32_MIN;
            most[out] = bits > most[out] ? bits : most[out];
            least[out] = minus > least[out] ? minus : least[out];
        }
    for (int out = 0; out < PANEL; out++) {
        bool above = most[out] > least[out], odd = (above ? most : least)[out] > bits_of(large);
        float top = above ? of_bits(most[out]) : -of_bits(least[out]);
        b->first[out] = odd || !isfinite(top_at / top) ? 0 : 1 / top;
        b->scale[out] = odd ? NAN : 0;
        b->up[out] = b->gain[out] = 0;
    }
}

/* The nearest integer within -8..7, ties to even, of a number that is not far beyond. Clamped as an integer: compilers do
 * that side by side, while comparing floats might trap. */
static inline int rounded(float x)
{
    const float shift =
        0x1.8p23f; /* beyond it a float has no fraction: the integer stands in its last bits */
    int32_t bits = bits_of(x + shift) - bits_of(shift);
    bits = bits < -8 ? -8 : bits;
    return bits > 7 ? 7 : bits;
}

static void keep_better(Block *b, int out, float up, float wq, float qq)
{
    float gain = wq * wq / qq;
    if (up == 0 || !(gain > b->gain[out]))
        return;
    b->gain[out] = gain;
    b->scale[out] = wq / qq;
    b->up[out] = up;
}

/* The integers q that w * up gives, and the scale that fits them best by least squares, sum(wq) / sum(qq), leave an
 * error of sum(ww) - sum(wq)^2 / sum(qq). */
static void try_candidate(Block *b, float at)
{
    enum { SOME = 8 }; /* whose sums stay in registers */
    for (int first = 0; first < PANEL; first += SOME) {
        float up[SOME], wq[SOME] = {0}, qq[SOME] = {0};
        for (int i = 0; i < SOME; i++)
            up[i] = at * b->first[first + i];
        for (int k = 0; k < I4_BLOCK; k++)
#pragma omp simd
            for (int i = 0; i < SOME; i++) {
                float w = b->w[k][first + i], q = (float)rounded(w * up[i]);
                wq[i] += w * q;
                qq[i] += q * q;
            }
        for (int i = 0; i < SOME; i++)
            keep_better(b, first + i, up[i], wq[i], qq[i]);
    }
}

static void put_block(unsigned char *to, const Block *b)
{
    int q[I4_BLOCK][PANEL];
    for (int k = 0; k < I4_BLOCK; k++)
#pragma omp simd
        for (int out = 0; out < PANEL; out++)
            q[k][out] = rounded(b->w[k][out] * b->up[out]);
    for (size_t out = 0; out < PANEL; out++) {
        uint16_t scale = f32_to_f16(b->scale[out]);
        memcpy(to + 2 * out, &scale, sizeof scale);
        unsigned char *at = to + I4_SCALES + 4 * out;
        for (size_t g = 0; g < 4; g++)
            for (size_t j = 0; j < 4; j++)
                at[g * 4 * PANEL + j] =
                    (unsigned char)(q[8 * g + j][out] + 8 + 16 * (q[8 * g + 4 + j][out] + 8));
    }
}

/* The extreme weight becomes -8 or near it, whatever its sign, since -8 has no counterpart. Beyond eight candidates
 * little is gained: 0.0812 of the size of normal weights, with forty 0.0811, with -8 alone 0.0861. */
void panel_quantise_i4(void *panel, const float *rows, size_t n, size_t cols)
{
    static const float AT[] = {-8, -6.4f, -6.8f, -7.2f, -7.6f, -8.4f, -8.8f, -9.2f};
    unsigned char *to = panel;
    Block b;
    for (size_t first = 0; first < cols; first += I4_BLOCK, to += I4_BYTES) {
        take_block(&b, rows, n, cols, first);
        find_extremes(&b);
        for (size_t i = 0; i < sizeof AT / sizeof *AT; i++)
            try_candidate(&b, AT[i]);
        put_block(to, &b);
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
