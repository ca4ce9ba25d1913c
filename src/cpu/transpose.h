/* cpu/transpose.h: a block of VL x VL 32-bit words, transposed in registers. For the kernel files; moves
 * words and computes nothing. */
#ifndef CPU_TRANSPOSE_H
#define CPU_TRANSPOSE_H

#include "cpu/vec.h"

/* Words of two vectors, the second's numbered from VL on. ZIP takes turns, the lower and the upper
 * halves of each 128-bit lane; EVEN and ODD are whole lanes. Each is one instruction everywhere. */
#if VL == 16
#define ZIP_LOW    0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define ZIP_HIGH   2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define EVEN_LANES 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define ODD_LANES  4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#elif VL == 8
#define ZIP_LOW    0, 8, 1, 9, 4, 12, 5, 13
#define ZIP_HIGH   2, 10, 3, 11, 6, 14, 7, 15
#define EVEN_LANES 0, 1, 2, 3, 8, 9, 10, 11
#define ODD_LANES  4, 5, 6, 7, 12, 13, 14, 15
#else
#define ZIP_LOW  0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#endif

/* Rows i and i + distance become the two shuffles of them. */
VEC_INLINE void zip_rows(vi r[VL], const int distance)
{
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++)
        if (!(i & distance)) {
            vi a = r[i], b = r[i + distance];
            r[i] = __builtin_shufflevector(a, b, ZIP_LOW);
            r[i + distance] = __builtin_shufflevector(a, b, ZIP_HIGH);
        }
}

#if VL > 4
VEC_INLINE void part_lanes(vi r[VL], const int distance)
{
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++)
        if (!(i & distance)) {
            vi a = r[i], b = r[i + distance];
            r[i] = __builtin_shufflevector(a, b, EVEN_LANES);
            r[i + distance] = __builtin_shufflevector(a, b, ODD_LANES);
        }
}
#endif

/* Squares of 4 x 4 words first, then the squares change places. */
VEC_INLINE void vi_transpose(vi r[VL])
{
    zip_rows(r, 2);
    zip_rows(r, 1);
#if VL > 4
    part_lanes(r, 4);
#endif
#if VL > 8
    part_lanes(r, 8);
#endif
}

#endif
