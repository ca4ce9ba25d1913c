/* image/weights.c: Pillow's bicubic weights. */
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
