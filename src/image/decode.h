/* image/decode.h: what the decoders share. Internal to image/ (and its tests and fuzzer).
 *
 * A decoder reads only what is in the file, writes only what picture_new has made, and sets
 * ERR_FAILED ("NAME: picture: WHAT") or ERR_MEMORY when it returns false. */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include "image/image.h"

/* The bytes of one file. name is for messages. */
typedef struct Source {
    const uint8_t *data;
    size_t size;
    const char *name;
    uint64_t max_pixels;
} Source;

/* "NAME: picture: WHAT", ERR_FAILED. Always false. */
bool decode_fail(const Source *s, Error *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Pillow's convert("RGB") clips grey of more than 8 bits and does not scale it. */
#define NOTICE_CLIPPED \
    "grey of more than 8 bits is read as Pillow does: values beyond 255 are white"

/* Refuses empty and too large sizes before it allocates width * height * channels bytes, not
 * zeroed. On failure p->data is NULL. */
bool picture_new(Picture *p, const Source *s, uint64_t width, uint64_t height, int channels,
                 Error *e);

/* Libraries that hand out a row at a time take up to 100 ns for each, however short: refuses more
 * rows, all passes together, than are read in some seconds. */
bool decode_check_rows(const Source *s, uint64_t rows, Error *e);

/* Each scan of a progressive JPEG costs a pass over all coefficients, however short the scan: a small file
 * with thousands of them would take hours. Encoders write about ten. samples: pixels times components. */
static inline bool too_many_scans(uint64_t scans, uint64_t samples)
{
    return scans > 20 && (scans > 1000 || scans * samples > (uint64_t)1 << 32);
}

/* One decoder per format. p is zeroed with orientation 1 before the call; after a failure the
 * caller frees p->data. */
bool decode_jpeg(Picture *p, const Source *s, Error *e);
bool decode_png(Picture *p, const Source *s, Error *e);
bool decode_webp(Picture *p, const Source *s, Error *e);
bool decode_gif(Picture *p, const Source *s, Error *e);
bool decode_bmp(Picture *p, const Source *s, Error *e);
bool decode_pnm(Picture *p, const Source *s, Error *e);
bool decode_tiff(Picture *p, const Source *s, Error *e);

/* With HAVE_LIBHEIF only. Which of its formats the libheif of this machine has a decoder for. */
bool decode_heif(Picture *p, const Source *s, Error *e);
bool heif_reads_avif(void);
bool heif_reads_heic(void);

/* The decoder for these bytes, NULL: there is none. *name: what the format is called, NULL where it is
 * not recognised. */
typedef bool Decoder(Picture *p, const Source *s, Error *e);
Decoder *format_of(const Source *s, const char **name);

/* Runs one decoder of a library that leaves by longjmp: what must outlive the jump lies in a reader
 * of `bytes` bytes that is made here, handed to `decode` as it came from mem_alloc, and freed. */
typedef bool ReaderFn(void *reader, Picture *p, const Source *s, Error *e);
bool decode_with_reader(size_t bytes, ReaderFn *decode, Picture *p, const Source *s, Error *e);

/* picture_decode with another limit of pixels than PICTURE_MAX_PIXELS. */
bool picture_decode_capped(Picture *p, const void *bytes, size_t n, const char *name,
                           uint64_t max_pixels, Error *e);

/* Some bytes of the file; data NULL: there are none. */
typedef struct Span {
    const uint8_t *data;
    size_t size;
} Span;

/* Orientation 1..8: what an EXIF block (with or without "Exif\0\0" before its TIFF header) says;
 * when it has no such tag, what XMP says. 1 when neither does, or the block is damaged. */
int orientation_from(Span exif, Span xmp);

/* Whether the first directory of a block or a TIFF file (not a BigTIFF) has the tag. */
bool tiff_has_tag(Span block, unsigned tag);

/* The orientation of a JPEG and of a PNG, from all places where Pillow looks. False with
 * ERR_MEMORY. */
bool jpeg_orientation(int *orientation, const Source *s, Error *e);
bool png_orientation(int *orientation, const Source *s, Error *e);

/* A colour table: index to RGBA. */
typedef struct Palette {
    uint8_t rgba[256][4];
} Palette;

void palette_black(Palette *p); /* all entries opaque black */
void palette_grey(Palette *p);  /* entry v is (v, v, v), opaque */

/* n table look-ups; channels (3 or 4) bytes are written per pixel. dst may end where index ends
 * (in-place expansion of a right-aligned row). */
void palette_map(uint8_t *dst, int channels, const uint8_t *index, size_t n, const Palette *p);

/* Pillow's cmyk2rgb (Convert.c). */
static inline void cmyk_pixel(uint8_t rgb[3], const uint8_t cmyk[4])
{
    unsigned light = 255u - cmyk[3];
    for (int k = 0; k < 3; k++) {
        unsigned t = cmyk[k] * light + 128, less = ((t >> 8) + t) >> 8;
        rgb[k] = (uint8_t)(light > less ? light - less : 0);
    }
}

static inline uint32_t get_u16le(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static inline uint32_t get_u32le(const uint8_t *b)
{
    return get_u16le(b) | get_u16le(b + 2) << 16;
}

static inline uint32_t get_u32be(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

static inline uint32_t get_u16be(const uint8_t *b)
{
    return (uint32_t)b[0] << 8 | (uint32_t)b[1];
}

#endif
