/* image/tiff.h: how the samples of a TIFF lie, and what they become. Internal to image/. */
#ifndef IMAGE_TIFF_H
#define IMAGE_TIFF_H

#include "image/decode.h"

enum { TIFF_SAMPLES = 6 }; /* of a pixel, at most (Pillow) */

typedef enum TiffKind { TIFF_GREY, TIFF_PALETTE, TIFF_RGB, TIFF_CMYK } TiffKind;

/* A pixel of the file is `samples` numbers of `bits` bits; number s goes to channel place[s] of the
 * picture's pixel, or nowhere (-1). */
typedef struct TiffLayout {
    TiffKind kind;
    int bits, samples, channels;
    int place[TIFF_SAMPLES];
    bool white_is_zero, is_signed, is_float;
    bool premultiplied;
    Palette palette; /* alpha not used */
} TiffLayout;

/* What the tags say. extra: the meaning of the samples beyond the colours; n_extra -1: not said. */
typedef struct TiffTags {
    unsigned photometric, bits, samples, format, extra[TIFF_SAMPLES];
    int n_extra;
} TiffTags;

/* The layouts that Pillow's TiffImagePlugin.py knows (OPEN_INFO), in either byte order; false for
 * all others. The palette is left to the caller. */
bool tiff_layout(TiffLayout *l, const TiffTags *t);

/* count numbers of each of n pixels from raw (rows begin at whole bytes, numbers of 16 and 32 bits are
 * the machine's) as samples first, first + 1, ... of the n pixels of the picture at to. Whether grey of
 * more than 8 bits was beyond 255, which is white. */
bool tiff_put(uint8_t *to, const TiffLayout *l, const uint8_t *raw, size_t n, int first, int count);

/* n pixels whose samples are all in place become RGB or RGBA. */
void tiff_finish(uint8_t *row, const TiffLayout *l, size_t n);

#endif
