/* image/exif.c: the orientation that EXIF (2.32, section 4.6.4) or XMP tells, as Pillow's
 * Image.getexif and TiffImagePlugin's ImageFileDirectory_v2.load find it. */
#include "image/decode.h"

#include <math.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x112, NO_TAG = 0, NO_BLOCK = -1 };

#define NOWHERE SIZE_MAX

typedef struct Tiff {
    const uint8_t *data;
    size_t size;
    bool big;
} Tiff;

static uint64_t tiff_number(const Tiff *t, size_t at, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | t->data[t->big ? at + i : at + bytes - 1 - i];
    return v;
}

/* Bytes of one value of a type; 0: Pillow does not know it. */
static size_t type_size(uint64_t type)
{
    static const uint8_t size[17] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};
    return type < sizeof size ? size[type] : 0;
}

static double as_signed(uint64_t v, size_t bytes)
{
    uint64_t top = (uint64_t)1 << (8 * bytes - 1);
    return v & top ? -(double)(2 * top - v) : (double)v;
}

static double as_float(uint64_t v, size_t bytes)
{
    float single;
    double wide;
    uint32_t low = (uint32_t)v;
    memcpy(&single, &low, sizeof single);
    memcpy(&wide, &v, sizeof wide);
    return bytes == 4 ? (double)single : wide;
}

/* The first value; 0 when it is no number. Bytes are none to Pillow. */
static double first_value(const Tiff *t, uint64_t type, size_t at)
{
    size_t n = type_size(type);
    switch (type) {
    case 3:  /* SHORT */
    case 4:  /* LONG */
    case 13: /* IFD */
    case 16: /* LONG8 */ return (double)tiff_number(t, at, n);
    case 6: /* SBYTE */
    case 8: /* SSHORT */
    case 9: /* SLONG */ return as_signed(tiff_number(t, at, n), n);
    case 5: /* RATIONAL */ return (double)tiff_number(t, at, 4) / (double)tiff_number(t, at + 4, 4);
    case 10: /* SRATIONAL */
        return as_signed(tiff_number(t, at, 4), 4) / as_signed(tiff_number(t, at + 4, 4), 4);
    case 11: /* FLOAT */
    case 12: /* DOUBLE */ return as_float(tiff_number(t, at, n), n);
    default: return 0;
    }
}

static int orientation_number(double v)
{
    return v >= 1 && v <= 8 && v == floor(v) ? (int)v : 1;
}

/* One directory of a block: entries are read in order until one has its data beyond the end. */
typedef struct Entries {
    Tiff t;
    size_t at;      /* of the entry */
    uint64_t total; /* of the data that does not fit its entry */
} Entries;

/* Goes on by one entry, whose data is at *data; 0: it is skipped; -1: nothing more can be read. */
static int next_entry(Entries *d, uint64_t *tag, uint64_t *type, size_t *data)
{
    const Tiff *t = &d->t;
    if (d->at > t->size || t->size - d->at < 12)
        return -1;
    size_t entry = d->at;
    d->at += 12;
    *tag = tiff_number(t, entry, 2);
    *type = tiff_number(t, entry + 2, 2);
    *data = entry + 8;
    uint64_t bytes = tiff_number(t, entry + 4, 4) * type_size(*type);
    if (bytes == 0)
        return 0;
    if (bytes <= 4)
        return 1;
    d->total += bytes;
    if (d->total > t->size)
        return 0;
    uint64_t at = tiff_number(t, entry + 8, 4);
    if (at > t->size || bytes > t->size - at)
        return -1;
    *data = (size_t)at;
    return 1;
}

/* Where the data of the first entry with that tag begins; NOWHERE: there is none. */
static size_t find_tag(const Tiff *t, size_t at, uint64_t wanted, uint64_t *type)
{
    Entries d = {.t = *t, .at = at + 2};
    if (at > t->size || t->size - at < 2)
        return NOWHERE;
    for (uint64_t left = tiff_number(t, at, 2); left > 0; left--) {
        uint64_t tag;
        size_t data;
        int there = next_entry(&d, &tag, type, &data);
        if (there < 0)
            break;
        if (there > 0 && tag == wanted)
            return data;
    }
    return NOWHERE;
}

static bool known_header(const uint8_t *b)
{
    static const char known[][5] = {"MM\0*", "II*\0", "MM*\0", "II\0*", "MM\0+"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (memcmp(b, known[i], 4) == 0)
            return true;
    return false;
}

/* 1 to 8; NO_TAG; NO_BLOCK for what Pillow makes an exception of. */
static int block_orientation(Span b)
{
    for (int i = 0; i < 2 && b.size >= 6 && memcmp(b.data, "Exif\0\0", 6) == 0; i++) {
        b.data += 6;
        b.size -= 6;
    }
    if (b.size == 0)
        return NO_TAG;
    if (b.size < 8 || !known_header(b.data))
        return NO_BLOCK;
    Tiff t = {b.data, b.size, b.data[0] == 'M'};
    uint64_t type;
    size_t data = find_tag(&t, (size_t)tiff_number(&t, 4, 4), TAG_ORIENTATION, &type);
    return data != NOWHERE ? orientation_number(first_value(&t, type, data)) : NO_TAG;
}

bool tiff_has_tag(Span b, unsigned tag)
{
    uint64_t type;
    Tiff t = {b.data, b.size, b.size > 0 && b.data[0] == 'M'};
    return b.size >= 8 && find_tag(&t, (size_t)tiff_number(&t, 4, 4), tag, &type) != NOWHERE;
}

/* The digit behind tiff:Orientation=" or tiff:Orientation>, Pillow's pattern; -1: none here. */
static int xmp_digit(const uint8_t *p, size_t n)
{
    static const char name[] = "tiff:Orientation";
    size_t at = sizeof name - 1;
    if (n < at + 2 || memcmp(p, name, at) != 0)
        return -1;
    if (p[at] != '>' && memcmp(p + at, "=\"", 2) != 0)
        return -1;
    at += p[at] == '>' ? 1 : 2;
    return at < n && p[at] >= '0' && p[at] <= '9' ? p[at] - '0' : -1;
}

static int xmp_orientation(Span xmp)
{
    const uint8_t *end = xmp.data + xmp.size, *p = xmp.data;
    for (; p < end && (p = memchr(p, 't', (size_t)(end - p))); p++) {
        int digit = xmp_digit(p, (size_t)(end - p));
        if (digit >= 0)
            return orientation_number(digit);
    }
    return 1;
}

int orientation_from(Span exif, Span xmp)
{
    int o = exif.data ? block_orientation(exif) : NO_TAG;
    if (o == NO_TAG && xmp.data)
        o = xmp_orientation(xmp);
    return o >= 1 ? o : 1;
}
