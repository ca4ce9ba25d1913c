/* image/pass.h: one-dimensional passes of Pillow's bicubic resize (libImaging/Resample.c), bit for bit.
 * Internal to image/.
 *
 * Weights are in 22-bit fixed point, and the sums are rounded to 8 bits after each pass. The sums are
 * whole numbers modulo 2^32, so their order does not matter: rows are read once, a strip of them at a time, from
 * the first to the last, and added to the sums of the few target rows that want them. */
#ifndef IMAGE_PASS_H
#define IMAGE_PASS_H

#include "image/kernel.h"
#include "image/resize.h"

/* In front of a loop: gcc vectorises such at -O2 only when asked. clang does it unasked, and would warn
 * where a sanitizer keeps it from it. */
#ifdef __clang__
#define VECTORISE(clauses)
#else
#define VECTORISE(clauses)   VECTORISE_TEXT(omp simd clauses)
#define VECTORISE_TEXT(text) _Pragma(#text)
#endif

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

/* n pixels of row y, from x on, as three planes of `plane` samples each: dot products over a long axis
 * need neighbours side by side. */
void view_planes(int16_t *planes, size_t plane, const View *v, int x, int y, size_t n);

/* Some rows of a view, RGB or RGB and a byte that nobody looks at, each readable behind its end as Taps
 * ask. They are where they lie when they lie so, else in room, which holds `rows` of them. */
typedef struct Strip {
    const View *v;
    const ResizeKernel *k;
    int pixel, rows; /* bytes; rows that are read together, at most STRIP */
    size_t stride;
    const uint8_t *row[STRIP];
    uint8_t *room; /* mem_free it */
} Strip;

/* rgb: pixels of three bytes are wanted. */
bool strip_init(Strip *s, const View *v, bool rgb, const ResizeKernel *k, Error *e);

/* Rows y, y + 1, ... of the view: how many were read. */
int strip_read(Strip *s, int y);

/* What a row of n pixels takes, with what may be read behind its end. */
static inline size_t row_bytes(size_t n, int pixel)
{
    return (n + GROUP - 1) * (size_t)pixel + SLACK;
}

/* --- along a row ---------------------------------------------------------------------------------- */

/* The weights of a horizontal pass over rows of n pixels. */
typedef struct Across {
    int targets;
    const ResizeKernel *k;
    Taps *taps; /* mem_free it */
} Across;

bool across_init(Across *a, int targets, int n, const ResizeKernel *k, Error *e);

/* n rows of pixels of so many bytes, as Strip has them -> dst [n, targets, 3] */
void across_rows(uint8_t *dst, const Across *a, const uint8_t *const *row, int n, int pixel);

/* All rows of a view -> dst [v->height, dw, 3], without keeping the weights of a long axis. */
bool across_all(uint8_t *dst, int dw, const View *v, const ResizeKernel *k, Error *e);

/* Axes up to here have their weights kept; of longer ones there are few rows. */
enum { LONG_AXIS = 65536 };

/* --- down the rows --------------------------------------------------------------------------------- */

/* A vertical pass that takes the n source rows one strip after the other. Target rows first <= i < next
 * are being summed, i in the ring at i % active. */
typedef struct Down {
    int targets, active, first, next;
    size_t samples; /* of a row */
    const ResizeKernel *k;
    Target *target;
    uint32_t *sums;
} Down;

bool down_init(Down *d, int targets, int n, size_t samples, const ResizeKernel *k, Error *e);
void down_free(Down *d);

/* Adds source rows y to y + n - 1, at most STRIP of them. */
void down_add(Down *d, const uint8_t *const *row, int y, int n);

/* Takes the next target row that is complete with the source rows below end; false when there is none. */
bool down_take(uint8_t *dst, Down *d, int end);

#endif
