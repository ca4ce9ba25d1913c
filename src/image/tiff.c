/* image/tiff.c: the first page of a TIFF through libtiff, row by row or tile by tile, with the modes
 * and colours of Pillow's TiffImagePlugin.py and TiffDecode.c. Pillow turns a TIFF upright when it
 * loads it, whatever the caller does.
 *
 * libtiff reads from memory, is told how much it may allocate, and says what is wrong to us only. */
#include "image/tiff.h"

#include <stdio.h>
#include <string.h>
#include <tiffio.h>
#include "base/mem.h"

typedef struct TiffReader {
    const Source *s;
    uint64_t at; /* next byte of the file */
    TIFF *tif;
    Picture *p;
    TiffLayout layout;
    bool separate;  /* all of one sample, then all of the next */
    uint8_t *raw;   /* a row or a tile */
    char what[160]; /* the first thing that libtiff complained about */
    Error *e;
} TiffReader;

/* --- what libtiff asks for -------------------------------------------------------------------------- */

static tmsize_t on_read(thandle_t h, void *to, tmsize_t n)
{
    TiffReader *r = h;
    uint64_t left = r->at < r->s->size ? r->s->size - r->at : 0;
    size_t take = n < 0 ? 0 : (uint64_t)n < left ? (size_t)n : (size_t)left;
    if (take)
        memcpy(to, r->s->data + r->at, take);
    r->at += take;
    return (tmsize_t)take;
}

static tmsize_t on_write(thandle_t h, void *from, tmsize_t n)
{
    return -1;
}

static toff_t on_seek(thandle_t h, toff_t to, int whence)
{
    TiffReader *r = h;
    r->at = to + (whence == SEEK_CUR ? r->at : whence == SEEK_END ? r->s->size : 0);
    return r->at;
}

static int on_close(thandle_t h)
{
    return 0;
}

static toff_t on_size(thandle_t h)
{
    return ((TiffReader *)h)->s->size;
}

/* libtiff only reads what is mapped. */
static int on_map(thandle_t h, void **base, toff_t *size)
{
    TiffReader *r = h;
    union {
        const uint8_t *shown;
        void *taken;
    } u = {r->s->data};
    *base = u.taken;
    *size = r->s->size;
    return 1;
}

static void on_unmap(thandle_t h, void *base, toff_t size)
{
}

static int on_error(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    TiffReader *r = user;
    if (!r->what[0])
        vsnprintf(r->what, sizeof r->what, format, args);
    return 1;
}

static int on_warning(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    return 1;
}

static bool fail(TiffReader *r)
{
    bool memory =
        (strstr(r->what, "emory") && !strstr(r->what, "beyond")) || strstr(r->what, "No space for");
    if (memory)
        return error_set(r->e, ERR_MEMORY, "%s: out of memory (TIFF)", r->s->name);
    return decode_fail(r->s, r->e, "TIFF: %s", r->what[0] ? r->what : "damaged file");
}

/* c: strips are not cut in smaller ones; O: their places are looked up when they are needed. */
static bool open_tiff(TiffReader *r)
{
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o)
        return error_memory(r->e, r->s->name, sizeof *r);
    TIFFOpenOptionsSetErrorHandlerExtR(o, on_error, r);
    TIFFOpenOptionsSetWarningHandlerExtR(o, on_warning, r);
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)(4 * r->s->max_pixels + ((uint64_t)16 << 20)));
    r->tif = TIFFClientOpenExt("picture", "rcO", r, on_read, on_write, on_seek, on_close, on_size,
                               on_map, on_unmap, o);
    TIFFOpenOptionsFree(o);
    return r->tif ? true : fail(r);
}

/* --- what the tags say ------------------------------------------------------------------------------ */

static unsigned short_tag(const TiffReader *r, uint32_t tag, unsigned otherwise)
{
    uint16_t v = 0;
    return TIFFGetField(r->tif, tag, &v) ? v : otherwise;
}

/* The extra samples as the file has them: libtiff makes some up. */
static void read_extra(TiffReader *r, TiffTags *t)
{
    uint16_t n = 0, *kinds = NULL;
    bool said =
        TIFFIsBigTIFF(r->tif) || tiff_has_tag((Span){r->s->data, r->s->size}, TIFFTAG_EXTRASAMPLES);
    t->n_extra = -1;
    if (!said)
        return;
    t->n_extra = TIFFGetField(r->tif, TIFFTAG_EXTRASAMPLES, &n, &kinds) ? n : 0;
    for (int i = 0; i < n && i < TIFF_SAMPLES; i++)
        t->extra[i] = kinds[i];
}

