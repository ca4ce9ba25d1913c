/* image/meta_png.c: EXIF and XMP of a PNG, from every chunk where Pillow's PngImagePlugin.py finds
 * them, before the pixels and behind: eXIf, tEXt under the key "exif", and the texts (tEXt, zTXt, iTXt)
 * under "Raw profile type exif" (ImageMagick's, in hexadecimal) and "XML:com.adobe.xmp". Of each the
 * last counts. libpng would drop what is behind the pixels of a damaged file. */
#include "image/decode.h"

#define ZLIB_CONST
#include <string.h>
#include <zlib.h>
#include "base/mem.h"
#include "base/utf8.h"

/* Pillow's MAX_TEXT_CHUNK and MAX_TEXT_MEMORY: what swells beyond is not read. */
enum { MOST = 1 << 20, MOST_TOGETHER = 64 << 20 };

typedef struct Text {
    Span span;
    uint8_t *owned; /* mem_free it */
    bool lasts;     /* an empty one does not take its place: Pillow then looks at an earlier XMP */
} Text;

typedef struct Texts {
    const Source *s;
    Text exif, raw, xmp;
    size_t swollen;
    bool animated, pixels; /* there are more frames; the first pixels were met */
    Error *e;
} Texts;

static void keep(Text *t, Span span, uint8_t *owned)
{
    bool passed_over = t->lasts && span.size == 0;
    mem_free(passed_over ? owned : t->owned);
    if (!passed_over)
        *t = (Text){span, owned, t->lasts};
}

/* Deflated bytes as Pillow reads them: an early end is none. Z_OK, Z_DATA_ERROR (damage; *n is 0),
 * Z_BUF_ERROR (more than MOST) or Z_MEM_ERROR. */
static int inflate_all(uint8_t *out, size_t *n, Span in)
{
    z_stream z = {
        .next_in = in.data, .avail_in = (uInt)in.size, .next_out = out, .avail_out = MOST};
    *n = 0;
    if (inflateInit(&z) != Z_OK)
        return Z_MEM_ERROR;
    int status = inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    if (status == Z_MEM_ERROR)
        return Z_MEM_ERROR;
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        return Z_DATA_ERROR;
    *n = (size_t)z.total_out;
    return status == Z_STREAM_END || z.avail_out > 0 ? Z_OK : Z_BUF_ERROR;
}

static bool is_utf8(Span s)
{
    return utf8_invalid((const char *)s.data, s.size) < 0;
}

/* What becomes of a deflated text that is not sound. */
enum {
    UTF8 = 1,    /* passed over when it is not UTF-8 */
    EMPTIES = 2, /* damage makes it an empty text; or else it is passed over */
};

static bool keep_swollen(Texts *p, Text *t, Span in, unsigned rules)
{
    size_t n = 0;
    if (p->swollen > MOST_TOGETHER)
        return true;
    uint8_t *out = mem_alloc(MOST);
    int status = out ? inflate_all(out, &n, in) : Z_MEM_ERROR;
    p->swollen += MOST; /* also what came to nothing took its time */
    if ((status == Z_OK && (!(rules & UTF8) || is_utf8((Span){out, n}))) ||
        (status == Z_DATA_ERROR && (rules & EMPTIES)))
        keep(t, (Span){out, n}, out);
    else
        mem_free(out);
    return status != Z_MEM_ERROR || error_memory(p->e, p->s->name, MOST);
}

/* The part of a text before its next zero byte is in *head; false when there is none. */
static bool split(Span *head, Span *rest)
{
    const uint8_t *zero = rest->size ? memchr(rest->data, 0, rest->size) : NULL;
    if (!zero)
        return false;
    *head = (Span){rest->data, (size_t)(zero - rest->data)};
    *rest = (Span){zero + 1, rest->size - head->size - 1};
    return true;
}

static bool is(Span key, const char *name)
{
    return key.size == strlen(name) && memcmp(key.data, name, key.size) == 0;
}

static bool is_chunk(const uint8_t *name, const char *other)
{
    return memcmp(name, other, 4) == 0;
}

static Text *place_of(Texts *p, Span key)
{
    if (is(key, "Raw profile type exif"))
        return &p->raw;
    return is(key, "XML:com.adobe.xmp") ? &p->xmp : NULL;
}

/* deflated or not, method 0, language, 0, translated key, 0, text. Pillow wants all of a profile to be
 * UTF-8; of XMP it keeps the bytes as well. */
