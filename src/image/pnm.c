/* image/pnm.c: PBM, PGM and PPM, plain (P1..P3) and raw (P4..P6), as Pillow's PpmImagePlugin.py
 * reads them: values are scaled to 255, but grey of more than 8 bits is scaled to 65535 and then
 * clipped at 255. */
#include "image/decode.h"

#include <math.h>
#include <string.h>

typedef struct Pnm {
    const Source *s;
    Error *e;
    size_t at; /* next byte of the file */
    int kind;  /* the digit after P */
    uint64_t width, height;
    uint32_t top; /* the largest value; 1 for bitmaps */
} Pnm;

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= 9 && c <= 13);
}

/* The rest of a comment, with the end of its line. */
static void skip_comment(Pnm *n)
{
    while (n->at < n->s->size) {
        uint8_t c = n->s->data[n->at++];
        if (c == '\n' || c == '\r')
            break;
    }
}

/* The next byte that is no comment; -1 at the end. */
static int next_byte(Pnm *n)
{
    while (n->at < n->s->size) {
        uint8_t c = n->s->data[n->at++];
        if (c != '#')
            return c;
        skip_comment(n);
    }
    return -1;
}

/* A number of at most ten digits, and the one white space behind it. */
static bool number(Pnm *n, uint64_t *v)
{
    int c = next_byte(n), digits = 0;
    while (c >= 0 && is_space((uint8_t)c))
        c = next_byte(n);
    *v = 0;
    for (; c >= 0 && !is_space((uint8_t)c); c = next_byte(n)) {
        if (c < '0' || c > '9' || ++digits > 10)
            return decode_fail(n->s, n->e, "PNM: not a number");
        *v = *v * 10 + (uint64_t)(c - '0');
    }
    return digits ? true : decode_fail(n->s, n->e, "truncated PNM");
}

static bool bitmap(const Pnm *n)
{
    return n->kind == 1 || n->kind == 4;
}

static uint64_t samples_per_pixel(const Pnm *n)
{
    return n->kind == 3 || n->kind == 6 ? 3 : 1;
}

static bool read_header(Pnm *n)
{
    uint64_t top = 1;
    n->kind = n->s->data[1] - '0';
    n->at = 2;
    if (n->s->size < 3 || !is_space(n->s->data[2]))
        return decode_fail(n->s, n->e, "PNM: damaged header");
    if (!number(n, &n->width) || !number(n, &n->height) || (!bitmap(n) && !number(n, &top)))
        return false;
    if (top < 1 || top > 65535)
        return decode_fail(n->s, n->e, "PNM: largest value, expected 1 to 65535, got %llu",
                           (unsigned long long)top);
    n->top = (uint32_t)top;
    return true;
}

/* The fewest bytes that can hold these pixels. */
static bool enough_bytes(const Pnm *n)
{
    uint64_t samples = n->width * n->height * samples_per_pixel(n);
    uint64_t need = samples;
    if (n->kind == 4)
        need = (n->width + 7) / 8 * n->height;
    else if (n->kind > 4)
        need = samples * (n->top > 255 ? 2 : 1);
    else if (n->kind > 1)
        need = 2 * samples - 1;
    return need <= n->s->size - n->at;
}

/* Rounds half to even, as Python's round() does. */
static uint8_t scaled(const Pnm *n, Picture *p, uint32_t v)
{
    double out = n->top > 255 && samples_per_pixel(n) == 1 ? 65535 : 255;
    double r = rint((double)v / n->top * out);
    if (r > 255)
        p->notice = NOTICE_CLIPPED;
    return (uint8_t)(r < 255 ? r : 255);
}

static void put_sample(const Pnm *n, Picture *p, uint64_t i, uint8_t v)
{
    if (samples_per_pixel(n) == 3)
        p->data[i] = v;
    else
        memset(p->data + 3 * i, v, 3);
}

static bool read_plain_bits(Pnm *n, Picture *p)
{
    uint64_t i = 0, total = n->width * n->height;
    while (i < total) {
        int c = next_byte(n);
        if (c < 0)
            return decode_fail(n->s, n->e, "truncated PNM");
        if (is_space((uint8_t)c))
            continue;
        if (c != '0' && c != '1')
            return decode_fail(n->s, n->e, "PNM: expected 0 or 1");
        put_sample(n, p, i++, c == '0' ? 255 : 0);
    }
    return true;
}

static bool read_plain(Pnm *n, Picture *p)
{
    uint64_t total = n->width * n->height * samples_per_pixel(n), v;
    for (uint64_t i = 0; i < total; i++) {
        if (!number(n, &v))
            return false;
        if (v > n->top)
            return decode_fail(n->s, n->e, "PNM: value, expected at most %u, got %llu", n->top,
                               (unsigned long long)v);
        put_sample(n, p, i, scaled(n, p, (uint32_t)v));
    }
    return true;
}

static bool read_raw_bits(const Pnm *n, Picture *p)
{
    size_t stride = (size_t)(n->width + 7) / 8;
    for (uint64_t y = 0; y < n->height; y++) {
        const uint8_t *row = n->s->data + n->at + stride * y;
        for (uint64_t x = 0; x < n->width; x++)
            put_sample(n, p, y * n->width + x, row[x / 8] >> (7 - x % 8) & 1 ? 0 : 255);
    }
    return true;
}

static bool read_raw(const Pnm *n, Picture *p)
{
    const uint8_t *src = n->s->data + n->at;
    uint64_t total = n->width * n->height * samples_per_pixel(n);
    for (uint64_t i = 0; i < total; i++) {
        if (n->top > 255)
            put_sample(n, p, i, scaled(n, p, get_u16be(src + 2 * i)));
        else
            put_sample(n, p, i, n->top == 255 ? src[i] : scaled(n, p, src[i]));
    }
    return true;
}

bool decode_pnm(Picture *p, const Source *s, Error *e)
{
    Pnm n = {.s = s, .e = e};
    if (!read_header(&n))
        return false;
    bool fits = n.height == 0 || n.width <= s->max_pixels / n.height;
    if (fits && n.width && n.height && !enough_bytes(&n))
        return decode_fail(s, e, "truncated PNM");
    if (!picture_new(p, s, n.width, n.height, 3, e))
        return false;
    switch (n.kind) {
    case 1: return read_plain_bits(&n, p);
    case 4: return read_raw_bits(&n, p);
    case 2:
    case 3: return read_plain(&n, p);
    default: return read_raw(&n, p);
    }
}
