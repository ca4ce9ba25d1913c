/* image/gif.c: the first frame of a GIF, with the canvas and palette rules of Pillow's
 * GifImagePlugin.py.
 *
 * giflib reads records and codes. The codes are expanded here: giflib (5.2) makes something up for
 * codes that cannot occur, so that damage would go unseen, and DGifSlurp would decode all frames. */
#include "image/decode.h"

#include <string.h>
#include <gif_lib.h>
#include "base/mem.h"

enum { TABLE = 4096 };

/* The strings of the LZW table: string c is the string link[c] and then last[c]; codes below
 * clear are single pixels. */
typedef struct Lzw {
    int clear, next;
    int previous;  /* the code before this one; -1 after a clear code */
    uint8_t first; /* first pixel of the previous string */
    uint16_t link[TABLE];
    uint8_t last[TABLE];
    uint8_t string[TABLE + 1]; /* the string of a code, from its last pixel back */
} Lzw;

typedef struct GifReader {
    const Source *s;
    size_t at; /* next byte of the file */
    GifFileType *gif;
    int key; /* transparent index, -1: none */
    Palette palette;
    uint8_t *line;
    Error *e;
} GifReader;

static int on_read(GifFileType *gif, GifByteType *to, int n)
{
    GifReader *r = gif->UserData;
    size_t left = r->s->size - r->at;
    size_t take = n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
    memcpy(to, r->s->data + r->at, take);
    r->at += take;
    return (int)take;
}

static bool fail_gif(const GifReader *r, int code)
{
    const char *text = GifErrorString(code);
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM)
        return error_set(r->e, ERR_MEMORY, "%s: out of memory (GIF)", r->s->name);
    if (code == D_GIF_ERR_READ_FAILED || code == D_GIF_ERR_EOF_TOO_SOON)
        return decode_fail(r->s, r->e, "truncated GIF");
    return decode_fail(r->s, r->e, "GIF: %s", text ? text : "damaged file");
}

/* Graphic control extension: length 4, flags, delay, transparent index. */
static bool read_extension(GifReader *r)
{
    int code = 0;
    GifByteType *block = NULL;
    if (DGifGetExtension(r->gif, &code, &block) == GIF_ERROR)
        return fail_gif(r, r->gif->Error);
    if (code == GRAPHICS_EXT_FUNC_CODE && block && block[0] >= 4 && block[1] & 1)
        r->key = block[4];
    while (block)
        if (DGifGetExtensionNext(r->gif, &block) == GIF_ERROR)
            return fail_gif(r, r->gif->Error);
    return true;
}

/* Goes to the first image descriptor. */
static bool find_image(GifReader *r)
{
    for (;;) {
        GifRecordType type = UNDEFINED_RECORD_TYPE;
        if (DGifGetRecordType(r->gif, &type) == GIF_ERROR)
            return fail_gif(r, r->gif->Error);
        if (type == TERMINATE_RECORD_TYPE)
            return decode_fail(r->s, r->e, "GIF: no image in the file");
        if (type == EXTENSION_RECORD_TYPE && !read_extension(r))
            return false;
        if (type == IMAGE_DESC_RECORD_TYPE)
            break;
    }
    return DGifGetImageDesc(r->gif) == GIF_ERROR ? fail_gif(r, r->gif->Error) : true;
}

static bool is_ramp(const ColorMapObject *map)
{
    for (int i = 0; i < map->ColorCount; i++) {
        GifColorType c = map->Colors[i];
        if (c.Red != i || c.Green != i || c.Blue != i)
            return false;
    }
    return true;
}

/* No palette, or one that says what a grey ramp says, makes a grey picture (Pillow); otherwise an
 * index past the palette is black. */
static void make_palette(GifReader *r)
{
    const ColorMapObject *map = r->gif->Image.ColorMap ? r->gif->Image.ColorMap : r->gif->SColorMap;
    palette_black(&r->palette);
    if (!map || is_ramp(map))
        palette_grey(&r->palette);
    for (int i = 0; map && i < map->ColorCount && i < 256; i++) {
        GifColorType c = map->Colors[i];
        memcpy(r->palette.rgba[i], (const uint8_t[4]){c.Red, c.Green, c.Blue, 255}, 4);
    }
    if (r->key >= 0)
        r->palette.rgba[r->key][3] = 0;
}

/* What the frame does not cover: the transparent index, else index 0 (Pillow). */
static void fill_canvas(const GifReader *r, Picture *p)
{
    const uint8_t *c = r->palette.rgba[r->key >= 0 ? r->key : 0];
    size_t n = (size_t)p->width * (size_t)p->height, k = (size_t)p->channels;
    for (size_t i = 0; i < n; i++)
        memcpy(p->data + i * k, c, k);
}