static bool international(Texts *p, Text *t, Span rest)
{
    Span language, key;
    bool utf8 = t == &p->raw;
    if (rest.size < 2)
        return true;
    bool packed = rest.data[0] != 0, known = rest.data[1] == 0;
    rest = (Span){rest.data + 2, rest.size - 2};
    if (!split(&language, &rest) || !split(&key, &rest) || (packed && !known) ||
        (utf8 && !(is_utf8(language) && is_utf8(key))))
        return true;
    if (packed)
        return keep_swollen(p, t, rest, utf8 ? UTF8 : 0);
    if (!utf8 || is_utf8(rest))
        keep(t, rest, NULL);
    return true;
}

/* A key, 0, and the text: in tEXt as it is, in zTXt deflated behind its method 0. */
static bool text_chunk(Texts *p, const uint8_t *name, Span rest)
{
    Span key;
    if (!split(&key, &rest))
        return true;
    if (is_chunk(name, "tEXt") && is(key, "exif"))
        keep(&p->exif, rest, NULL);
    Text *t = place_of(p, key);
    if (!t)
        return true;
    if (is_chunk(name, "iTXt"))
        return international(p, t, rest);
    if (is_chunk(name, "zTXt") && rest.size > 0)
        return rest.data[0] != 0 ||
               keep_swollen(p, t, (Span){rest.data + 1, rest.size - 1}, EMPTIES);
    keep(t, rest, NULL);
    return true;
}

/* *more: false when nothing is to be read behind this chunk. Returns false when there is no memory. */
static bool one_chunk(Texts *p, const uint8_t *name, Span data, bool *more)
{
    if (is_chunk(name, "IDAT"))
        p->pixels = true;
    else if (is_chunk(name, "acTL") && !p->pixels && data.size >= 8)
        p->animated = get_u32be(data.data) > 1;
    else if (is_chunk(name, "eXIf"))
        keep(&p->exif, data, NULL);
    else if (is_chunk(name, "IEND") || (is_chunk(name, "fcTL") && p->pixels && p->animated))
        *more = false;
    else if (is_chunk(name, "tEXt") || is_chunk(name, "zTXt") || is_chunk(name, "iTXt"))
        return text_chunk(p, name, data);
    return true;
}

static bool all_chunks(Texts *p)
{
    const Source *s = p->s;
    bool more = true;
    for (size_t at = 8; more && at < s->size && s->size - at >= 8;) {
        size_t length = get_u32be(s->data + at);
        if (length > s->size - at - 8)
            break;
        if (!one_chunk(p, s->data + at + 4, (Span){s->data + at + 8, length}, &more))
            return false;
        at += 8 + length + 4; /* what is behind the data is its checksum */
    }
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= 9 && c <= 13);
}

/* Hexadecimal behind the third end of line ("\nexif\n    1234\n45786966..."), as Python's
 * bytes.fromhex reads it once the ends of lines are out. out has room for as many bytes as the text;
 * false when it is none. */
static bool from_hex(uint8_t *out, size_t *n, Span text)
{
    int line = 0, high = -1;
    *n = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        line += c == '\n';
        if (line < 3 || c == '\n' || (is_space(c) && high < 0))
            continue;
        int digit = hex_digit(c);
        if (digit < 0)
            return false;
        if (high >= 0)
            out[(*n)++] = (uint8_t)(high << 4 | digit);
        high = high < 0 ? digit : -1;
    }
    return high < 0;
}

static bool orientation(int *o, const Texts *p)
{
    *o = 1;
    if (p->exif.span.data || !p->raw.span.data) {
        *o = orientation_from(p->exif.span, p->xmp.span);
        return true;
    }
    size_t n, room = p->raw.span.size + 1;
    uint8_t *block = mem_alloc(room);
    if (!block)
        return error_memory(p->e, p->s->name, room);
    if (from_hex(block, &n, p->raw.span))
        *o = orientation_from((Span){block, n}, p->xmp.span);
    mem_free(block);
    return true;
}

bool png_orientation(int *o, const Source *s, Error *e)
{
    Texts p = {.s = s, .xmp.lasts = true, .e = e};
    bool ok = all_chunks(&p) && orientation(o, &p);
    mem_free(p.exif.owned);
    mem_free(p.raw.owned);
    mem_free(p.xmp.owned);
    return ok;
}
