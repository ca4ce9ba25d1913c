/* image/formats.c: telling formats apart by their first bytes, also those that are not read, so that a
 * message can name what a file is. */
#include "image/decode.h"

#include <string.h>
#include "base/utf8.h"

typedef struct Magic {
    size_t at, size;
    const char *bytes;
    const char *name;
    Decoder *decode; /* NULL: not read */
} Magic;

#ifdef HAVE_LIBHEIF
#define HEIF          decode_heif
#define READS(format) heif_reads_##format()
#else
#define HEIF          NULL
#define READS(format) false
#endif

/* The first that fits. As Pillow's plug-ins accept a file; Pillow takes two TIFF headers with the number
 * 42 turned round, which libtiff does not. */
static const Magic magics[] = {
    {0, 3, "\xff\xd8\xff", "JPEG", decode_jpeg},
    {0, 8, "\x89PNG\r\n\x1a\n", "PNG", decode_png},
    {0, 6, "GIF87a", "GIF", decode_gif},
    {0, 6, "GIF89a", "GIF", decode_gif},
    {8, 4, "WEBP", "WebP", decode_webp}, /* RIFF is asked for below */
    {0, 4, "II*\0", "TIFF", decode_tiff},
    {0, 4, "MM\0*", "TIFF", decode_tiff},
    {0, 4, "II+\0", "TIFF", decode_tiff},
    {0, 4, "MM\0+", "TIFF", decode_tiff},
    {0, 2, "BM", "BMP", decode_bmp},
    {4, 8, "ftypavif", "AVIF", HEIF},
    {4, 8, "ftypavis", "AVIF", HEIF},
    {4, 7, "ftyphei", "HEIC", HEIF},
    {4, 7, "ftyphev", "HEIC", HEIF},
    {4, 8, "ftypmif1", "HEIF", HEIF},
    {4, 8, "ftypmsf1", "HEIF", HEIF},
    {4, 8, "ftypcrx ", "a camera's raw file (CR3)", NULL},
    {4, 4, "ftyp", "a video (MP4 or QuickTime)", NULL},
    {0, 2, "\xff\x0a", "JPEG XL", NULL},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", NULL},
    {0, 12, "\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", NULL},
    {0, 4, "\xff\x4f\xff\x51", "JPEG 2000", NULL},
    {0, 3, "II\xbc", "JPEG XR", NULL},
    {0, 4, "8BPS", "PSD (Photoshop)", NULL},
    {0, 9, "gimp xcf ", "XCF (GIMP)", NULL},
    {0, 5, "%PDF-", "PDF", NULL},
    {0, 4, "%!PS", "PostScript", NULL},
    {0, 4, "\0\0\1\0", "ICO", NULL}, /* a count of pictures above 0 is asked for below */
    {0, 4, "\0\0\2\0", "CUR", NULL},
    {0, 4, "icns", "ICNS", NULL},
    {0, 4, "qoif", "QOI", NULL},
    {0, 4, "DDS ", "DDS", NULL},
    {0, 4, "\x76\x2f\x31\x01", "OpenEXR", NULL},
    {0, 2, "#?", "Radiance HDR", NULL},
    {0, 8, "\x8aMNG\r\n\x1a\n", "MNG", NULL},
    {0, 8, "AT&TFORM", "DjVu", NULL},
    {0, 3, "P7\n", "PAM", NULL},
    {0, 3, "PF\n", "PFM", NULL},
    {0, 3, "Pf\n", "PFM", NULL},
    {0, 4, "\x1a\x45\xdf\xa3", "a video (Matroska or WebM)", NULL},
    {0, 4, "PK\3\4", "a ZIP archive", NULL},
    {0, 2, "\x1f\x8b", "compressed (gzip)", NULL},
    {0, 23, "version https://git-lfs", "a Git LFS pointer and not the file itself", NULL},
};

static bool begins(const Source *s, size_t at, const char *magic, size_t n)
{
    return s->size >= at + n && memcmp(s->data + at, magic, n) == 0;
}

/* Text that starts with a mark-up tag: SVG when one of the first kilobyte is <svg, or HTML. */
static const char *markup(const Source *s)
{
    size_t at = utf8_mark(s->data, s->size), end = s->size < 1024 ? s->size : 1024;
    while (at < end && strchr(" \t\r\n", s->data[at]) && s->data[at])
        at++;
    if (at == end || s->data[at] != '<')
        return NULL;
    for (size_t i = at; i < end; i++)
        if (begins(s, i, "<svg", 4))
            return "SVG";
    if (begins(s, at, "<!DOCTYPE html", 14) || begins(s, at, "<!doctype html", 14) ||
        begins(s, at, "<html", 5))
        return "an HTML page";
    return begins(s, at, "<?xml", 5) ? "XML" : NULL;
}

Decoder *format_of(const Source *s, const char **name)
{
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        const Magic *m = &magics[i];
        if (!begins(s, m->at, m->bytes, m->size) || (m->at == 8 && !begins(s, 0, "RIFF", 4)))
            continue;
        if (m->bytes[0] == 0 && m->size == 4 && m->at == 0 &&
            (s->size < 6 || !get_u16le(s->data + 4)))
            continue; /* some TGA begin so */
        *name = m->name;
        return m->decode;
    }
    *name = markup(s);
    bool pnm = s->size >= 2 && s->data[0] == 'P' && s->data[1] >= '1' && s->data[1] <= '6';
    return pnm ? decode_pnm : NULL;
}

void picture_formats(const char *name[PICTURE_FORMATS])
{
    static const char *const always[] = {"JPEG", "PNG", "WebP", "GIF", "BMP", "PNM", "TIFF"};
    size_t n = sizeof always / sizeof *always;
    memcpy(name, always, sizeof always);
    if (READS(avif))
        name[n++] = "AVIF";
    if (READS(heic))
        name[n++] = "HEIC";
    name[n] = NULL;
}
