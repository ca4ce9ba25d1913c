/* image/bmp.c: Windows and OS/2 bitmaps: 1, 4, 8, 16, 24 and 32 bits, bit fields, run lengths,
 * either direction, as Pillow's BmpImagePlugin.py reads them. */
#include "image/decode.h"

#include <string.h>
#include "base/mem.h"

enum { BI_RGB = 0, BI_RLE8 = 1, BI_RLE4 = 2, BI_BITFIELDS = 3, FILE_HEADER = 14 };

typedef struct Bmp {
    const Source *s;
    Error *e;
    size_t header; /* size of the information header */
    size_t after;  /* first byte behind it and its masks */
    size_t pixels; /* first byte of the pixels */
    uint32_t width, height, bits, compression, colours;
    bool top_down;
    uint32_t mask[4]; /* R G B A */
    Palette palette;
} Bmp;

static bool short_header(Bmp *b)
{
    const uint8_t *h = b->s->data + FILE_HEADER;
    b->width = get_u16le(h + 4);
    b->height = get_u16le(h + 6);
    b->bits = get_u16le(h + 10);
    return true;
}

/* Headers of 40 bytes have their three masks behind them, longer ones inside. */
static bool read_masks(Bmp *b)
{
    const uint8_t *h = b->s->data + FILE_HEADER;
    int count = b->header >= 56 ? 4 : 3;
    if (b->header == 40) {
        b->after += 12;
        if (b->s->size < b->after)
            return decode_fail(b->s, b->e, "truncated BMP");
    }
    for (int i = 0; i < count; i++)
        b->mask[i] = get_u32le(h + 40 + 4 * i);
    return true;
}

static bool long_header(Bmp *b)
{
    const uint8_t *h = b->s->data + FILE_HEADER;
    b->width = get_u32le(h + 4);
    b->height = get_u32le(h + 8);
    b->top_down = h[11] == 0xff; /* a negative height */
    if (b->top_down)
        b->height = 0u - b->height;
    b->bits = get_u16le(h + 14);
    b->compression = get_u32le(h + 16);
    b->colours = get_u32le(h + 32);
    return b->compression == BI_BITFIELDS ? read_masks(b) : true;
}

static bool known_header(size_t n)
{
    return n == 12 || n == 40 || n == 52 || n == 56 || n == 64 || n == 108 || n == 124;
}

static bool known_depth(uint32_t bits)
{
    return bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32;
}

static bool read_header(Bmp *b)
{
    const Source *s = b->s;
    if (s->size < FILE_HEADER + 12)
        return decode_fail(s, b->e, "truncated BMP");
    b->pixels = get_u32le(s->data + 10);
    b->header = get_u32le(s->data + FILE_HEADER);
    if (!known_header(b->header))
        return decode_fail(s, b->e, "BMP: unknown header of %zu bytes", b->header);
    b->after = FILE_HEADER + b->header;
    if (s->size < b->after)
        return decode_fail(s, b->e, "truncated BMP");
    if (!(b->header == 12 ? short_header(b) : long_header(b)))
        return false;
    if (!known_depth(b->bits))
        return decode_fail(s, b->e, "BMP: unknown depth of %u bits", b->bits);
    if (b->compression > BI_BITFIELDS)
        return decode_fail(s, b->e, "BMP: unknown compression %u", b->compression);
    if (b->colours == 0 && b->bits <= 8)
        b->colours = 1u << b->bits;
    return true;
}

/* True when the table says what a grey ramp (or black and white) says; Pillow then drops it, so
 * that indices past its end are grey and not black. */
static bool is_ramp(const Bmp *b, const uint8_t *table, size_t n, size_t step)
{
    for (size_t i = 0; i < b->colours; i++) {
        uint8_t v = b->colours == 2 && i == 1 ? 255 : (uint8_t)i;
        const uint8_t *c = table + i * step;
        if ((i + 1) * step > n || c[0] != v || c[1] != v || c[2] != v)
            return false;
    }
    return true;
}

static void ramp_palette(Bmp *b)
{
    palette_grey(&b->palette);
    for (int i = 1; i < 256 && b->colours <= 2; i++)
        memset(b->palette.rgba[i], 255, 4);
}

static bool read_palette(Bmp *b)
{
    size_t step = b->header == 12 ? 3 : 4;
    if (b->colours > 65536)
        return decode_fail(b->s, b->e, "BMP: palette of %u colours", b->colours);
    size_t left = b->s->size - b->after, want = step * b->colours;
    size_t n = want < left ? want : left;
    const uint8_t *table = b->s->data + b->after;
    palette_black(&b->palette);
    if (is_ramp(b, table, n, step))
        ramp_palette(b);
    for (size_t i = 0; i < b->colours && i < 256 && (i + 1) * step <= n; i++) {
        const uint8_t *c = table + i * step;
        memcpy(b->palette.rgba[i], (const uint8_t[4]){c[2], c[1], c[0], 255}, 4);
    }
    if (b->pixels == b->after && b->compression != BI_BITFIELDS)
        b->pixels += want; /* some writers do not count the palette */
    b->after += n;
    return true;
}

