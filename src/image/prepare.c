/* image/prepare.c: the routes from a Picture to the tower's input. */
#include "image/image.h"

#include <string.h>
#include "base/mem.h"

PrepareSpec prepare_default(int size)
{
    return (PrepareSpec){
        .width = size,
        .height = size,
        .mean = CLIP_MEAN,
        .std = CLIP_STD,
    };
}

/* Over white, as PIL.Image.alpha_composite does (AlphaComposite.c with an opaque background). */
static uint8_t over_white(unsigned c, unsigned alpha)
{
    unsigned t = c * alpha + 255 * (255 - alpha) + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

static void pixel_rgb(uint8_t *rgb, const uint8_t *src, int channels, bool white)
{
    for (int k = 0; k < 3; k++)
        rgb[k] = channels == 4 && white ? over_white(src[k], src[3]) : src[k];
}

/* EXIF orientation o as a walk over the source: target pixel (x, y) is source pixel
 * start + x * right + y * down, counted in pixels. */
typedef struct Turn {
    int width, height; /* of the target */
    ptrdiff_t start, right, down;
} Turn;

/* Orientations 5 to 8 swap the axes; the table says at which source corner the target begins. */
static Turn turn_for(const Picture *p, int o)
{
    ptrdiff_t w = p->width, h = p->height;
    bool swap = o >= 5;
    bool from_right = o == 2 || o == 3 || o == 7 || o == 8;
    bool from_bottom = o == 3 || o == 4 || o == 6 || o == 7;
    ptrdiff_t along = from_right ? -1 : 1, across = from_bottom ? -w : w;
    return (Turn){
        .width = swap ? p->height : p->width,
        .height = swap ? p->width : p->height,
        .start = (from_right ? w - 1 : 0) + (from_bottom ? (h - 1) * w : 0),
        .right = swap ? across : along,
        .down = swap ? along : across,
    };
}

static void fill_rgb(uint8_t *rgb, const Picture *p, const Turn *t, bool white)
{
    for (ptrdiff_t y = 0; y < t->height; y++)
        for (ptrdiff_t x = 0; x < t->width; x++, rgb += 3) {
            ptrdiff_t at = t->start + x * t->right + y * t->down;
            pixel_rgb(rgb, p->data + at * p->channels, p->channels, white);
        }
}

/* Pillow 13's choice (its pull request 9549); both axes are known to change. */
static bool tall(int w, int h, int width, int height)
{
    return h > height && (int64_t)h - height > 2 * ((int64_t)w - width);
}

uint8_t *picture_resize(const Picture *p, PrepareRoute route, int width, int height, Error *e)
{
    Turn t = turn_for(p, route == ROUTE_OWN ? p->orientation : 1);
    size_t flat_bytes = (size_t)p->width * (size_t)p->height * 3;
    size_t out_bytes = (size_t)(width > 0 ? width : 0) * (size_t)(height > 0 ? height : 0) * 3;
    bool as_is = p->channels == 3 && t.start == 0 && t.right == 1;
    uint8_t *flat = as_is ? NULL : mem_alloc(flat_bytes);
    uint8_t *out = mem_alloc(out_bytes);
    bool ok = out && (as_is || flat);
    if (!ok)
        error_memory(e, "resize", flat_bytes + out_bytes);
    if (flat && ok)
        fill_rgb(flat, p, &t, route != ROUTE_LAVIS);
    ok = ok && resize_bicubic(out, width, height, as_is ? p->data : flat, t.width, t.height,
                              route == ROUTE_HF && tall(t.width, t.height, width, height), e);
    mem_free(flat);
    if (ok)
        return out;
    mem_free(out);
    return NULL;
}

/* torchvision's ToTensor and Normalize: every step in float32, with true divisions. */
static void make_table(float table[256], float mean, float std)
{
    for (int v = 0; v < 256; v++) {
        float x = (float)v / 255.0f;
        x = x - mean;
        table[v] = x / std;
    }
}

void picture_normalise(float *chw, const uint8_t *rgb, int width, int height,
                       const PrepareSpec *spec)
{
    size_t n = (size_t)width * (size_t)height;
    for (size_t c = 0; c < 3; c++) {
        float table[256];
        make_table(table, spec->mean[c], spec->std[c]);
        for (size_t i = 0; i < n; i++)
            chw[c * n + i] = table[rgb[3 * i + c]];
    }
}

bool picture_prepare(float *out, const Picture *p, PrepareRoute route, const PrepareSpec *spec,
                     Error *e)
{
    uint8_t *rgb = picture_resize(p, route, spec->width, spec->height, e);
    if (!rgb)
        return false;
    picture_normalise(out, rgb, spec->width, spec->height, spec);
    mem_free(rgb);
    return true;
}
