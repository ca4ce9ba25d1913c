/* image/strip.c: reading pixels through a View. */
#include "image/pass.h"

#include <string.h>
#include "base/mem.h"

/* Room for a strip, at most, unless a single row takes more. */
#define ROOM_BYTES ((size_t)4 << 20)

/* Pixels ahead that are fetched when columns are read: no prefetcher foresees them, each is on a page of its own. */
enum { AHEAD = 16 };

/* Over white, as PIL.Image.alpha_composite does (AlphaComposite.c with an opaque background). */
static uint8_t over_white(unsigned c, unsigned alpha)
{
    unsigned t = c * alpha + 255 * (255 - alpha) + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

static const uint8_t *view_at(const View *v, int x, int y)
{
    return v->data + (ptrdiff_t)x * v->right + (ptrdiff_t)y * v->down;
}

void view_planes(int16_t *planes, size_t plane, const View *v, int x, int y, size_t n)
{
    int16_t *restrict r = planes, *restrict g = planes + plane, *restrict b = planes + 2 * plane;
    const uint8_t *p = view_at(v, x, y);
    ptrdiff_t right = v->right;
    if (v->white)
        for (size_t i = 0; i < n; i++, p += right) {
            r[i] = over_white(p[0], p[3]);
            g[i] = over_white(p[1], p[3]);
            b[i] = over_white(p[2], p[3]);
        }
    else
        for (size_t i = 0; i < n; i++, p += right) {
            r[i] = p[0];
            g[i] = p[1];
            b[i] = p[2];
        }
}

/* Row y may be read where it lies: its pixels are beside each other, and what may be read behind its end is
 * the view's, too. */
static bool in_place(const Strip *s, int y)
{
    const View *v = s->v;
    if (v->white || v->right != s->pixel)
        return false;
    size_t behind = v->down > 0 ? (size_t)(v->height - y) * (size_t)v->down
                                : (size_t)(y + 1) * (size_t)-v->down;
    return behind >= row_bytes((size_t)v->width, s->pixel);
}

bool strip_init(Strip *s, const View *v, bool rgb, const ResizeKernel *k, Error *e)
{
    bool four = v->white || v->right == 4;
    *s = (Strip){.v = v, .k = k, .pixel = four && !rgb ? 4 : 3};
    s->stride = row_bytes((size_t)v->width, four ? 4 : 3);
    size_t fit = ROOM_BYTES / s->stride;
    s->rows = fit < 1 ? 1 : fit > STRIP ? STRIP : (int)fit;
    s->room = mem_alloc((size_t)s->rows * s->stride);
    return s->room || error_memory(e, "resize", (size_t)s->rows * s->stride);
}

/* n pixels, bytes is a constant; to may be p, where pixels grow no longer. */
static inline void gather_row(uint8_t *to, const uint8_t *p, ptrdiff_t right, size_t bytes, int n)
{
    for (int x = 0; x < n; x++, to += bytes, p += right)
        memmove(to, p, bytes);
}

/* Where the picture is turned its rows are columns: what lies beside each other is read together, as a
 * line of cache has some of it for every row of the strip. */
static inline void gather_columns(const Strip *s, const uint8_t *p, size_t bytes, int n)
{
    const View *v = s->v;
    uint8_t *to = s->room;
    for (int x = 0; x < v->width; x++, to += bytes, p += v->right) {
        const uint8_t *ahead = x + AHEAD < v->width ? p + AHEAD * v->right : p;
        __builtin_prefetch(ahead);
        __builtin_prefetch(ahead + (n - 1) * v->down);
        for (int i = 0; i < n; i++)
            memcpy(to + (size_t)i * s->stride, p + i * v->down, bytes);
    }
}

static inline void gather(const Strip *s, int y, size_t bytes, int n)
{
    const View *v = s->v;
    ptrdiff_t along = v->right < 0 ? -v->right : v->right, down = v->down < 0 ? -v->down : v->down;
    if (along > down)
        gather_columns(s, view_at(v, 0, y), bytes, n);
    else
        for (int i = 0; i < n; i++)
            gather_row(s->room + (size_t)i * s->stride, view_at(v, 0, y + i), v->right, bytes,
                       v->width);
}

static void compose(const Strip *s, int n)
{
    for (int i = 0; i < n; i++) {
        uint8_t *row = s->room + (size_t)i * s->stride;
        s->k->white(row, row, (size_t)s->v->width);
        if (s->pixel == 3)
            gather_row(row, row, 4, 3, s->v->width);
    }
}

static void copy_rows(const Strip *s, int y, int n)
{
    if (s->v->white || s->pixel == 4)
        gather(s, y, 4, n);
    else
        gather(s, y, 3, n);
    if (s->v->white)
        compose(s, n);
}

int strip_read(Strip *s, int y)
{
    int left = s->v->height - y, n = left < s->rows ? left : s->rows;
    bool there = in_place(s, y) && in_place(s, y + n - 1);
    if (!there)
        copy_rows(s, y, n);
    for (int i = 0; i < n; i++)
        s->row[i] = there ? view_at(s->v, 0, y + i) : s->room + (size_t)i * s->stride;
    return n;
}
