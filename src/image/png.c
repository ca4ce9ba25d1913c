/* image/png.c: PNG through libpng's row interface, with the colour rules of Pillow's
 * PngImagePlugin.py (16-bit grey is clipped, not shifted; transparent colours are compared with
 * the 8-bit values).
 *
 * Rows arrive right-aligned in the rows of the picture and are widened in place, so that an
 * interlaced file needs no second picture. libpng leaves by longjmp; what must be freed afterwards
 * lives in the PngReader, behind a pointer. */
#include "image/decode.h"

#include <setjmp.h>
#include <string.h>
#include <png.h>
#include "base/mem.h"

typedef struct PngReader {
    png_structp png;
    png_infop info;
    const Source *s;
    size_t at; /* next byte of the file */
    Picture *p;
    Error *e;
    bool no_memory;
    int kind, depth; /* PNG_COLOR_TYPE_*, bits per sample in the file */
    size_t raw;      /* bytes per pixel as libpng delivers them */
    bool has_key;    /* one colour is transparent: */
    uint8_t key[3];
    Palette palette; /* grey and palette files */
} PngReader;

static png_voidp on_alloc(png_structp png, png_alloc_size_t n)
{
    PngReader *r = png_get_mem_ptr(png);
    void *block = mem_alloc(n);
    r->no_memory |= !block;
    return block;
}

static void on_free(png_structp png, png_voidp block)
{
    mem_free(block);
}

static _Noreturn void on_error(png_structp png, png_const_charp text)
{
    PngReader *r = png_get_error_ptr(png);
    if (r->no_memory)
        error_set(r->e, ERR_MEMORY, "%s: out of memory (PNG)", r->s->name);
    else
        decode_fail(r->s, r->e, "PNG: %s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    PngReader *r = png_get_io_ptr(png);
    if (n > r->s->size - r->at)
        png_error(png, "truncated file");
    memcpy(to, r->s->data + r->at, n);
    r->at += n;
}

/* Chunks that change nothing here are not even parsed: some are compressed and could swell. */
static void ignore_chunks(PngReader *r)
{
    static const char names[][5] = {"bKGD", "cHRM", "eXIf", "gAMA", "hIST", "iCCP",
                                    "iTXt", "oFFs", "pCAL", "pHYs", "sBIT", "sCAL",
                                    "sPLT", "sRGB", "sTER", "tEXt", "tIME", "zTXt"};
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, (png_const_bytep)names,
                                sizeof names / sizeof names[0]);
}

static void set_limits(PngReader *r)
{
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* picture_new has the limit */
    png_set_chunk_cache_max(r->png, 64);
    png_set_chunk_malloc_max(r->png, 8 << 20);
    png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
}

/* PLTE and tRNS. An index past the palette is black (Pillow). */
static bool palette_from_file(PngReader *r)
{
    png_colorp colours = NULL;
    png_bytep alpha = NULL;
    int count = 0, alphas = 0;
    palette_black(&r->palette);
    png_get_PLTE(r->png, r->info, &colours, &count);
    for (int i = 0; i < count && i < 256; i++) {
        uint8_t *c = r->palette.rgba[i];
        c[0] = colours[i].red, c[1] = colours[i].green, c[2] = colours[i].blue;
    }
    png_get_tRNS(r->png, r->info, &alpha, &alphas, NULL);
    for (int i = 0; alpha && i < alphas && i < 256; i++)
        r->palette.rgba[i][3] = alpha[i];
    return alpha != NULL;
}

/* The transparent colour. Pillow compares the file's number, cut to 8 bits, with the pixel's 8-bit
 * value (Convert.c, rgbT2rgba), except that 1-bit files have it scaled. */
static bool key_from_file(PngReader *r)
{
    png_color_16p key = NULL;
    if (!png_get_tRNS(r->png, r->info, NULL, NULL, &key) || !key)
        return false;
    bool grey = r->kind == PNG_COLOR_TYPE_GRAY;
    r->key[0] = (uint8_t)(grey ? key->gray : key->red);
    r->key[1] = (uint8_t)key->green;
    r->key[2] = (uint8_t)key->blue;
    if (grey && r->depth == 1)
        r->key[0] = key->gray ? 255 : 0;
    r->has_key = true;
    return true;
}

/* Samples of 1, 2, 4 and 8 bits to 0..255; 16-bit ones are clipped before they come here. */
static void grey_palette(PngReader *r)
{
    int top = r->depth < 8 ? (1 << r->depth) - 1 : 255;
    palette_black(&r->palette);
    for (int i = 0; i <= top; i++) {
        uint8_t v = (uint8_t)(i * 255 / top);
        uint8_t a = r->has_key && v == r->key[0] ? 0 : 255;
        memcpy(r->palette.rgba[i], (const uint8_t[4]){v, v, v, a}, 4);
    }
}

static int channels_of(PngReader *r)
{
    if (r->kind == PNG_COLOR_TYPE_PALETTE)
        return palette_from_file(r) ? 4 : 3;
    if (r->kind & PNG_COLOR_MASK_ALPHA)
        return 4;
    int channels = key_from_file(r) ? 4 : 3;
    if (r->kind == PNG_COLOR_TYPE_GRAY)
        grey_palette(r);
    return channels;
}

