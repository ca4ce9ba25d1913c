/* cpu/tile.h: the one register-blocked product that attention and the backward functions share.
 *
 *     C[mr, W] = A[mr, k] B[k, W]        (or C += ...)
 *
 * B is a panel: k rows of W = 2 VL neighbouring columns, `ldb` apart (W when packed). A and C are
 * tiles: MR rows of W floats, one after another, so that every address inside the kernel is one
 * pointer plus a constant. A longer A is a run of tiles, each with the next W columns.
 *
 * Every element of C is the sum over k in ascending order, one vf_fma per term: its bits do not
 * depend on mr, nor on how a caller cuts the rows into blocks, nor on a cut of k (TILE_ADD goes on
 * where the last call stopped). */
#ifndef CPU_TILE_H
#define CPU_TILE_H

#include "cpu/vec.h"

#if defined(VEC_AVX512)
#define MR 14 /* 28 sums, 2 of B and the broadcast: 31 of 32 registers */
#elif defined(__aarch64__)
#define MR 12
#else
#define MR 6 /* 12 sums, 2 of B and the broadcast: 15 of 16 registers */
#endif
#define W    (2 * VL)
#define TILE (MR * W) /* floats of a tile */

typedef enum TileStart { TILE_SET, TILE_ADD } TileStart;

/* Number of panels or tiles that n columns need. */
VEC_INLINE int panels(int n)
{
    return (n + W - 1) / W;
}

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Columns k0..k1 of A times rows k0..k1 of B; mr and nv (vectors per row, 1 or 2) are constants
 * after inlining. b points to row 0 of the panel, a to the first tile. */
VEC_INLINE void tile_body(const int mr, const int nv, const float *a, int k0, int k1,
                          const float *b, size_t ldb, float *c, TileStart start)
{
    vf sum[MR][2];
    UNROLL for (int i = 0; i < mr; i++)
    {
        sum[i][0] = start == TILE_ADD ? vf_loadu(c + i * W) : vf_zero();
        if (nv == 2)
            sum[i][1] = start == TILE_ADD ? vf_loadu(c + i * W + VL) : vf_zero();
    }
    b += (size_t)k0 * ldb;
    for (int k = k0; k < k1;) {
        const float *at = a + (k / W) * TILE;
        int end = (k / W + 1) * W;
        end = end < k1 ? end : k1;
        for (at += k % W; k < end; k++, at++, b += ldb) {
            vf b0 = vf_loadu(b), b1 = nv == 2 ? vf_loadu(b + VL) : vf_zero();
            UNROLL for (int i = 0; i < mr; i++)
            {
                vf x = vf_set1(at[i * W]);
                sum[i][0] = vf_fma(x, b0, sum[i][0]);
                if (nv == 2)
                    sum[i][1] = vf_fma(x, b1, sum[i][1]);
            }
        }
    }
    UNROLL for (int i = 0; i < mr; i++)
    {
        vf_storeu(c + i * W, sum[i][0]);
        if (nv == 2)
            vf_storeu(c + i * W + VL, sum[i][1]);
    }
}

/* The same for 1 <= mr <= MR and `cols` columns of interest (1..W): with cols <= VL only the first
 * half of the panel is computed. */
static void __attribute__((unused))
tile_product(int mr, int cols, const float *a, int k0, int k1, const float *b, size_t ldb, float *c,
             TileStart start)
{
#define TILE_CASE(n)                                                 \
    case 2 * n: tile_body(n, 1, a, k0, k1, b, ldb, c, start); break; \
    case 2 * n + 1: tile_body(n, 2, a, k0, k1, b, ldb, c, start); break;
    switch (2 * mr + (cols > VL)) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
#if MR >= 12
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
#endif
#if MR >= 14
        TILE_CASE(13)
        TILE_CASE(14)
#endif
    default: break;
    }
#undef TILE_CASE
}

/* Columns 0..least + i of A for row i: what a causal mask leaves (step 1), or 0..least for all rows
 * (step 0). No row touches more of B than it may: 0 * NaN would be NaN. */
static void __attribute__((unused))
tile_product_to(int mr, int cols, const float *a, int least, int step, const float *b, float *c)
{
    tile_product(mr, cols, a, 0, least, b, W, c, TILE_SET);
    for (int i = 1; step && i < mr; i++)
        tile_product(1, cols, a + i * W, least, least + i, b, W, c + i * W, TILE_ADD);
}

/* --- packing ----------------------------------------------------------------------------------- */

