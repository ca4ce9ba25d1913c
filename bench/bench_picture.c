/* bench/bench_picture.c: what a picture costs before the networks see it.
 *
 *     bench_picture            resizes pictures made here: plain, turned, with alpha, tall
 *     bench_picture FILE...    decodes each file, resizes it to 224 x 224 and normalises
 *
 * Per line: medians in milliseconds. One thread, as a picture has. */
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "image/image.h"
#include "timing.h"

typedef struct Work {
    const unsigned char *bytes;
    size_t n;
    Picture p;
    PrepareRoute route;
    int size;
    float *out;
    uint8_t *rgb;
    bool ok;
} Work;

static void decode(void *with)
{
    Work *w = with;
    Error e = {0};
    picture_free(&w->p);
    w->ok = picture_decode(&w->p, w->bytes, w->n, "picture", &e);
}

static void resize(void *with)
{
    Work *w = with;
    Error e = {0};
    mem_free(w->rgb);
    w->rgb = picture_resize(&w->p, w->route, w->size, w->size, &e);
}

static void normalise(void *with)
{
    Work *w = with;
    PrepareSpec spec = prepare_default(w->size);
    picture_normalise(w->out, w->rgb, w->size, w->size, &spec);
}

/* Smooth slopes with noise: the arithmetic takes the same time whatever the values. */
static bool make(Picture *p, int width, int height, int channels)
{
    size_t n = (size_t)width * (size_t)height * (size_t)channels;
    uint8_t *pixels = mem_alloc(n);
    Error e = {0};
    bool ok = pixels != NULL;
    for (size_t i = 0; ok && i < n; i++)
        pixels[i] = (uint8_t)(i / 7 + (size_t)(40 * rng_unit(1, i)));
    ok = ok && picture_from_pixels(p, pixels, width, height, channels, &e);
    mem_free(pixels);
    return ok;
}

typedef struct Case {
    int width, height, channels, orientation, size;
    PrepareRoute route;
    const char *name;
} Case;

static const Case cases[] = {
    {640, 480, 3, 1, 224, ROUTE_OWN, "plain"},
    {1024, 768, 3, 1, 224, ROUTE_OWN, "plain"},
    {1024, 768, 3, 1, 364, ROUTE_OWN, "plain"},
    {4000, 3000, 3, 1, 224, ROUTE_OWN, "plain"},
    {4000, 3000, 3, 1, 364, ROUTE_OWN, "plain"},
    {100, 75, 3, 1, 224, ROUTE_OWN, "made larger"},
    {4000, 3000, 3, 6, 224, ROUTE_OWN, "turned by EXIF"},
    {4000, 3000, 4, 1, 224, ROUTE_OWN, "alpha over white"},
    {4000, 3000, 4, 1, 224, ROUTE_LAVIS, "alpha dropped"},
    {3000, 4000, 3, 1, 224, ROUTE_HF, "vertical first"},
    {224, 3000, 3, 1, 224, ROUTE_OWN, "one axis"},
};

static int made_here(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Case *c = &cases[i];
        Work w = {.route = c->route, .size = c->size};
        if (!make(&w.p, c->width, c->height, c->channels))
            return 1;
        w.p.orientation = c->orientation;
        Timing t = time_calls(resize, &w);
        printf("%4d x %4d -> %3d  %-18s resize %8.3f (best %.3f)\n", c->width, c->height, c->size,
               c->name, t.median, t.best);
        picture_free(&w.p);
        mem_free(w.rgb);
    }
    return 0;
}

static int one_file(const char *path)
{
    Error e = {0};
    Work w = {.route = ROUTE_OWN, .size = 224};
    unsigned char *bytes = file_read(path, (size_t)1 << 30, &w.n, ERR_FAILED, &e);
    w.bytes = bytes;
    w.out = mem_alloc(sizeof *w.out * 3 * 224 * 224);
    if (!bytes || !w.out)
        return 1;
    double decoding = time_calls(decode, &w).median;
    if (!w.ok)
        return 1;
    double resizing = time_calls(resize, &w).median;
    double rest = time_calls(normalise, &w).median;
    printf("%s: %d x %d: decode %.3f, resize %.3f, normalise %.3f\n", path, w.p.width, w.p.height,
           decoding, resizing, rest);
    picture_free(&w.p);
    mem_free(w.rgb);
    mem_free(w.out);
    mem_free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    int bad = argc < 2 ? made_here() : 0;
    for (int i = 1; i < argc; i++)
        bad |= one_file(argv[i]);
    return bad;
}
