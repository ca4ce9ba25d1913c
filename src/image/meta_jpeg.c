/* image/meta_jpeg.c: EXIF and XMP of a JPEG (APP1 segments before the first scan), as Pillow's
 * JpegImagePlugin.py collects them: blocks of EXIF are joined, the last XMP counts. */
#include "image/decode.h"

#include <string.h>
#include "base/mem.h"

enum { EXIF_HEAD = 6, XMP_HEAD = 29 };

/* Markers without a length: TEM, RST0..7, SOI, EOI. */
static bool bare_marker(uint8_t m)
{
    return m == 0x01 || (m >= 0xd0 && m <= 0xd9);
}

/* The next segment that has data, from *at on; false when the first scan or the end is reached. Bytes
 * between segments and 0xff before a marker are padding. */
static bool next_segment(Span *segment, uint8_t *marker, const Source *s, size_t *at)
{
    while (*at < s->size && s->size - *at >= 4) {
        const uint8_t *b = s->data + *at;
        if (b[0] != 0xff || b[1] == 0xff || b[1] == 0x00) {
            ++*at;
            continue;
        }
        *at += 2;
        if (bare_marker(b[1]))
            continue;
        size_t length = get_u16be(b + 2);
        length = length < 2 ? 2 : length;
        if (b[1] == 0xda || length > s->size - *at) /* 0xda: start of scan */
            return false;
        *marker = b[1];
        *segment = (Span){b + 4, length - 2};
        *at += length;
        return true;
    }
    return false;
}

static bool begins(Span s, const char *head, size_t n)
{
    return s.size >= n && memcmp(s.data, head, n) == 0;
}

typedef struct Found {
    Span exif, xmp;
    size_t blocks; /* of EXIF */
    size_t total;  /* bytes of them, without their heads */
} Found;

/* Looks at all segments; with to, copies the blocks there one after another. */
static Found look(const Source *s, uint8_t *to)
{
    Found f = {0};
    Span segment = {0};
    uint8_t marker = 0;
    for (size_t at = 2; next_segment(&segment, &marker, s, &at);) {
        if (marker == 0xe1 && begins(segment, "Exif\0\0", EXIF_HEAD)) {
            f.exif = (Span){segment.data + EXIF_HEAD, segment.size - EXIF_HEAD};
            if (to)
                memcpy(to + f.total, f.exif.data, f.exif.size);
            f.total += f.exif.size;
            f.blocks++;
        } else if (marker == 0xe1 && begins(segment, "http://ns.adobe.com/xap/1.0/\0", XMP_HEAD)) {
            f.xmp = (Span){segment.data + XMP_HEAD, segment.size - XMP_HEAD};
        }
    }
    return f;
}

bool jpeg_orientation(int *orientation, const Source *s, Error *e)
{
    Found f = look(s, NULL);
    uint8_t *joined = NULL;
    if (f.blocks > 1) {
        joined = mem_alloc(f.total + 1);
        if (!joined)
            return error_memory(e, s->name, f.total + 1);
        look(s, joined);
        f.exif = (Span){joined, f.total};
    }
    *orientation = orientation_from(f.exif, f.xmp);
    mem_free(joined);
    return true;
}
