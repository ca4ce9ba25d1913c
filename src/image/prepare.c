/* image/prepare.c: the routes from a Picture to the tower's input. */
#include "image/resize.h"

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

/* The picture turned by EXIF orientation o. Orientations 5 to 8 swap the axes; the table says at
 * which source corner the target begins. */
static View turned(const Picture *p, int o, bool white)
{
    ptrdiff_t w = p->width, h = p->height, pixel = p->channels;
    bool swap = o >= 5;
    bool from_right = o == 2 || o == 3 || o == 7 || o == 8;
    bool from_bottom = o == 3 || o == 4 || o == 6 || o == 7;
    ptrdiff_t along = from_right ? -pixel : pixel, across = from_bottom ? -w * pixel : w * pixel;
    return (View){
        .data = p->data + ((from_right ? w - 1 : 0) + (from_bottom ? (h - 1) * w : 0)) * pixel,
        .width = swap ? p->height : p->width,
        .height = swap ? p->width : p->height,
        .right = swap ? across : along,
        .down = swap ? along : across,
        .white = white && p->channels == 4,
    };
}

/* Pillow 13's choice (its pull request 9549); both axes are known to change. */
static bool tall(int w, int h, int width, int height)
{
    return h > height && (int64_t)h - height > 2 * ((int64_t)w - width);
}

uint8_t *picture_resize(const Picture *p, PrepareRoute route, int width, int height, Error *e)
{
    bool upright = route == ROUTE_OWN || p->always_turned;
    View v = turned(p, upright ? p->orientation : 1, route != ROUTE_LAVIS);
    size_t bytes = (size_t)(width > 0 ? width : 0) * (size_t)(height > 0 ? height : 0) * 3;
    bool vertical_first = route == ROUTE_HF && tall(v.width, v.height, width, height);
    uint8_t *out = mem_alloc(bytes);
    if (!out) {
        error_memory(e, "resize", bytes);
        return NULL;
    }
    if (resize_view(out, width, height, &v, vertical_first, e))
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
