/* image/weights.c: Pillow's bicubic weights, and the pixels that they are for. */
#include "image/pass.h"

#include <math.h>

/* Keys' cubic with a = -0.5, in Pillow's order of operations. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double raw_weight(const Target *t, int s)
{
    return bicubic((s - t->centre + 0.5) * t->inverse);
}

Target target_of(int i, int m, int n)
{
    double scale = (double)n / m, stretch = scale < 1.0 ? 1.0 : scale;
    double support = 2.0 * stretch;
    Target t = {.centre = (i + 0.5) * scale, .inverse = 1.0 / stretch};
    int lo = (int)(t.centre - support + 0.5), hi = (int)(t.centre + support + 0.5);
    t.lo = lo < 0 ? 0 : lo;
    t.hi = hi > n ? n : hi;
    for (int s = t.lo; s < t.hi; s++)
        t.total += raw_weight(&t, s);
    return t;
}

int32_t target_weight(const Target *t, int s)
{
    double w = raw_weight(t, s);
    if (t->total != 0.0)
        w /= t->total;
    return (int32_t)(w * (1 << PRECISION) + (w < 0 ? -0.5 : 0.5));
}

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

const uint8_t *view_row(uint8_t *room, const View *v, int y)
{
    const uint8_t *p = view_at(v, 0, y);
    uint8_t *rgb = room;
    if (v->right == 3 && !v->white)
        return p;
    for (int x = 0; x < v->width; x++, p += v->right, rgb += 3)
        for (int k = 0; k < 3; k++)
            rgb[k] = v->white ? over_white(p[k], p[3]) : p[k];
    return room;
}