/* A tiles from mr rows of k floats, `ld` apart, times factor. */
VEC_INLINE void tile_pack(float *to, const float *from, size_t ld, int mr, int k, float factor)
{
    vf f = vf_set1(factor);
    for (int j = 0; j < k; j += VL) {
        float *t = to + (j / W) * TILE + j % W;
        for (int i = 0; i < mr; i++, t += W) {
            const float *p = from + (size_t)i * ld + j;
            vf_storeu(t, f * (k - j >= VL ? vf_loadu(p) : vf_load_n(p, k - j)));
        }
    }
}

/* A tiles of the transpose: from is [k, mr] with rows `ld` apart. */
VEC_INLINE void tile_pack_t(float *to, const float *from, size_t ld, int mr, int k)
{
    for (int j = 0; j < k; j++, from += ld) {
        float *t = to + (j / W) * TILE + j % W;
        for (int i = 0; i < mr; i++)
            t[i * W] = from[i];
    }
}

/* A panel of B from k rows of cols <= W floats, `ld` apart; missing columns become zero. */
VEC_INLINE void panel_pack(float *to, const float *from, size_t ld, int k, int cols)
{
    for (int j = 0; j < k; j++, from += ld, to += W) {
        if (cols == W) {
            vf_storeu(to, vf_loadu(from));
            vf_storeu(to + VL, vf_loadu(from + VL));
        } else {
            int first = cols < VL ? cols : VL;
            vf_storeu(to, vf_load_n(from, first));
            vf_storeu(to + VL, vf_load_n(from + first, cols - first));
        }
    }
}

/* A panel of B from the transpose: from is [n, k], n <= W rows `ld` apart that become columns;
 * missing columns become zero. Squares of 4 x 4 keep the reads and the writes near each other. */
VEC_INLINE void panel_pack_t(float *to, const float *from, size_t ld, int n, int k)
{
    typedef float f4 __attribute__((vector_size(16), aligned(4), may_alias));
    if (n < W)
        memset(to, 0, (size_t)k * W * sizeof(float));
    int c = 0;
    for (; c + 4 <= n; c += 4) {
        const float *p = from + (size_t)c * ld;
        int j = 0;
        for (; j + 4 <= k; j += 4) {
            f4 r0 = *(const f4 *)(p + j), r1 = *(const f4 *)(p + ld + j);
            f4 r2 = *(const f4 *)(p + 2 * ld + j), r3 = *(const f4 *)(p + 3 * ld + j);
            f4 a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
            f4 b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
            f4 e = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
            f4 f = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
            float *t = to + j * W + c;
            *(f4 *)t = __builtin_shufflevector(a, b, 0, 1, 4, 5);
            *(f4 *)(t + W) = __builtin_shufflevector(a, b, 2, 3, 6, 7);
            *(f4 *)(t + 2 * W) = __builtin_shufflevector(e, f, 0, 1, 4, 5);
            *(f4 *)(t + 3 * W) = __builtin_shufflevector(e, f, 2, 3, 6, 7);
        }
        for (; j < k; j++)
            for (int i = 0; i < 4; i++)
                to[j * W + c + i] = p[(size_t)i * ld + j];
    }
    for (; c < n; c++)
        for (int j = 0; j < k; j++)
            to[j * W + c] = from[(size_t)c * ld + j];
}

/* --- unpacking --------------------------------------------------------------------------------- */

/* to += the first `cols` columns of tile row c, times factor */
VEC_INLINE void tile_row_add(float *to, const float *c, int cols, float factor)
{
    vf f = vf_set1(factor);
    for (int j = 0; j < cols; j += VL) {
        int n = cols - j < VL ? cols - j : VL;
        if (n == VL)
            vf_storeu(to + j, vf_fma(vf_loadu(c + j), f, vf_loadu(to + j)));
        else
            vf_store_n(to + j, vf_fma(vf_loadu(c + j), f, vf_load_n(to + j, n)), n);
    }
}

/* to = the first `cols` columns of tile row c, times factor */
VEC_INLINE void tile_row_set(float *to, const float *c, int cols, float factor)
{
    vf f = vf_set1(factor);
    for (int j = 0; j < cols; j += VL) {
        int n = cols - j < VL ? cols - j : VL;
        if (n == VL)
            vf_storeu(to + j, vf_loadu(c + j) * f);
        else
            vf_store_n(to + j, vf_loadu(c + j) * f, n);
    }
}

#endif
