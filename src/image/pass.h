/* image/pass.h: one-dimensional passes of Pillow's bicubic resize (libImaging/Resample.c), bit for bit.
 * Internal to image/.
 *
 * Weights are in 22-bit fixed point, and the sums are rounded to 8 bits after each pass. The sums are
 * whole numbers modulo 2^32, so their order does not matter: rows are read once, from the first to
 * the last, and added to the sums of the few target rows that want them. */
#ifndef IMAGE_PASS_H
#define IMAGE_PASS_H

#include "image/resize.h"

/* In front of a loop: gcc vectorises such at -O2 only when asked. clang does it unasked, and would warn
 * where a sanitizer keeps it from it. */
#ifdef __clang__
#define VECTORISE(clauses)
#else
#define VECTORISE(clauses)   VECTORISE_TEXT(omp simd clauses)
#define VECTORISE_TEXT(text) _Pragma(#text)
#endif

enum { PRECISION = 22, HALF = 1 << (PRECISION - 1) };

static inline uint8_t clip8(uint32_t sum)
{
    int32_t v = (int32_t)sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* One target of an axis: it is the sum of the sources lo <= s < hi, times their weights. */
typedef struct Target {
    int lo, hi;
    double centre, inverse, total;
} Target;

/* Target i of m over n sources. */
Target target_of(int i, int m, int n);

/* The weight of source s, lo <= s < hi, times 2^PRECISION. */
int32_t target_weight(const Target *t, int s);

/* --- reading a view ------------------------------------------------------------------------------- */

/* n pixels of row y, from x on, as three planes of `plane` samples each: dot products over one axis
 * need neighbours side by side. */
void view_planes(int16_t *planes, size_t plane, const View *v, int x, int y, size_t n);

/* Row y as RGB: in room, or where it lies when it lies so. */
const uint8_t *view_row(uint8_t *room, const View *v, int y);

/* --- along a row ---------------------------------------------------------------------------------- */

/* The weights of a horizontal pass over rows of n pixels, and room for one such row. Target i has
 * its weights at i * step; unused ones are 0, so that sums may read on to a multiple of LANES. */
typedef struct Across {
    int targets, n;
    size_t step, plane;
    int *lo, *count;
    int16_t *high, *low, *planes;
    void *block; /* mem_free it */
} Across;

bool across_init(Across *a, int targets, int n, Error *e);

/* Row y of the view -> dst [targets, 3] */
void across_row(uint8_t *dst, const Across *a, const View *v, int y);

/* All rows of a view -> dst [v->height, dw, 3], without keeping the weights of a long axis. */
bool across_all(uint8_t *dst, int dw, const View *v, Error *e);

/* Axes up to here have their weights kept; of longer ones there are few rows. */
enum { LONG_AXIS = 65536 };

/* --- down the rows --------------------------------------------------------------------------------- */

/* A vertical pass that takes the n source rows one after the other. Target rows first <= i < next
 * are being summed, i in the ring at i % active. */
typedef struct Down {
    int targets, n, active, first, next;
    size_t samples; /* of a row */
    Target *target;
    uint32_t *sums;
} Down;

bool down_init(Down *d, int targets, int n, size_t samples, Error *e);
void down_free(Down *d);

/* Adds source row y. */
void down_add(Down *d, const uint8_t *row, int y);

/* Takes the next target row that is complete with source row y; false when there is none. */
bool down_take(uint8_t *dst, Down *d, int y);

#endif
