/* golden_values.h: tensors of a matching model against those of its goldens (golden.h). */
#ifndef GOLDEN_VALUES_H
#define GOLDEN_VALUES_H

#include <math.h>
#include <stdio.h>

#include "golden.h"
#include "task/match.h"
#include "task/reading.h"

enum { WIDEST = 1 << 12 };

static inline int text_of(size_t picture, int *ids)
{
    int n = 0, total = (int)want("input_ids")->shape[1];
    for (int i = 0; i < total; i++)
        if (want_int("attention_mask", picture, (size_t)i))
            ids[n++] = (int)want_int("input_ids", picture, (size_t)i);
    return n;
}

/* The golden's rows may be more than n: they are padded behind. */
static inline void check_values(const char *isa, const char *name, size_t picture, const float *got,
                                size_t n, double limit)
{
    size_t all;
    const float *g = want_f32(name, picture, &all);
    double top = 0, err = 0;
    assert_true(n <= all);
    for (size_t i = 0; i < all; i++)
        top = fmax(top, fabs((double)g[i]));
    for (size_t i = 0; i < n; i++)
        err = fmax(err, fabs((double)got[i] - (double)g[i]));
    if (!(err <= limit * top))
        fail_msg("%s: %s: picture %zu: error %.2e of %.2e", isa, name, picture, err, top);
}

typedef struct Taps {
    Ctx *c;
    const char *isa;
    size_t picture;
    int seen;
} Taps;

static inline void compare(void *user, const char *name, const Tensor *t)
{
    static float got[WIDEST];
    Taps *k = user;
    assert_true((size_t)t->rows * (size_t)t->cols <= WIDEST && tensor_download(k->c, got, t));
    check_values(k->isa, name, k->picture, got, (size_t)t->rows * (size_t)t->cols, 5e-5);
    k->seen++;
}

static inline EncodeJob pixels_job(size_t picture)
{
    return (EncodeJob){.pixels = golden_pixels(picture), .height = PIXELS, .width = PIXELS};
}

#endif
