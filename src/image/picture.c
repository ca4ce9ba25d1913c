/* image/picture.c: loading, what is refused, the life of a Picture. */
#include "image/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"

/* No picture within the pixel limit needs more, whatever its format. */
#define FILE_LIMIT ((size_t)2 << 30)

/* Pixels that have large pages. */
#define LARGE ((size_t)4 << 20)

bool decode_fail(const Source *s, Error *e, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return error_set(e, ERR_FAILED, "%s: picture: %s", s->name, what);
}

bool picture_new(Picture *p, const Source *s, uint64_t width, uint64_t height, int channels,
                 Error *e)
{
    if (width == 0 || height == 0)
        return decode_fail(s, e, "empty, %llu x %llu pixels", (unsigned long long)width,
                           (unsigned long long)height);
    if (width > s->max_pixels || height > s->max_pixels / width)
        return decode_fail(s, e, "too large, %llu x %llu pixels, the limit is %llu pixels",
                           (unsigned long long)width, (unsigned long long)height,
                           (unsigned long long)s->max_pixels);
    size_t bytes = (size_t)width * height * (size_t)channels;
    p->data = mem_alloc(bytes);
    if (!p->data)
        return error_memory(e, s->name, bytes);
    if (bytes >= LARGE)
        mem_large_pages(p->data);
    p->width = (int)width;
    p->height = (int)height;
    p->channels = channels;
    return true;
}

bool decode_check_rows(const Source *s, uint64_t rows, Error *e)
{
    const uint64_t most = (uint64_t)1 << 26;
    return rows <= most || decode_fail(s, e, "too tall, %llu rows to read, the limit is %llu",
                                       (unsigned long long)rows, (unsigned long long)most);
}

bool decode_with_reader(size_t bytes, ReaderFn *decode, Picture *p, const Source *s, Error *e)
{
    void *reader = mem_alloc(bytes);
    bool ok = reader ? decode(reader, p, s, e) : error_memory(e, s->name, bytes);
    mem_free(reader);
    return ok;
}

void palette_black(Palette *p)
{
    for (int i = 0; i < 256; i++)
        memcpy(p->rgba[i], (const uint8_t[4]){0, 0, 0, 255}, 4);
}

void palette_grey(Palette *p)
{
    for (int i = 0; i < 256; i++) {
        uint8_t v = (uint8_t)i;
        memcpy(p->rgba[i], (const uint8_t[4]){v, v, v, 255}, 4);
    }
}

void palette_map(uint8_t *dst, int channels, const uint8_t *index, size_t n, const Palette *p)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *c = p->rgba[index[i]];
        uint8_t *d = dst + i * (size_t)channels;
        for (int k = 0; k < channels; k++)
            d[k] = c[k];
    }
}

#ifdef HAVE_LIBHEIF
#define READ "JPEG, PNG, WebP, GIF, BMP, PNM, TIFF, AVIF or HEIC"
#else
#define READ "JPEG, PNG, WebP, GIF, BMP, PNM or TIFF"
#endif

static bool refuse(const Source *s, const char *name, Error *e)
{
    if (s->size == 0)
        return decode_fail(s, e, "the file is empty");
    if (!name)
        return decode_fail(s, e, "not a picture, expected " READ);
    if (strncmp(name, "HEI", 3) == 0 || strcmp(name, "AVIF") == 0)
        return decode_fail(s, e,
                           "the file is %s, and this build is without libheif: expected " READ
                           " (heif-convert or ImageMagick converts it)",
                           name);
    return decode_fail(s, e, "the file is %s, expected " READ, name);
}

bool picture_decode_capped(Picture *p, const void *bytes, size_t n, const char *name,
                           uint64_t max_pixels, Error *e)
{
    Source s = {bytes, n, name, max_pixels};
    *p = (Picture){.orientation = 1};
    const char *format = NULL;
    Decoder *decode = format_of(&s, &format);
    if (!decode)
        return refuse(&s, format, e);
    if (decode(p, &s, e))
        return true;
    picture_free(p);
    return false;
}

bool picture_decode(Picture *p, const void *bytes, size_t n, const char *name, Error *e)
{
    return picture_decode_capped(p, bytes, n, name, PICTURE_MAX_PIXELS, e);
}

/* What is no picture need not be read to its end, which it may not have. */
static bool worth_reading(const unsigned char *head, size_t n)
{
    Source s = {.data = head, .size = n};
    const char *format;
    return format_of(&s, &format) != NULL;
}

/* What is often given in the place of a picture. */
static void explain(const char *path, Error *e)
{
    if (file_is_dir(path))
        error_add(e, ": give the pictures in it, %s/*", path);
    else if (strstr(path, "://") && !file_exists(path))
        error_add(e, ": a URL is not fetched: download the picture, or pipe it to -");
}

bool picture_load(Picture *p, const char *path, Error *e)
{
    size_t size;
    *p = (Picture){.orientation = 1};
    unsigned char *bytes = file_read_named(path, FILE_LIMIT, worth_reading, &size, ERR_FAILED, e);
    if (!bytes) {
        explain(path, e);
        return false;
    }
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    bool ok = picture_decode(p, bytes, size, name, e);
    mem_free(bytes);
    return ok;
}

static void grey_to_rgb(uint8_t *rgb, const uint8_t *grey, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = grey[i];
}

bool picture_from_pixels(Picture *p, const uint8_t *pixels, int width, int height, int channels,
                         Error *e)
{
    Source s = {.name = "pixels", .max_pixels = PICTURE_MAX_PIXELS};
    *p = (Picture){.orientation = 1};
    if (channels != 1 && channels != 3 && channels != 4)
        return error_set(e, ERR_USAGE, "pixels: channels, expected 1, 3 or 4, got %d", channels);
    if (width < 0 || height < 0)
        return error_set(e, ERR_USAGE, "pixels: size, expected positive numbers, got %d x %d",
                         width, height);
    if (!picture_new(p, &s, (uint64_t)width, (uint64_t)height, channels == 4 ? 4 : 3, e))
        return false;
    size_t n = (size_t)width * (size_t)height;
    if (channels == 1)
        grey_to_rgb(p->data, pixels, n);
    else
        memcpy(p->data, pixels, n * (size_t)channels);
    return true;
}

void picture_free(Picture *p)
{
    mem_free(p->data);
    *p = (Picture){.orientation = 1};
}
