/* image/resize.c: Pillow's bicubic resize: which passes, in which order. */
#include "image/pass.h"

#include <string.h>
#include "base/mem.h"

/* The rows of a view as RGB, each through a vertical pass into dst. */
static bool down_all(uint8_t *dst, int dh, const View *v, const ResizeKernel *k, Error *e)
{
    Down d;
    Strip s;
    size_t stride = (size_t)v->width * 3;
    if (!strip_init(&s, v, true, k, e))
        return false;
    bool ok = down_init(&d, dh, v->height, stride, k, e);
    for (int y = 0; ok && y < v->height;) {
        int n = strip_read(&s, y);
        down_add(&d, s.row, y, n);
        y += n;
        for (; down_take(dst, &d, y); dst += stride)
            ;
    }
    if (ok)
        down_free(&d);
    mem_free(s.room);
    return ok;
}

static View plain_view(const uint8_t *rgb, int width, int height)
{
    return (View){rgb, width, height, 3, (ptrdiff_t)width * 3, false};
}

/* The weights of both axes, a strip of the view, and room for what is between the passes. */
typedef struct Both {
    Strip s;
    Across a;
    Down d;
    uint8_t *between;
} Both;

static void both_free(Both *b)
{
    mem_free(b->s.room);
    mem_free(b->a.taps);
    down_free(&b->d);
    mem_free(b->between);
}

/* samples: of a row between the passes; bytes: that are between them at a time. */
static bool between_init(Both *b, int dh, int height, size_t samples, size_t bytes, Error *e)
{
    b->between = mem_alloc(bytes);
    return b->between ? down_init(&b->d, dh, height, samples, b->s.k, e)
                      : error_memory(e, "resize", bytes);
}

/* The caller frees, whatever the result. */
static bool both_init(Both *b, int dw, const View *v, const ResizeKernel *k, Error *e)
{
    *b = (Both){0};
    return strip_init(&b->s, v, false, k, e) && across_init(&b->a, dw, v->width, k, e);
}

static void across_strips(uint8_t *dst, Both *b, const View *v, size_t stride)
{
    const uint8_t *row[STRIP];
    for (int r = 0; r < b->s.rows; r++)
        row[r] = b->between + (size_t)r * stride;
    for (int y = 0; y < v->height;) {
        int n = strip_read(&b->s, y);
        across_rows(b->between, &b->a, b->s.row, n, b->s.pixel);
        down_add(&b->d, row, y, n);
        y += n;
        for (; down_take(dst, &b->d, y); dst += stride)
            ;
    }
}

static bool across_then_down(uint8_t *dst, int dw, int dh, const View *v, const ResizeKernel *k,
                             Error *e)
{
    Both b;
    size_t stride = (size_t)dw * 3;
    bool ok = both_init(&b, dw, v, k, e) &&
              between_init(&b, dh, v->height, stride, (size_t)b.s.rows * stride, e);
    if (ok)
        across_strips(dst, &b, v, stride);
    both_free(&b);
    return ok;
}

static void down_strips(uint8_t *dst, Both *b, const View *v, size_t stride)
{
    const uint8_t *const row[1] = {b->between};
    for (int y = 0; y < v->height;) {
        int n = strip_read(&b->s, y);
        down_add(&b->d, b->s.row, y, n);
        y += n;
        for (; down_take(b->between, &b->d, y); dst += stride)
            across_rows(dst, &b->a, row, 1, b->s.pixel);
    }
}

static bool down_then_across(uint8_t *dst, int dw, int dh, const View *v, const ResizeKernel *k,
                             Error *e)
{
    Both b;
    size_t width = (size_t)v->width;
    bool ok =
        both_init(&b, dw, v, k, e) &&
        between_init(&b, dh, v->height, width * (size_t)b.s.pixel, row_bytes(width, b.s.pixel), e);
    if (ok)
        down_strips(dst, &b, v, (size_t)dw * 3);
    both_free(&b);
    return ok;
}

/* A long axis has few rows, so that the picture between the passes is small. */
static bool long_then_down(uint8_t *dst, int dw, int dh, const View *v, const ResizeKernel *k,
                           Error *e)
{
    size_t bytes = (size_t)dw * (size_t)v->height * 3;
    uint8_t *middle = mem_alloc(bytes);
    if (!middle)
        return error_memory(e, "resize", bytes);
    View done = plain_view(middle, dw, v->height);
    bool ok = across_all(middle, dw, v, k, e) && down_all(dst, dh, &done, k, e);
    mem_free(middle);
    return ok;
}

/* Rows that the first pass makes longer are made for every row of the source: a narrow and very tall
 * picture would take the time of one many times its size. */
static bool both_passes(uint8_t *dst, int dw, int dh, const View *v, bool vertical_first,
                        const ResizeKernel *k, Error *e)
{
    if (vertical_first)
        return down_then_across(dst, dw, dh, v, k, e);
    if (dw > v->width && v->height > PICTURE_MAX_PIXELS / dw)
        return error_set(e, ERR_FAILED,
                         "picture: too tall, %d x %d pixels, the limit at a width of %d is %d",
                         v->width, v->height, dw, PICTURE_MAX_PIXELS / dw);
    if (v->width > LONG_AXIS)
        return long_then_down(dst, dw, dh, v, k, e);
    return across_then_down(dst, dw, dh, v, k, e);
}

static bool copy(uint8_t *dst, const View *v, const ResizeKernel *k, Error *e)
{
    Strip s;
    size_t stride = (size_t)v->width * 3;
    if (!strip_init(&s, v, true, k, e))
        return false;
    for (int y = 0, n = 0; y < v->height; y += n) {
        n = strip_read(&s, y);
        for (int r = 0; r < n; r++, dst += stride)
            memcpy(dst, s.row[r], stride);
    }
    mem_free(s.room);
    return true;
}

/* An axis that keeps its size gets no pass. */
bool resize_view_by(const ResizeKernel *k, uint8_t *dst, int dw, int dh, const View *v,
                    bool vertical_first, Error *e)
{
    int sw = v->width, sh = v->height;
    if (dw <= 0 || dh <= 0 || sw <= 0 || sh <= 0)
        return error_set(e, ERR_USAGE, "resize: size, expected positive, got %d x %d to %d x %d",
                         sw, sh, dw, dh);
    if (dw != sw && dh != sh)
        return both_passes(dst, dw, dh, v, vertical_first, k, e);
    if (dw != sw)
        return across_all(dst, dw, v, k, e);
    if (dh != sh)
        return down_all(dst, dh, v, k, e);
    return copy(dst, v, k, e);
}

bool resize_view(uint8_t *dst, int dw, int dh, const View *v, bool vertical_first, Error *e)
{
    const ResizeKernel *const *k = resize_kernels();
    while (k[1])
        k++;
    return resize_view_by(*k, dst, dw, dh, v, vertical_first, e);
}
