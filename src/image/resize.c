/* image/resize.c: Pillow's bicubic resize: which passes, in which order. */
#include "image/pass.h"

#include <string.h>
#include "base/mem.h"

/* The rows of a view as RGB, each through a vertical pass into dst. */
static bool down_all(uint8_t *dst, int dh, const View *v, Error *e)
{
    Down d;
    size_t stride = (size_t)v->width * 3;
    uint8_t *row = mem_alloc(stride);
    if (!row)
        return error_memory(e, "resize", stride);
    bool ok = down_init(&d, dh, v->height, stride, e);
    for (int y = 0; ok && y < v->height; y++) {
        down_add(&d, view_row(row, v, y), y);
        for (; down_take(dst, &d, y); dst += stride)
            ;
    }
    if (ok)
        down_free(&d);
    mem_free(row);
    return ok;
}

static View plain_view(const uint8_t *rgb, int width, int height)
{
    return (View){rgb, width, height, 3, (ptrdiff_t)width * 3, false};
}

/* The weights of both axes, and room for one row between the passes. */
typedef struct Both {
    Across a;
    Down d;
    uint8_t *row;
} Both;

static void both_free(Both *b)
{
    mem_free(b->a.block);
    down_free(&b->d);
    mem_free(b->row);
}

static bool both_init(Both *b, int dw, int dh, const View *v, size_t between, Error *e)
{
    *b = (Both){0};
    b->row = mem_alloc(between);
    if (!b->row)
        return error_memory(e, "resize", between);
    if (across_init(&b->a, dw, v->width, e) && down_init(&b->d, dh, v->height, between, e))
        return true;
    both_free(b);
    return false;
}

static bool across_then_down(uint8_t *dst, int dw, int dh, const View *v, Error *e)
{
    Both b;
    size_t stride = (size_t)dw * 3;
    if (!both_init(&b, dw, dh, v, stride, e))
        return false;
    for (int y = 0; y < v->height; y++) {
        across_row(b.row, &b.a, v, y);
        down_add(&b.d, b.row, y);
        for (; down_take(dst, &b.d, y); dst += stride)
            ;
    }
    both_free(&b);
    return true;
}

static bool down_then_across(uint8_t *dst, int dw, int dh, const View *v, Error *e)
{
    Both b;
    if (!both_init(&b, dw, dh, v, (size_t)v->width * 3, e))
        return false;
    View done = plain_view(b.row, v->width, 1);
    for (int y = 0; y < v->height; y++) {
        down_add(&b.d, view_row(b.row, v, y), y);
        for (; down_take(b.row, &b.d, y); dst += (size_t)dw * 3)
            across_row(dst, &b.a, &done, 0);
    }
    both_free(&b);
    return true;
}

/* A long axis has few rows, so that the picture between the passes is small. */
static bool long_then_down(uint8_t *dst, int dw, int dh, const View *v, Error *e)
{
    size_t bytes = (size_t)dw * (size_t)v->height * 3;
    uint8_t *middle = mem_alloc(bytes);
    if (!middle)
        return error_memory(e, "resize", bytes);
    View done = plain_view(middle, dw, v->height);
    bool ok = across_all(middle, dw, v, e) && down_all(dst, dh, &done, e);
    mem_free(middle);
    return ok;
}

/* Rows that the first pass makes longer are made for every row of the source: a narrow and very tall
 * picture would take the time of one many times its size. */
static bool both_passes(uint8_t *dst, int dw, int dh, const View *v, bool vertical_first, Error *e)
{
    if (vertical_first)
        return down_then_across(dst, dw, dh, v, e);
    if (dw > v->width && v->height > PICTURE_MAX_PIXELS / dw)
        return error_set(e, ERR_FAILED,
                         "picture: too tall, %d x %d pixels, the limit at a width of %d is %d",
                         v->width, v->height, dw, PICTURE_MAX_PIXELS / dw);
    if (v->width > LONG_AXIS)
        return long_then_down(dst, dw, dh, v, e);
    return across_then_down(dst, dw, dh, v, e);
}

static void copy(uint8_t *dst, const View *v)
{
    size_t stride = (size_t)v->width * 3;
    for (int y = 0; y < v->height; y++, dst += stride) {
        const uint8_t *row = view_row(dst, v, y);
        if (row != dst)
            memcpy(dst, row, stride);
    }
}

/* An axis that keeps its size gets no pass. */
bool resize_view(uint8_t *dst, int dw, int dh, const View *v, bool vertical_first, Error *e)
{
    int sw = v->width, sh = v->height;
    if (dw <= 0 || dh <= 0 || sw <= 0 || sh <= 0)
        return error_set(e, ERR_USAGE, "resize: size, expected positive, got %d x %d to %d x %d",
                         sw, sh, dw, dh);
    if (dw != sw && dh != sh)
        return both_passes(dst, dw, dh, v, vertical_first, e);
    if (dw != sw)
        return across_all(dst, dw, v, e);
    if (dh != sh)
        return down_all(dst, dh, v, e);
    copy(dst, v);
    return true;
}
