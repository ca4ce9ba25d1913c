/* image/tiff_pixels.c: samples of a TIFF to RGB and RGBA, as Pillow's Unpack.c and Convert.c do it. */
#include "image/tiff.h"

#include <string.h>

enum { WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED = 5 };
enum { FORMAT_UNSIGNED = 1, FORMAT_SIGNED, FORMAT_FLOAT };
enum { EXTRA_UNKNOWN, EXTRA_PREMULTIPLIED, EXTRA_ALPHA, EXTRA_COREL = 999 };

/* --- layouts -------------------------------------------------------------------------------------- */

static int colours_of(const TiffLayout *l)
{
    return l->kind == TIFF_RGB ? 3 : l->kind == TIFF_CMYK ? 4 : 1;
}

static bool known_grey(const TiffTags *t)
{
    switch (t->bits) {
    case 1:
    case 2:
    case 4: return t->samples == 1 && t->format == FORMAT_UNSIGNED;
    case 8: return t->samples <= 2 && t->format != FORMAT_FLOAT;
    case 12:
        return t->samples == 1 && t->format == FORMAT_UNSIGNED && t->photometric == BLACK_IS_ZERO;
    case 16: return t->samples == 1 && t->format != FORMAT_FLOAT;
    case 32: return t->samples == 1;
    default: return false;
    }
}

static bool known_numbers(const TiffLayout *l, const TiffTags *t)
{
    if (l->kind == TIFF_GREY)
        return known_grey(t);
    if (t->format != FORMAT_UNSIGNED)
        return false;
    if (l->kind == TIFF_PALETTE)
        return t->bits == 8 ? t->samples <= 2
                            : t->samples == 1 && (t->bits == 1 || t->bits == 2 || t->bits == 4);
    return t->bits == 8 || (t->bits == 16 && t->samples <= 4);
}

/* RGB with a fourth sample that nothing is said of is RGBA; what is said to be nothing is dropped. */
static bool set_alpha(TiffLayout *l, const TiffTags *t)
{
    int colours = colours_of(l), extra = l->samples - colours;
    bool said = t->n_extra >= 0;
    unsigned first = extra == 0 ? EXTRA_UNKNOWN : said ? t->extra[0] : EXTRA_ALPHA;
    if (said && t->n_extra != extra)
        return false;
    if (!said && extra && !(l->kind == TIFF_RGB && extra == 1))
        return false;
    for (int i = 1; said && i < extra; i++)
        if (t->extra[i] != EXTRA_UNKNOWN)
            return false;
    if (first == EXTRA_UNKNOWN)
        return true;
    l->premultiplied = first == EXTRA_PREMULTIPLIED && l->kind != TIFF_PALETTE;
    l->channels = 4;
    l->place[colours] = 3;
    return l->kind != TIFF_CMYK && (l->premultiplied || first == EXTRA_ALPHA ||
                                    (first == EXTRA_COREL && l->kind == TIFF_RGB));
}

bool tiff_layout(TiffLayout *l, const TiffTags *t)
{
    *l = (TiffLayout){.bits = (int)t->bits, .samples = (int)t->samples, .channels = 3};
    switch (t->photometric) {
    case WHITE_IS_ZERO:
    case BLACK_IS_ZERO: l->kind = TIFF_GREY; break;
    case RGB: l->kind = TIFF_RGB; break;
    case PALETTE: l->kind = TIFF_PALETTE; break;
    case SEPARATED: l->kind = TIFF_CMYK; break;
    default: return false;
    }
    int colours = colours_of(l);
    if (l->samples < colours || l->samples > TIFF_SAMPLES || !known_numbers(l, t))
        return false;
    l->white_is_zero = t->photometric == WHITE_IS_ZERO && t->bits <= 8;
    l->is_signed = t->format == FORMAT_SIGNED && t->bits > 8;
    l->is_float = t->format == FORMAT_FLOAT;
    for (int s = 0; s < TIFF_SAMPLES; s++)
        l->place[s] = s < colours ? s : -1;
    if (l->kind == TIFF_CMYK)
        l->channels = 4; /* until they are RGB; the alpha is then 255 */
    return set_alpha(l, t);
}

