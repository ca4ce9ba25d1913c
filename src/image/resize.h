/* image/resize.h: resizing what is seen through a View. Internal to image/. */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include "image/image.h"
#include "image/kernel.h"

/* Pixels as they lie in memory, seen turned and opaque: pixel (x, y) begins at
 * data + x * right + y * down. With white, the alpha of four channels is composed over white;
 * without, it is dropped. */
typedef struct View {
    const uint8_t *data;
    int width, height;
    ptrdiff_t right, down;
    bool white;
} View;

/* Pillow's bicubic. Beside the view and dst it takes memory for a strip of rows (4 MiB or a row), for the
 * 32-bit sums of about five rows and of what a strip is made larger to, the weights of one axis of at most 65,536
 * pixels, and, of a longer axis, one row of dst's width for each of the view's rows (there are at most 2,730):
 * never a second picture. The time is that of reading the view four times and of a picture of dst's width and the
 * view's height, which is refused (ERR_FAILED) beyond PICTURE_MAX_PIXELS. */
bool resize_view(uint8_t *dst, int dw, int dh, const View *v, bool vertical_first, Error *e);

/* The same by one kernel. */
bool resize_view_by(const ResizeKernel *k, uint8_t *dst, int dw, int dh, const View *v,
                    bool vertical_first, Error *e);

#endif
