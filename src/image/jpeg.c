/* image/jpeg.c: JPEG through libjpeg-turbo with its defaults (accurate integer DCT, triangle
 * upsampling), which is what Pillow's JpegDecode.c uses.
 *
 * libjpeg leaves by longjmp. Whatever must be freed afterwards lives in the JpegReader, behind a
 * pointer, so that no local variable is lost. */
#include "image/decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
#include "base/mem.h"

typedef struct JpegReader {
    struct jpeg_decompress_struct c; /* first: the callbacks cast back */
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr bytes;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    const Source *s;
    Picture *p;
    uint8_t *line; /* one row of CMYK */
    Error *e;
} JpegReader;

static _Noreturn void leave(JpegReader *r)
{
    longjmp(r->jump, 1);
}

static void on_error(j_common_ptr c)
{
    JpegReader *r = (JpegReader *)c;
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    if (c->err->msg_code == JERR_OUT_OF_MEMORY)
        error_set(r->e, ERR_MEMORY, "%s: out of memory (JPEG)", r->s->name);
    else
        decode_fail(r->s, r->e, "JPEG: %s", text);
    leave(r);
}

/* Warnings: damage that libjpeg repairs, as Pillow lets it. */
static void on_message(j_common_ptr c, int level)
{
}

static void source_nothing(j_decompress_ptr c)
{
}

/* All bytes were there from the start: whoever wants more has a truncated file. */
static boolean source_fill(j_decompress_ptr c)
{
    JpegReader *r = (JpegReader *)c;
    decode_fail(r->s, r->e, "truncated JPEG");
    leave(r);
}

static void source_skip(j_decompress_ptr c, long n)
{
    struct jpeg_source_mgr *bytes = c->src;
    if (n <= 0)
        return;
    if ((size_t)n > bytes->bytes_in_buffer)
        source_fill(c);
    bytes->next_input_byte += n;
    bytes->bytes_in_buffer -= (size_t)n;
}

static void on_progress(j_common_ptr c)
{
    JpegReader *r = (JpegReader *)c;
    uint64_t pixels = (uint64_t)r->c.image_width * r->c.image_height;
    if (!too_many_scans((uint64_t)r->c.input_scan_number, pixels * (uint64_t)r->c.num_components))
        return;
    decode_fail(r->s, r->e, "JPEG: too many scans");
    leave(r);
}

/* Pillow takes every four-component file for one of Adobe's, stored inverted (its CMYK;I). */
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *stored, size_t n)
{
    for (size_t i = 0; i < n; i++, rgb += 3, stored += 4) {
        uint8_t ink[4];
        for (int k = 0; k < 4; k++)
            ink[k] = 255 - stored[k];
        cmyk_pixel(rgb, ink);
    }
}

static void read_rows(JpegReader *r)
{
    size_t width = (size_t)r->p->width;
    while (r->c.output_scanline < r->c.output_height) {
        uint8_t *row = r->p->data + (size_t)r->c.output_scanline * width * 3;
        JSAMPROW target = r->line ? r->line : row;
        if (jpeg_read_scanlines(&r->c, &target, 1) == 1 && r->line)
            cmyk_to_rgb(row, r->line, width);
    }
}

/* Size and colour are known: everything of ours is allocated here. */
static bool prepare_output(JpegReader *r)
{
    int components = r->c.num_components;
    if (components != 1 && components != 3 && components != 4)
        return decode_fail(r->s, r->e, "JPEG: components, expected 1, 3 or 4, got %d", components);
    if (!picture_new(r->p, r->s, r->c.image_width, r->c.image_height, 3, r->e))
        return false;
    r->c.out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
    if (components != 4)
        return true;
    size_t bytes = (size_t)r->c.image_width * 4;
    r->line = mem_alloc(bytes);
    return r->line ? true : error_memory(r->e, r->s->name, bytes);
}

static void set_up(JpegReader *r)
{
    r->c.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    r->bytes = (struct jpeg_source_mgr){
        .next_input_byte = r->s->data,
        .bytes_in_buffer = r->s->size,
        .init_source = source_nothing,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing,
    };
}

/* jpeg_finish_decompress looks for the end marker: without one the file is truncated, also when
 * all pixels are there (Pillow). */
static bool read_all(JpegReader *r)
{
    if (setjmp(r->jump))
        return false;
    jpeg_create_decompress(&r->c);
    r->c.src = &r->bytes;
    r->c.progress = &r->progress;
    jpeg_read_header(&r->c, TRUE);
    if (!prepare_output(r))
        return false;
    jpeg_start_decompress(&r->c);
    read_rows(r);
    jpeg_finish_decompress(&r->c);
    return true;
}

static bool decode(void *reader, Picture *p, const Source *s, Error *e)
{
    JpegReader *r = reader;
    *r = (JpegReader){.s = s, .p = p, .e = e};
    set_up(r);
    bool ok = read_all(r);
    jpeg_destroy_decompress(&r->c);
    mem_free(r->line);
    return ok;
}

bool decode_jpeg(Picture *p, const Source *s, Error *e)
{
    return decode_with_reader(sizeof(JpegReader), decode, p, s, e) &&
           jpeg_orientation(&p->orientation, s, e);
}