static TiffTags read_tags(TiffReader *r)
{
    TiffTags t = {
        .photometric = short_tag(r, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE),
        .bits = short_tag(r, TIFFTAG_BITSPERSAMPLE, 1),
        .samples = short_tag(r, TIFFTAG_SAMPLESPERPIXEL, 1),
        .format = short_tag(r, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT),
    };
    read_extra(r, &t);
    return t;
}

static bool read_palette(TiffReader *r)
{
    uint16_t *c[3] = {0};
    if (!TIFFGetField(r->tif, TIFFTAG_COLORMAP, &c[0], &c[1], &c[2]))
        return decode_fail(r->s, r->e, "TIFF: a palette picture without a palette");
    palette_black(&r->layout.palette);
    for (int i = 0; i < 1 << r->layout.bits; i++)
        for (int k = 0; k < 3; k++)
            r->layout.palette.rgba[i][k] = (uint8_t)(c[k][i] / 256);
    return true;
}

static bool known_compression(unsigned c)
{
    static const unsigned known[] = {
        COMPRESSION_NONE,      COMPRESSION_CCITTRLE,      COMPRESSION_CCITTFAX3,
        COMPRESSION_CCITTFAX4, COMPRESSION_LZW,           COMPRESSION_OJPEG,
        COMPRESSION_JPEG,      COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS,
        COMPRESSION_CCITTRLEW, COMPRESSION_THUNDERSCAN,   COMPRESSION_DEFLATE,
        COMPRESSION_LZMA,      COMPRESSION_ZSTD,          COMPRESSION_WEBP,
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == c)
            return TIFFIsCODECConfigured((uint16_t)c);
    return false;
}

/* libtiff keeps 16 bytes per pixel of a row of these. */
enum { FAX_WIDTH = 1 << 22 };

static bool is_fax(unsigned c)
{
    return c == COMPRESSION_CCITTRLE || c == COMPRESSION_CCITTRLEW || c == COMPRESSION_CCITTFAX3 ||
           c == COMPRESSION_CCITTFAX4;
}

static bool read_layout(TiffReader *r)
{
    TiffTags t = read_tags(r);
    if (!tiff_layout(&r->layout, &t))
        return decode_fail(r->s, r->e,
                           "TIFF: unknown kind of pixels: photometric %u, %u x %u bits, format %u",
                           t.photometric, t.samples, t.bits, t.format);
    return r->layout.kind != TIFF_PALETTE || read_palette(r);
}

/* --- pixels ------------------------------------------------------------------------------------------ */

static uint8_t *pixel(const TiffReader *r, uint32_t x, uint32_t y)
{
    return r->p->data + ((size_t)y * (size_t)r->p->width + x) * (size_t)r->p->channels;
}

static void put(TiffReader *r, uint32_t x, uint32_t y, const uint8_t *raw, size_t n, int s,
                int count)
{
    if (tiff_put(pixel(r, x, y), &r->layout, raw, n, s, count))
        r->p->notice = NOTICE_CLIPPED;
}

/* Room for a row or a tile; a picture that is nothing beside its tile is not worth the memory. */
static bool make_room(TiffReader *r, uint64_t bytes, uint64_t rows, uint64_t per_row,
                      uint64_t width)
{
    uint64_t samples = r->separate ? 1 : (uint64_t)r->layout.samples;
    uint64_t area = (uint64_t)r->p->width * (uint64_t)r->p->height;
    if (per_row < (width * samples * (uint64_t)r->layout.bits + 7) / 8 || bytes < per_row * rows)
        return decode_fail(r->s, r->e, "TIFF: odd row size");
    if (bytes > 8 * area + ((uint64_t)16 << 20))
        return decode_fail(r->s, r->e, "TIFF: tiles much larger than the picture");
    r->raw = mem_calloc((size_t)bytes, 1); /* damage may leave parts of it as they are */
    return r->raw ? true : error_memory(r->e, r->s->name, (size_t)bytes);
}