/* Deflate shrinks at most 1032 : 1, so a file that is far too short for its size is told at once
 * and not after the rows are allocated. */
static bool plausible(const PngReader *r, uint64_t width, uint64_t height)
{
    uint64_t bits = (uint64_t)png_get_channels(r->png, r->info) * (uint64_t)r->depth;
    uint64_t row = width / 8 * bits; /* cannot overflow: width < 2^31, bits <= 64 */
    return height == 0 || row <= (uint64_t)r->s->size * 1040 / height + 4096;
}

static bool prepare_output(PngReader *r)
{
    png_uint_32 width, height;
    int interlace;
    png_get_IHDR(r->png, r->info, &width, &height, &r->depth, &r->kind, &interlace, NULL, NULL);
    uint64_t rows = (uint64_t)height * (interlace == PNG_INTERLACE_NONE ? 1 : 2);
    if ((uint64_t)width * height <= r->s->max_pixels && !plausible(r, width, height))
        return decode_fail(r->s, r->e, "truncated PNG");
    if (!decode_check_rows(r->s, rows, r->e) ||
        !picture_new(r->p, r->s, width, height, channels_of(r), r->e))
        return false;
    png_set_packing(r->png);
    if (r->depth == 16 && r->kind != PNG_COLOR_TYPE_GRAY)
        png_set_strip_16(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->raw = png_get_rowbytes(r->png, r->info) / width;
    return r->raw <= (size_t)r->p->channels ? true : decode_fail(r->s, r->e, "PNG: odd row size");
}

static uint8_t *picture_row(const PngReader *r, int y)
{
    return r->p->data + (size_t)y * (size_t)r->p->width * (size_t)r->p->channels;
}

/* Where libpng puts a row: at the end of the room that the finished row has. */
static uint8_t *raw_row(const PngReader *r, int y)
{
    return picture_row(r, y) + (size_t)r->p->width * ((size_t)r->p->channels - r->raw);
}

static void read_rows(PngReader *r)
{
    int passes = png_get_interlace_type(r->png, r->info) == PNG_INTERLACE_NONE ? 1 : 7;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < r->p->height; y++)
            png_read_row(r->png, raw_row(r, y), NULL);
}

/* min(v, 255), into the low bytes' places. Whether a value was larger. */
static bool clip_grey16(uint8_t *row, size_t n)
{
    uint8_t beyond = 0;
    for (size_t i = 0; i < n; i++) {
        beyond |= row[2 * i];
        row[i] = row[2 * i] ? 255 : row[2 * i + 1];
    }
    return beyond != 0;
}

static void widen_grey_alpha(uint8_t *row, const uint8_t *raw, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t v = raw[2 * i], a = raw[2 * i + 1];
        memcpy(row + 4 * i, (const uint8_t[4]){v, v, v, a}, 4);
    }
}

static void widen_rgb_key(uint8_t *row, const uint8_t *raw, size_t n, const uint8_t key[3])
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c[4] = {raw[3 * i], raw[3 * i + 1], raw[3 * i + 2], 255};
        if (memcmp(c, key, 3) == 0)
            c[3] = 0;
        memcpy(row + 4 * i, c, 4);
    }
}

static void widen_row(const PngReader *r, int y)
{
    uint8_t *row = picture_row(r, y), *raw = raw_row(r, y);
    size_t n = (size_t)r->p->width;
    if (r->kind == PNG_COLOR_TYPE_GRAY || r->kind == PNG_COLOR_TYPE_PALETTE) {
        if (r->raw == 2) {
            if (clip_grey16(raw, n))
                r->p->notice = NOTICE_CLIPPED;
            memmove(raw + n, raw, n);
            raw += n;
        }
        palette_map(row, r->p->channels, raw, n, &r->palette);
    } else if (r->kind == PNG_COLOR_TYPE_GRAY_ALPHA) {
        widen_grey_alpha(row, raw, n);
    } else if (r->has_key) {
        widen_rgb_key(row, raw, n, r->key);
    }
}

static bool read_pixels(PngReader *r)
{
    if (setjmp(png_jmpbuf(r->png)))
        return false;
    r->info = png_create_info_struct(r->png);
    if (!r->info)
        png_error(r->png, "no info struct");
    set_limits(r);
    ignore_chunks(r);
    png_set_read_fn(r->png, r, on_read);
    png_read_info(r->png, r->info);
    if (!prepare_output(r))
        return false;
    png_set_crc_action(r->png, PNG_CRC_QUIET_USE, PNG_CRC_ERROR_QUIT); /* as Pillow for IDAT */
    read_rows(r);
    for (int y = 0; y < r->p->height; y++)
        widen_row(r, y);
    return true;
}

static bool decode(void *reader, Picture *p, const Source *s, Error *e)
{
    PngReader *r = reader;
    *r = (PngReader){.s = s, .p = p, .e = e};
    r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, r, on_error, on_warning, r, on_alloc,
                                      on_free);
    bool ok = r->png ? read_pixels(r) : error_memory(e, s->name, sizeof *r);
    if (r->png)
        png_destroy_read_struct(&r->png, &r->info, NULL);
    return ok;
}

bool decode_png(Picture *p, const Source *s, Error *e)
{
    return decode_with_reader(sizeof(PngReader), decode, p, s, e) &&
           png_orientation(&p->orientation, s, e);
}