/* --- samples -------------------------------------------------------------------------------------- */

/* Grey of more than 8 bits; *beyond is set when it does not fit. */
static uint8_t clipped(double v, bool *beyond)
{
    *beyond |= v > 255;
    return v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0; /* not a number: 0 */
}

static uint8_t sample_16(const TiffLayout *l, const uint8_t *at, bool *beyond)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    if (l->samples > 1)
        return (uint8_t)(v >> 8);
    return clipped(l->is_signed && v > 0x7fff ? 0 : v, beyond);
}

static uint8_t sample_32(const TiffLayout *l, const uint8_t *at, bool *beyond)
{
    int32_t v;
    float f;
    memcpy(&v, at, sizeof v);
    memcpy(&f, at, sizeof f);
    return clipped(l->is_float ? (double)f : v, beyond);
}

/* From the top bit on; grey is spread over 0 to 255. */
static uint8_t sample_packed(const TiffLayout *l, const uint8_t *raw, size_t i)
{
    size_t bit = i * (size_t)l->bits;
    unsigned top = (1u << l->bits) - 1;
    unsigned v = raw[bit / 8] >> (8 - (size_t)l->bits - bit % 8) & top;
    return (uint8_t)(l->kind == TIFF_GREY ? v * 255 / top : v);
}

static uint8_t sample_12(const uint8_t *raw, size_t i, bool *beyond)
{
    const uint8_t *at = raw + i / 2 * 3;
    unsigned v = i % 2 ? (at[1] & 15u) << 8 | at[2] : (unsigned)at[0] << 4 | at[1] >> 4;
    return clipped(v, beyond);
}

/* Number i of a row. */
static uint8_t sample(const TiffLayout *l, const uint8_t *raw, size_t i, bool *beyond)
{
    switch (l->bits) {
    case 8: return raw[i];
    case 12: return sample_12(raw, i, beyond);
    case 16: return sample_16(l, raw + 2 * i, beyond);
    case 32: return sample_32(l, raw + 4 * i, beyond);
    default: return sample_packed(l, raw, i);
    }
}

bool tiff_put(uint8_t *to, const TiffLayout *l, const uint8_t *raw, size_t n, int first, int count)
{
    if (l->bits == 8 && count == l->channels && l->samples == l->channels) {
        memcpy(to, raw, n * (size_t)count);
        return false;
    }
    bool beyond = false;
    for (int s = 0; s < count; s++) {
        int place = l->place[first + s];
        for (size_t i = 0; place >= 0 && i < n; i++)
            to[i * (size_t)l->channels + (size_t)place] =
                sample(l, raw, i * (size_t)count + (size_t)s, &beyond);
    }
    return beyond;
}

/* --- colours --------------------------------------------------------------------------------------- */

static void finish_colours(uint8_t *p, const TiffLayout *l)
{
    uint8_t v = p[0];
    if (l->kind == TIFF_PALETTE)
        memcpy(p, l->palette.rgba[v], 3);
    else if (l->kind == TIFF_GREY)
        memset(p, l->white_is_zero ? 255 - v : v, 3);
    else if (l->kind == TIFF_CMYK) {
        cmyk_pixel(p, (const uint8_t[4]){p[0], p[1], p[2], p[3]});
        p[3] = 255;
    }
}

/* Unpack.c, unpackRGBa: what is wholly transparent is black. */
static void divide_alpha(uint8_t *p)
{
    for (int k = 0; k < 3 && p[3] < 255; k++) {
        unsigned v = p[3] ? p[k] * 255u / p[3] : 0;
        p[k] = (uint8_t)(v > 255 ? 255 : v);
    }
}

void tiff_finish(uint8_t *row, const TiffLayout *l, size_t n)
{
    if (l->kind == TIFF_RGB && !l->premultiplied)
        return;
    for (size_t i = 0; i < n; i++, row += l->channels) {
        finish_colours(row, l);
        if (l->premultiplied)
            divide_alpha(row);
    }
}
