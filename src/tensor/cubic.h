/* tensor/cubic.h: the taps of bicubic interpolation, for resize_grid and its backward, of every backend. */
#ifndef TENSOR_CUBIC_H
#define TENSOR_CUBIC_H

#include <math.h>
#include <stdbool.h>

/* A kernel of a card calls functions of the card. */
#ifdef __CUDACC__
#define CUBIC_FN __device__ static inline
#else
#define CUBIC_FN static inline
#endif

/* Where output i of o lies among n inputs. corners: the outermost of both are the same points; else their
 * borders are (torch's area_pixel_compute_source_index). */
CUBIC_FN float cubic_source(int i, int n, int o, bool corners)
{
    if (corners)
        return o > 1 ? (float)i * ((float)(n - 1) / (float)(o - 1)) : 0;
    return ((float)i + 0.5f) * (float)n / (float)o - 0.5f;
}

/* Four taps of Keys' cubic (a = -0.75) around the source of output i of o, of n inputs. */
CUBIC_FN void cubic_taps(int i, int n, int o, bool corners, int index[4], float weight[4])
{
    const float A = -0.75f;
    float s = cubic_source(i, n, o, corners), t = s - floorf(s);
    int base = (int)floorf(s) - 1;
    for (int j = 0; j < 4; j++) {
        float x = fabsf(t + 1 - (float)j);
        int at = base + j;
        index[j] = at < 0 ? 0 : at >= n ? n - 1 : at;
        weight[j] = x <= 1 ? ((A + 2) * x - (A + 3)) * x * x + 1
                           : ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
    }
}

/* The sixteen rows of the table, and their weights, that position (y, x) of gh x gw is made of. Row 0
 * of the table does not belong to the grid. */
typedef struct GridTaps {
    int row[16];
    float weight[16];
} GridTaps;

CUBIC_FN GridTaps grid_taps(int position, int grid, int gh, int gw, bool corners)
{
    GridTaps t;
    int y[4], x[4];
    float wy[4], wx[4];
    cubic_taps(position / gw, grid, gh, corners, y, wy);
    cubic_taps(position % gw, grid, gw, corners, x, wx);
    for (int j = 0; j < 16; j++) {
        t.row[j] = 1 + y[j / 4] * grid + x[j % 4];
        t.weight[j] = wy[j / 4] * wx[j % 4];
    }
    return t;
}

#endif