static bool read_strips(TiffReader *r)
{
    const TiffLayout *l = &r->layout;
    uint32_t width = (uint32_t)r->p->width, height = (uint32_t)r->p->height;
    uint64_t bytes = (uint64_t)TIFFScanlineSize64(r->tif);
    int planes = r->separate ? l->samples : 1, count = r->separate ? 1 : l->samples;
    if (!make_room(r, bytes, 1, bytes, width))
        return false;
    for (int s = 0; s < planes; s++)
        for (uint32_t y = 0; y < height; y++) {
            if (TIFFReadScanline(r->tif, r->raw, y, (uint16_t)s) != 1)
                return fail(r);
            put(r, 0, y, r->raw, width, s, count);
        }
    return true;
}

typedef struct Tile {
    uint32_t width, height;
    uint64_t per_row;
} Tile;

static bool read_tile(TiffReader *r, const Tile *t, uint32_t x, uint32_t y, int s, int count)
{
    uint32_t width = (uint32_t)r->p->width - x, height = (uint32_t)r->p->height - y;
    width = width < t->width ? width : t->width;
    height = height < t->height ? height : t->height;
    if (TIFFReadTile(r->tif, r->raw, x, y, 0, (uint16_t)s) < 0)
        return fail(r);
    for (uint32_t k = 0; k < height; k++)
        put(r, x, y + k, r->raw + t->per_row * k, width, s, count);
    return true;
}

static bool tile_size(TiffReader *r, Tile *t)
{
    if (!TIFFGetField(r->tif, TIFFTAG_TILEWIDTH, &t->width) ||
        !TIFFGetField(r->tif, TIFFTAG_TILELENGTH, &t->height) || t->width == 0 || t->height == 0)
        return decode_fail(r->s, r->e, "TIFF: tiles without a size");
    t->per_row = (uint64_t)TIFFTileRowSize64(r->tif);
    return make_room(r, (uint64_t)TIFFTileSize64(r->tif), t->height, t->per_row, t->width);
}

static bool read_tiles(TiffReader *r)
{
    Tile t = {0};
    int planes = r->separate ? r->layout.samples : 1, count = r->separate ? 1 : r->layout.samples;
    if (!tile_size(r, &t))
        return false;
    for (int s = 0; s < planes; s++)
        for (uint64_t y = 0; y < (uint64_t)r->p->height; y += t.height)
            for (uint64_t x = 0; x < (uint64_t)r->p->width; x += t.width)
                if (!read_tile(r, &t, (uint32_t)x, (uint32_t)y, s, count))
                    return false;
    return true;
}

static bool read_samples(TiffReader *r, uint32_t width, uint32_t height)
{
    uint64_t planes = r->separate ? (uint64_t)r->layout.samples : 1;
    if (!decode_check_rows(r->s, planes * height, r->e) ||
        !picture_new(r->p, r->s, width, height, r->layout.channels, r->e))
        return false;
    if (!(TIFFIsTiled(r->tif) ? read_tiles(r) : read_strips(r)))
        return false;
    for (uint32_t y = 0; y < height; y++)
        tiff_finish(pixel(r, 0, y), &r->layout, width);
    return true;
}

/* YCbCr: libtiff makes RGBA of it, in the picture's own memory. Rows that it does not reach are black. */
static bool read_rgba(TiffReader *r, uint32_t width, uint32_t height)
{
    char why[1024] = "";
    TIFFRGBAImage image;
    if (!decode_check_rows(r->s, height, r->e) || !picture_new(r->p, r->s, width, height, 4, r->e))
        return false;
    size_t n = (size_t)width * height;
    memset(r->p->data, 0, 4 * n);
    if (!TIFFRGBAImageOK(r->tif, why) || !TIFFRGBAImageBegin(&image, r->tif, 0, why))
        return decode_fail(r->s, r->e, "TIFF: %s", why);
    image.orientation = image.req_orientation = ORIENTATION_TOPLEFT;
    uint32_t *raster = (uint32_t *)(void *)r->p->data;
    bool ok = TIFFRGBAImageGet(&image, raster, width, height);
    TIFFRGBAImageEnd(&image);
    for (size_t i = 0; i < n; i++) {
        uint32_t v = raster[i];
        uint8_t c[4] = {TIFFGetR(v), TIFFGetG(v), TIFFGetB(v), 255};
        memcpy(r->p->data + 4 * i, c, 4);
    }
    return ok ? true : fail(r);
}

/* Starts of scans (SOS markers) in n bytes of a JPEG: FF DA stands for nothing else in one that is whole. */
static uint64_t scans_in(const uint8_t *p, size_t n)
{
    uint64_t scans = 0;
    for (const uint8_t *end = p + n; n > 1 && (p = memchr(p, 0xff, (size_t)(end - p))); p++) {
        scans += p + 1 < end && p[1] == 0xda;
        if (p + 1 >= end)
            break;
    }
    return scans;
}

