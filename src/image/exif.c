/* image/exif.c: the one EXIF tag that matters here, Orientation (EXIF 2.32, section 4.6.4). */
#include "image/decode.h"

#include <string.h>

enum { TAG_ORIENTATION = 0x112, TYPE_BYTE = 1, TYPE_SHORT = 3, TYPE_LONG = 4 };

typedef struct Tiff {
    const uint8_t *data;
    size_t size;
    bool big;
} Tiff;

static uint32_t tiff_u16(const Tiff *t, size_t at)
{
    return t->big ? get_u16be(t->data + at) : get_u16le(t->data + at);
}

static uint32_t tiff_u32(const Tiff *t, size_t at)
{
    return t->big ? tiff_u16(t, at) << 16 | tiff_u16(t, at + 2) : get_u32le(t->data + at);
}

/* The value of a 12-byte directory entry, if it is a whole number. */
static uint32_t entry_value(const Tiff *t, size_t at)
{
    switch (tiff_u16(t, at + 2)) {
    case TYPE_BYTE: return t->data[at + 8];
    case TYPE_SHORT: return tiff_u16(t, at + 8);
    case TYPE_LONG: return tiff_u32(t, at + 8);
    default: return 0;
    }
}

static int directory_orientation(const Tiff *t, size_t at)
{
    if (at > t->size || t->size - at < 2)
        return 1;
    size_t count = tiff_u16(t, at);
    for (size_t entry = at + 2; count > 0 && t->size - entry >= 12; entry += 12, count--) {
        if (tiff_u16(t, entry) != TAG_ORIENTATION)
            continue;
        uint32_t v = entry_value(t, entry);
        return v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}

int exif_orientation(const uint8_t *block, size_t n)
{
    while (n >= 6 && memcmp(block, "Exif\0\0", 6) == 0) {
        block += 6;
        n -= 6;
    }
    if (n < 8 || (memcmp(block, "II", 2) != 0 && memcmp(block, "MM", 2) != 0))
        return 1;
    Tiff t = {block, n, block[0] == 'M'};
    return directory_orientation(&t, tiff_u32(&t, 4));
}

/* Markers without a length: TEM, RST0..7, SOI, EOI. */
static bool bare_marker(uint8_t m)
{
    return m == 0x01 || (m >= 0xd0 && m <= 0xd9);
}

int exif_orientation_jpeg(const uint8_t *file, size_t n)
{
    size_t at = 2;
    while (at < n && n - at >= 4) {
        uint8_t marker = file[at + 1];
        if (file[at] != 0xff || marker == 0xff || marker == 0x00) {
            at++;
            continue;
        }
        at += 2;
        if (bare_marker(marker))
            continue;
        size_t length = get_u16be(file + at);
        if (marker == 0xda || length < 2 || length > n - at) /* 0xda: start of scan */
            return 1;
        if (marker == 0xe1 && length >= 8 && memcmp(file + at + 2, "Exif\0\0", 6) == 0)
            return exif_orientation(file + at + 2, length - 2);
        at += length;
    }
    return 1;
}
