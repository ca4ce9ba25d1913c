/* image/webp.c: WebP through libwebp. Still files go to it whole; of an animation the first frame
 * is found in the RIFF chunks and decoded onto a transparent canvas, as libwebp's WebPAnimDecoder
 * (which Pillow uses) does. Container: RFC 9649. */
#include "image/decode.h"

#include <string.h>
#include <webp/decode.h>

enum {
    FLAG_ANIMATION = 0x02,
    FLAG_XMP = 0x04,
    FLAG_EXIF = 0x08,
    FLAG_ALPHA = 0x10,
    RIFF_HEADER = 12,
    FRAME_HEADER = 16
};

/* The first chunk of that name (data NULL: none) that lies whole in the file. */
static Span find_chunk(const Source *s, const char *name)
{
    size_t at = RIFF_HEADER;
    while (at < s->size && s->size - at >= 8) {
        size_t size = get_u32le(s->data + at + 4);
        if (size > s->size - at - 8)
            break;
        if (memcmp(s->data + at, name, 4) == 0)
            return (Span){s->data + at + 8, size};
        at += 8 + size + (size & 1);
    }
    return (Span){0};
}

static uint32_t get_u24le(const uint8_t *b)
{
    return get_u16le(b) | (uint32_t)b[2] << 16;
}

/* A frame: its bitstream, and its place on the canvas. */
typedef struct Frame {
    Span data;
    uint64_t x, y, width, height;
} Frame;

static bool fail_webp(const Source *s, VP8StatusCode status, Error *e)
{
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return error_set(e, ERR_MEMORY, "%s: out of memory (WebP)", s->name);
    return decode_fail(s, e,
                       status == VP8_STATUS_NOT_ENOUGH_DATA ? "truncated WebP" : "damaged WebP");
}

static bool decode_frame(Picture *p, const Frame *f, const Source *s, Error *e)
{
    WebPDecoderConfig c;
    if (!WebPInitDecoderConfig(&c))
        return decode_fail(s, e, "WebP: wrong version of libwebp");
    size_t stride = (size_t)p->width * (size_t)p->channels;
    size_t start = f->y * stride + f->x * (size_t)p->channels;
    c.output.colorspace = p->channels == 4 ? MODE_RGBA : MODE_RGB;
    c.output.is_external_memory = 1;
    c.output.u.RGBA.rgba = p->data + start;
    c.output.u.RGBA.stride = (int)stride;
    c.output.u.RGBA.size = stride * (size_t)p->height - start;
    VP8StatusCode status = WebPDecode(f->data.data, f->data.size, &c);
    WebPFreeDecBuffer(&c.output);
    return status == VP8_STATUS_OK ? true : fail_webp(s, status, e);
}

static bool decode_still(Picture *p, const Source *s, bool extended, bool alpha, Error *e)
{
    WebPBitstreamFeatures f;
    VP8StatusCode status = WebPGetFeatures(s->data, s->size, &f);
    if (status != VP8_STATUS_OK)
        return fail_webp(s, status, e);
    Frame frame = {.data = {s->data, s->size}};
    if (!extended)
        alpha = f.has_alpha;
    return picture_new(p, s, (uint64_t)f.width, (uint64_t)f.height, alpha ? 4 : 3, e) &&
           decode_frame(p, &frame, s, e);
}

/* ANMF: offsets in units of two pixels, sizes minus one, duration, flags, then the bitstream. */
static bool first_frame(Frame *f, const Source *s, Error *e)
{
    Span c = find_chunk(s, "ANMF");
    if (!c.data || c.size < FRAME_HEADER)
        return decode_fail(s, e, "WebP: animation without a whole first frame");
    *f = (Frame){
        .data = {c.data + FRAME_HEADER, c.size - FRAME_HEADER},
        .x = 2 * (uint64_t)get_u24le(c.data),
        .y = 2 * (uint64_t)get_u24le(c.data + 3),
        .width = (uint64_t)get_u24le(c.data + 6) + 1,
        .height = (uint64_t)get_u24le(c.data + 9) + 1,
    };
    return true;
}

/* The bitstream must have the size that its frame header promised, or it would be written past
 * its place. */
static bool frame_fits(const Frame *f, uint64_t width, uint64_t height)
{
    int w = 0, h = 0;
    return WebPGetInfo(f->data.data, f->data.size, &w, &h) && (uint64_t)w == f->width &&
           (uint64_t)h == f->height && f->x + f->width <= width && f->y + f->height <= height;
}

static bool decode_animation(Picture *p, const Source *s, Span head, bool alpha, Error *e)
{
    Frame f = {0};
    uint64_t width = (uint64_t)get_u24le(head.data + 4) + 1;
    uint64_t height = (uint64_t)get_u24le(head.data + 7) + 1;
    if (!first_frame(&f, s, e))
        return false;
    if (!frame_fits(&f, width, height))
        return decode_fail(s, e, "WebP: first frame does not fit its canvas");
    if (!picture_new(p, s, width, height, alpha ? 4 : 3, e))
        return false;
    memset(p->data, 0, (size_t)width * height * (size_t)p->channels);
    return decode_frame(p, &f, s, e);
}

/* The RIFF header's size and, in the extended format, every chunk must lie within the file; a
 * decoder that needs the first frame only would not notice. file is s without what follows RIFF. */
static bool check_container(Source *file, const Source *s, Error *e)
{
    *file = *s;
    if (s->size < RIFF_HEADER + 8 || get_u32le(s->data + 4) > s->size - 8)
        return decode_fail(s, e, "truncated WebP");
    file->size = (size_t)get_u32le(s->data + 4) + 8;
    if (file->size < RIFF_HEADER + 8 || memcmp(s->data + RIFF_HEADER, "VP8X", 4) != 0)
        return true;
    size_t at = RIFF_HEADER;
    while (file->size - at >= 8) {
        uint64_t size = (uint64_t)get_u32le(s->data + at + 4) + 1;
        if ((size & ~(uint64_t)1) > file->size - at - 8)
            break;
        at += 8 + (size_t)(size & ~(uint64_t)1);
    }
    return at == file->size ? true : decode_fail(s, e, "truncated WebP");
}

/* libwebp's demuxer, which Pillow asks, passes over what the header has no flag for. */
static Span flagged_chunk(const Source *s, Span head, int flag, const char *name)
{
    Span chunk = head.data[0] & flag ? find_chunk(s, name) : (Span){0};
    return chunk.size ? chunk : (Span){0};
}

static bool decode_riff(Picture *p, const Source *s, Error *e)
{
    Span head = find_chunk(s, "VP8X");
    bool extended = head.data && head.size >= 10;
    bool alpha = extended && head.data[0] & FLAG_ALPHA;
    bool ok = extended && head.data[0] & FLAG_ANIMATION ? decode_animation(p, s, head, alpha, e)
                                                        : decode_still(p, s, extended, alpha, e);
    if (ok && extended)
        p->orientation = orientation_from(flagged_chunk(s, head, FLAG_EXIF, "EXIF"),
                                          flagged_chunk(s, head, FLAG_XMP, "XMP "));
    return ok;
}

bool decode_webp(Picture *p, const Source *s, Error *e)
{
    Source file;
    return check_container(&file, s, e) && decode_riff(p, &file, e);
}