/* The layouts that Pillow knows: masks of R, G, B and A. */
static bool known_masks(const Bmp *b)
{
    static const uint32_t wide[][4] = {
        {0xff0000, 0xff00, 0xff, 0},          {0xff000000, 0xff0000, 0xff00, 0},
        {0xff000000, 0xff00, 0xff, 0},        {0xff000000, 0xff0000, 0xff00, 0xff},
        {0xff, 0xff00, 0xff0000, 0xff000000}, {0xff0000, 0xff00, 0xff, 0xff000000},
        {0xff000000, 0xff00, 0xff, 0xff0000}, {0, 0, 0, 0},
    };
    const uint32_t *m = b->mask;
    if (b->bits == 24)
        return m[0] == 0xff0000 && m[1] == 0xff00 && m[2] == 0xff;
    if (b->bits == 16)
        return (m[0] == 0xf800 && m[1] == 0x7e0 && m[2] == 0x1f) ||
               (m[0] == 0x7c00 && m[1] == 0x3e0 && m[2] == 0x1f);
    for (size_t i = 0; b->bits == 32 && i < sizeof wide / sizeof wide[0]; i++)
        if (memcmp(m, wide[i], sizeof wide[i]) == 0)
            return true;
    return false;
}

static bool check_masks(Bmp *b)
{
    static const uint32_t plain[4] = {0xff0000, 0xff00, 0xff, 0};
    static const uint32_t with_alpha[4] = {0xff0000, 0xff00, 0xff, 0xff000000};
    if (b->compression != BI_BITFIELDS)
        memcpy(b->mask, plain, sizeof plain);
    else if (!known_masks(b))
        return decode_fail(b->s, b->e, "BMP: unknown bit fields");
    else if (b->bits == 32 && !(b->mask[0] | b->mask[1] | b->mask[2] | b->mask[3]))
        memcpy(b->mask, with_alpha, sizeof with_alpha);
    return true;
}

static size_t row_bytes(const Bmp *b)
{
    return ((size_t)b->width * b->bits + 7) / 8;
}

/* The padding of the last row may be missing. */
static bool enough_pixels(const Bmp *b)
{
    size_t stride = (row_bytes(b) + 3) & ~(size_t)3;
    size_t need = stride * (b->height - 1) + row_bytes(b);
    return b->pixels <= b->s->size && need <= b->s->size - b->pixels;
}

static void index_row(const Bmp *b, uint8_t *dst, int channels, const uint8_t *src)
{
    unsigned per_byte = 8 / b->bits, mask = (1u << b->bits) - 1;
    for (uint32_t x = 0; x < b->width; x++) {
        unsigned shift = 8 - b->bits * (x % per_byte + 1);
        uint8_t index = (uint8_t)(src[x / per_byte] >> shift & mask);
        palette_map(dst + (size_t)x * (size_t)channels, channels, &index, 1, &b->palette);
    }
}

static void row_16(const Bmp *b, uint8_t *dst, const uint8_t *src)
{
    bool six = b->mask[1] == 0x7e0;
    for (uint32_t x = 0; x < b->width; x++, dst += 3) {
        unsigned v = get_u16le(src + 2 * (size_t)x);
        unsigned red = v >> (six ? 11 : 10) & 31, green = v >> 5 & (six ? 63 : 31);
        dst[0] = (uint8_t)(red * 255 / 31);
        dst[1] = (uint8_t)(green * 255 / (six ? 63 : 31));
        dst[2] = (uint8_t)((v & 31) * 255 / 31);
    }
}

/* 24 and 32 bits: every mask is one byte. */
static void row_bytewise(const Bmp *b, uint8_t *dst, int channels, const uint8_t *src)
{
    int place[4];
    size_t step = b->bits / 8;
    for (int k = 0; k < channels; k++)
        place[k] = __builtin_ctz(b->mask[k]) / 8;
    for (uint32_t x = 0; x < b->width; x++, src += step)
        for (int k = 0; k < channels; k++)
            *dst++ = src[place[k]];
}

static uint8_t *picture_row(const Bmp *b, Picture *p, uint32_t y)
{
    size_t row = b->top_down ? y : b->height - 1 - y;
    return p->data + row * (size_t)p->width * (size_t)p->channels;
}