/* Strips and tiles may share their bytes, so the sum of their scans is what counts; and the sum of the bytes
 * that are looked through for them. */
static bool check_scans(TiffReader *r, uint64_t width, uint64_t height)
{
    uint32_t n = TIFFIsTiled(r->tif) ? TIFFNumberOfTiles(r->tif) : TIFFNumberOfStrips(r->tif);
    uint64_t samples = width * height * short_tag(r, TIFFTAG_SAMPLESPERPIXEL, 1), most = 0, all = 0;
    uint64_t bytes = 0, size = r->s->size, limit = 4 * size + (1 << 20);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = TIFFGetStrileOffset(r->tif, i), count = TIFFGetStrileByteCount(r->tif, i);
        if (at >= size)
            continue;
        count = count < size - at ? count : size - at;
        bytes += count;
        if (bytes > limit)
            return decode_fail(r->s, r->e, "TIFF: strips or tiles that share their bytes");
        uint64_t scans = scans_in(r->s->data + at, (size_t)count);
        most = scans > most ? scans : most;
        all += scans;
    }
    uint64_t mean = n ? all / n : 0; /* the parts are of about one size */
    if (too_many_scans(most, samples / (n ? n : 1)) || too_many_scans(mean, samples))
        return decode_fail(r->s, r->e, "TIFF: too many scans");
    return true;
}

/* What the file must have when nothing is compressed: told before memory is taken. */
static bool plausible(const TiffReader *r, uint64_t width, uint64_t height)
{
    uint64_t bits = width * height * r->layout.bits * (uint64_t)r->layout.samples;
    return bits / 8 <= r->s->size;
}

static bool read_picture(TiffReader *r)
{
    uint32_t width = 0, height = 0;
    unsigned compression = short_tag(r, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    TIFFGetField(r->tif, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(r->tif, TIFFTAG_IMAGELENGTH, &height);
    r->separate = short_tag(r, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
    if (!known_compression(compression))
        return decode_fail(r->s, r->e, "TIFF: compression %u is not supported", compression);
    if (is_fax(compression) && width > FAX_WIDTH)
        return decode_fail(r->s, r->e, "TIFF: too wide for a fax, %u pixels, the limit is %d",
                           width, FAX_WIDTH);
    if (compression == COMPRESSION_JPEG && !check_scans(r, width, height))
        return false;
    bool ycbcr = short_tag(r, TIFFTAG_PHOTOMETRIC, 0) == PHOTOMETRIC_YCBCR;
    if (ycbcr && compression == COMPRESSION_JPEG && !r->separate) {
        TIFFSetField(r->tif, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        tiff_layout(&r->layout, &(TiffTags){PHOTOMETRIC_RGB, 8, 3, SAMPLEFORMAT_UINT, {0}, 0});
    } else if (ycbcr || compression == COMPRESSION_OJPEG) {
        return read_rgba(r, width, height);
    } else if (!read_layout(r)) {
        return false;
    }
    bool fits = width <= r->s->max_pixels && height <= r->s->max_pixels;
    if (compression == COMPRESSION_NONE && fits && !plausible(r, width, height))
        return decode_fail(r->s, r->e, "truncated TIFF");
    return read_samples(r, width, height);
}

/* --- the whole --------------------------------------------------------------------------------------- */

static int orientation(const TiffReader *r)
{
    uint32_t n = 0;
    void *data = NULL;
    Span xmp = {0}, file = {r->s->data, r->s->size};
    if (TIFFGetField(r->tif, TIFFTAG_XMLPACKET, &n, &data) && data)
        xmp = (Span){data, n};
    if (!TIFFIsBigTIFF(r->tif))
        return orientation_from(file, xmp);
    int o = (int)short_tag(r, TIFFTAG_ORIENTATION, 0);
    return o >= 1 && o <= 8 ? o : orientation_from((Span){0}, xmp);
}

bool decode_tiff(Picture *p, const Source *s, Error *e)
{
    TiffReader r = {.s = s, .p = p, .e = e};
    bool ok = open_tiff(&r) && read_picture(&r);
    if (ok) {
        p->orientation = orientation(&r);
        p->always_turned = true;
    }
    if (r.tif)
        TIFFClose(r.tif);
    mem_free(r.raw);
    return ok;
}