/* Appends the string of code, last pixel first; returns its length, 0 when there is no such code. */
static int lzw_expand(Lzw *z, int code)
{
    int n = 0;
    if (code > z->next || (z->previous < 0 && code >= z->clear))
        return 0;
    int c = code;
    if (code >= z->clear + 2 && code == z->next) { /* the string that this code is about to make */
        z->string[n++] = z->first;
        c = z->previous;
    }
    for (; c >= z->clear && n < TABLE; c = z->link[c])
        z->string[n++] = z->last[c];
    z->string[n++] = z->first = (uint8_t)c;
    return n;
}

static void lzw_learn(Lzw *z, int code)
{
    if (z->previous >= 0 && z->next < TABLE) {
        z->link[z->next] = (uint16_t)z->previous;
        z->last[z->next++] = z->first;
    }
    z->previous = code;
}

/* The next string of pixels into z->string, reversed; 0: an error is set. */
static int next_string(GifReader *r, Lzw *z)
{
    for (;;) {
        int code;
        if (DGifGetLZCodes(r->gif, &code) == GIF_ERROR)
            return fail_gif(r, r->gif->Error);
        if (code < 0)
            return decode_fail(r->s, r->e, "truncated GIF");
        if (code == z->clear) {
            z->next = z->clear + 2;
            z->previous = -1;
            continue;
        }
        int n = lzw_expand(z, code);
        if (n == 0)
            return decode_fail(r->s, r->e, "GIF: impossible code in the pixels");
        lzw_learn(z, code);
        return n;
    }
}

static void put_line(const GifReader *r, Picture *p, int y)
{
    const GifImageDesc *d = &r->gif->Image;
    size_t at = ((size_t)(d->Top + y) * (size_t)p->width + (size_t)d->Left) * (size_t)p->channels;
    palette_map(p->data + at, p->channels, r->line, (size_t)d->Width, &r->palette);
}

/* The row after y: interlaced files bring every 8th, then what is between, in four rounds. */
static int next_row(const GifImageDesc *d, int y, int *round)
{
    static const int start[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    if (!d->Interlace)
        return y + 1;
    y += step[*round];
    while (y >= d->Height && *round < 3)
        y = start[++*round];
    return y;
}

/* Pixels behind the last row are dropped, and what follows them is not looked at (Pillow). */
static bool read_lines(GifReader *r, Lzw *z, Picture *p)
{
    const GifImageDesc *d = &r->gif->Image;
    int y = 0, x = 0, round = 0;
    while (y < d->Height) {
        int n = next_string(r, z);
        if (n == 0)
            return false;
        while (n > 0 && y < d->Height) {
            r->line[x++] = z->string[--n];
            if (x < d->Width)
                continue;
            put_line(r, p, y);
            y = next_row(d, y, &round);
            x = 0;
        }
    }
    return true;
}

/* giflib has just read (and checked) the size of the first codes, and keeps it to itself. */
static bool read_pixels(GifReader *r, Picture *p)
{
    Lzw *z = mem_alloc(sizeof *z);
    if (!z)
        return error_memory(r->e, r->s->name, sizeof *z);
    z->clear = 1 << r->s->data[r->at - 1];
    z->next = z->clear + 2;
    z->previous = -1;
    bool ok = read_lines(r, z, p);
    mem_free(z);
    return ok;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static bool read_image(GifReader *r, Picture *p)
{
    if (!find_image(r))
        return false;
    const GifImageDesc *d = &r->gif->Image;
    if (d->Width <= 0 || d->Height <= 0 || d->Left < 0 || d->Top < 0)
        return decode_fail(r->s, r->e, "GIF: empty first frame");
    make_palette(r);
    int width = larger(r->gif->SWidth, d->Left + d->Width);
    int height = larger(r->gif->SHeight, d->Top + d->Height);
    if (!picture_new(p, r->s, (uint64_t)width, (uint64_t)height, r->key >= 0 ? 4 : 3, r->e))
        return false;
    fill_canvas(r, p);
    r->line = mem_alloc((size_t)d->Width);
    if (!r->line)
        return error_memory(r->e, r->s->name, (size_t)d->Width);
    return read_pixels(r, p);
}

bool decode_gif(Picture *p, const Source *s, Error *e)
{
    int code = 0;
    GifReader r = {.s = s, .key = -1, .e = e};
    r.gif = DGifOpen(&r, on_read, &code);
    if (!r.gif)
        return fail_gif(&r, code);
    bool ok = read_image(&r, p);
    mem_free(r.line);
    DGifCloseFile(r.gif, &code);
    return ok;
}