static bool read_rows(const Bmp *b, Picture *p)
{
    size_t stride = (row_bytes(b) + 3) & ~(size_t)3;
    for (uint32_t y = 0; y < b->height; y++) {
        const uint8_t *src = b->s->data + b->pixels + stride * y;
        uint8_t *dst = picture_row(b, p, y);
        if (b->bits <= 8)
            index_row(b, dst, p->channels, src);
        else if (b->bits == 16)
            row_16(b, dst, src);
        else
            row_bytewise(b, dst, p->channels, src);
    }
    return true;
}

/* --- run lengths: indices from the first stored row on ------------------------------------------ */

typedef struct Runs {
    const Source *s;
    size_t at;         /* next byte of the file */
    uint8_t *out;      /* total indices, zeroed */
    size_t len, total; /* indices so far, and wanted */
    size_t x, width;
    bool four; /* two indices per byte */
} Runs;

static void run_put(Runs *r, uint8_t index)
{
    if (r->len < r->total)
        r->out[r->len++] = index;
}

/* A run of n times the same index (or the same two). What sticks out of the row is dropped. */
static void run_same(Runs *r, size_t n, uint8_t value)
{
    if (r->x + n > r->width)
        n = r->x < r->width ? r->width - r->x : 0;
    for (size_t i = 0; i < n; i++)
        run_put(r, !r->four ? value : i % 2 ? value & 15 : value >> 4);
    r->x += n;
}

/* The indices are zero already: skipping is moving. */
static void run_skip(Runs *r, size_t n)
{
    r->len += n < r->total - r->len ? n : r->total - r->len;
}

static bool run_absolute(Runs *r, size_t n)
{
    size_t count = n < r->total - r->len ? n : r->total - r->len;
    size_t bytes = r->four ? (count + 1) / 2 : count;
    if (bytes > r->s->size - r->at)
        return false;
    const uint8_t *src = r->s->data + r->at;
    for (size_t i = 0; i < count; i++)
        run_put(r, !r->four ? src[i] : i % 2 ? src[i / 2] & 15 : src[i / 2] >> 4);
    r->x += n;
    r->at += bytes;
    r->at += r->at & 1; /* aligned in the file, not in the data (Pillow) */
    return true;
}

/* Codes after a zero byte: 0 end of row, 1 end of bitmap, 2 a jump, else indices as they are. */
static bool run_escape(Runs *r, uint8_t code)
{
    if (code == 1)
        return false;
    if (code > 2)
        return run_absolute(r, code);
    if (code == 0) {
        run_skip(r, (r->width - r->len % r->width) % r->width);
        r->x = 0;
        return true;
    }
    if (r->s->size - r->at < 2)
        return false;
    run_skip(r, r->s->data[r->at] + (size_t)r->s->data[r->at + 1] * r->width);
    r->at += 2;
    r->x = r->len % r->width;
    return true;
}

static void run_all(Runs *r)
{
    while (r->len < r->total && r->at < r->s->size && r->s->size - r->at >= 2) {
        uint8_t n = r->s->data[r->at], value = r->s->data[r->at + 1];
        r->at += 2;
        if (n > 0)
            run_same(r, n, value);
        else if (!run_escape(r, value))
            break;
    }
}

static bool read_runs(const Bmp *b, Picture *p)
{
    Runs r = {.s = b->s, .at = b->pixels, .width = b->width, .four = b->compression == BI_RLE4};
    r.total = (size_t)b->width * b->height;
    r.out = mem_calloc(r.total, 1);
    if (!r.out)
        return error_memory(b->e, b->s->name, r.total);
    run_all(&r);
    bool whole = r.len == r.total;
    for (uint32_t y = 0; whole && y < b->height; y++)
        palette_map(picture_row(b, p, y), p->channels, r.out + (size_t)y * b->width, b->width,
                    &b->palette);
    mem_free(r.out);
    return whole ? true : decode_fail(b->s, b->e, "truncated BMP");
}

bool decode_bmp(Picture *p, const Source *s, Error *e)
{
    Bmp b = {.s = s, .e = e};
    if (!read_header(&b) || (b.bits <= 8 && !read_palette(&b)) || !check_masks(&b))
        return false;
    if (b.pixels == 0)
        b.pixels = b.after;
    bool runs = b.compression == BI_RLE8 || b.compression == BI_RLE4;
    if (runs && b.bits > 8)
        return decode_fail(s, e, "BMP: run lengths with %u bits", b.bits);
    if ((uint64_t)b.width * b.height <= s->max_pixels && b.height && !runs && !enough_pixels(&b))
        return decode_fail(s, e, "truncated BMP");
    int channels = b.bits == 32 && b.mask[3] ? 4 : 3;
    return picture_new(p, s, b.width, b.height, channels, e) &&
           (runs ? read_runs(&b, p) : read_rows(&b, p));
}
