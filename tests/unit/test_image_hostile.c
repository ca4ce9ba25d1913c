/* Small files of the largest pictures that are allowed, of every format and every shape: each is made
 * ready for a model, upright and turned, or refused in one line, in the memory of the decoded picture
 * and little more, and in bounded time. The files are made here. */
#include "image_cases.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <jpeglib.h>
#include <webp/encode.h>

enum { SECONDS = 15, MEGA = 1 << 20, SIZE = 224, SMALL = 4 * MEGA };

typedef struct Bytes {
    unsigned char *data;
    size_t size, room;
} Bytes;

static void put(Bytes *b, const void *data, size_t n)
{
    if (b->size + n > b->room) {
        b->room = 2 * b->room + n;
        b->data = realloc(b->data, b->room);
        assert_non_null(b->data);
    }
    memcpy(b->data + b->size, data, n);
    b->size += n;
}

static void put_le(Bytes *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++, v >>= 8)
        put(b, &(uint8_t){(uint8_t)v}, 1);
}

static void put_be(Bytes *b, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        put(b, &(uint8_t){(uint8_t)(v >> 8 * i)}, 1);
}

/* Run lengths that only jump: 0 2 DX DY. */
static void make_bmp(Bytes *b, int w, int h)
{
    put(b, "BM", 2);
    put_le(b, 0, 8);
    put_le(b, 14 + 40 + 8, 4);
    put_le(b, 40, 4);
    put_le(b, (uint64_t)w, 4);
    put_le(b, (uint64_t)h, 4);
    put_le(b, 1 | 8 << 16, 4);
    put_le(b, 1, 4);
    put_le(b, 0, 12);
    put_le(b, 2, 4);
    put_le(b, 0, 4);
    put_le(b, 0xffffff, 8);
    for (int left = h; left > 0; left -= 255)
        put_le(b, 0xff000200, 4);
}

/* One pixel on a large canvas. */
static void make_gif(Bytes *b, int w, int h)
{
    put(b, "GIF89a", 6);
    put_le(b, (uint64_t)w, 2);
    put_le(b, (uint64_t)h, 2);
    put(b, "\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;", 25);
}

static void make_pnm(Bytes *b, int w, int h)
{
    char head[64];
    put(b, head, (size_t)snprintf(head, sizeof head, "P4 %d %d\n", w, h));
    size_t n = ((size_t)w + 7) / 8 * (size_t)h;
    b->data = realloc(b->data, b->room = b->size + n);
    assert_non_null(b->data);
    memset(b->data + b->size, 0x5a, n);
    b->size += n;
}

static void put_chunk(Bytes *b, const char *name, const Bytes *c)
{
    uint32_t crc = ~0u;
    put_be(b, c->size, 4);
    size_t from = b->size;
    put(b, name, 4);
    put(b, c->data, c->size);
    for (size_t i = from; i < b->size; i++) {
        crc ^= b->data[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    put_be(b, ~crc, 4);
}

typedef struct Bits {
    Bytes *to;
    uint32_t held, count;
} Bits;

static void put_bits(Bits *s, uint32_t v, uint32_t n)
{
    s->held |= v << s->count;
    for (s->count += n; s->count >= 8; s->count -= 8, s->held >>= 8)
        put_le(s->to, s->held & 255, 1);
}

/* n zero bytes in deflate's fixed code: a literal, copies of 258 bytes, literals. */
static void put_zeros(Bytes *b, uint64_t n)
{
    Bits s = {.to = b};
    put_le(b, 0x0178, 2);
    put_bits(&s, 3, 3);
    put_bits(&s, 0x0c, 8); /* literal 0: 00110000, from its top bit on */
    for (n--; n >= 258; n -= 258)
        put_bits(&s, 0xa3, 13); /* length 258: 11000101, distance 1: 00000 */
    for (; n > 0; n--)
        put_bits(&s, 0x0c, 8);
    put_bits(&s, 0, 7 + 7);
}

/* Rows of a pass that has x0, y0 as its first pixel: with their filter byte, at one bit a pixel. */
static uint64_t pass_bytes(int w, int h, int x0, int y0, int dx, int dy)
{
    uint64_t pw = w > x0 ? (uint64_t)(w - x0 + dx - 1) / (uint64_t)dx : 0;
    uint64_t ph = h > y0 ? (uint64_t)(h - y0 + dy - 1) / (uint64_t)dy : 0;
    return pw ? ((pw + 7) / 8 + 1) * ph : 0;
}

static void encode_png(Bytes *b, int w, int h, bool interlaced)
{
    static const int pass[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                   {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    Bytes head = {0}, pixels = {0}, none = {0};
    uint64_t n = interlaced ? 0 : pass_bytes(w, h, 0, 0, 1, 1);
    for (int i = 0; interlaced && i < 7; i++)
        n += pass_bytes(w, h, pass[i][0], pass[i][1], pass[i][2], pass[i][3]);
    put(b, "\x89PNG\r\n\x1a\n", 8);
    put_be(&head, (uint64_t)w, 4);
    put_be(&head, (uint64_t)h, 4);
    put(&head, interlaced ? "\1\0\0\0\1" : "\1\0\0\0\0", 5);
    put_chunk(b, "IHDR", &head);
    put_zeros(&pixels, n);
    put_be(&pixels, n % 65521 << 16 | 1, 4);
    put_chunk(b, "IDAT", &pixels);
    put(&none, "", 0);
    put_chunk(b, "IEND", &none);
    free(head.data);
    free(pixels.data);
    free(none.data);
}

static void make_png(Bytes *b, int w, int h)
{
    encode_png(b, w, h, false);
}

static void make_interlaced(Bytes *b, int w, int h)
{
    encode_png(b, w, h, true);
}

/* One strip of deflated RGB, black. */
static void make_tiff(Bytes *b, int w, int h)
{
    Bytes pixels = {0};
    put_zeros(&pixels, (uint64_t)w * (uint64_t)h * 3);
    put_be(&pixels, (uint64_t)w * (uint64_t)h * 3 % 65521 << 16 | 1, 4);
    const uint32_t tags[][3] = {
        {256, 4, (uint32_t)w}, {257, 4, (uint32_t)h}, {258, 3, 8},
        {259, 3, 8},           {262, 3, 2},           {273, 4, 14 + 9 * 12},
        {277, 3, 3},           {278, 4, (uint32_t)h}, {279, 4, (uint32_t)pixels.size},
    };
    put(b, "II*\0\b\0\0\0\t\0", 10);
    for (int i = 0; i < 9; i++) {
        put_le(b, tags[i][0] | tags[i][1] << 16, 4);
        put_le(b, 1, 4);
        put_le(b, tags[i][2], 4);
    }
    put_le(b, 0, 4);
    put(b, pixels.data, pixels.size);
    free(pixels.data);
}

static void encode_jpeg(Bytes *b, int w, int h, bool progressive)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *file = NULL, *row = calloc((size_t)w, 1);
    unsigned long size = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &file, &size);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = 1;
    c.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    if (progressive)
        jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    for (int y = 0; y < h; y++)
        jpeg_write_scanlines(&c, &row, 1);
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    put(b, file, size);
    free(file);
    free(row);
}

static void make_jpeg(Bytes *b, int w, int h)
{
    encode_jpeg(b, w, h, false);
}

static void make_progressive(Bytes *b, int w, int h)
{
    encode_jpeg(b, w, h, true);
}

/* An animation whose first frame is one pixel of a large canvas. */
static void make_webp(Bytes *b, int w, int h)
{
    uint8_t *frame = NULL;
    size_t n = WebPEncodeLosslessRGBA((const uint8_t *)"\1\2\3\4", 1, 1, 4, &frame) - 12;
    put(b, "RIFF", 4);
    put_le(b, 4 + 18 + 14 + 24 + n, 4);
    put(b, "WEBPVP8X", 8);
    put_le(b, 10, 4);
    put_le(b, 0x12, 4);
    put_le(b, (uint64_t)w - 1, 3);
    put_le(b, (uint64_t)h - 1, 3);
    put(b, "ANIM", 4);
    put_le(b, 6, 4);
    put_le(b, 0, 6);
    put(b, "ANMF", 4);
    put_le(b, 16 + n, 4);
    put_le(b, 0, 16);
    put(b, frame + 12, n);
    WebPFree(frame);
}

/* per_pixel: bytes of the decoded picture, and what the decoder needs beside it. */
typedef struct Format {
    const char *name;
    void (*make)(Bytes *b, int w, int h);
    int longest;
    unsigned per_pixel;
} Format;

static const Format formats[] = {
    {"BMP", make_bmp, PICTURE_MAX_PIXELS, 3 + 1},
    {"GIF", make_gif, 65535, 3},
    {"PNM", make_pnm, PICTURE_MAX_PIXELS, 3},
    {"PNG", make_png, PICTURE_MAX_PIXELS, 3 + 2},
    {"interlaced PNG", make_interlaced, PICTURE_MAX_PIXELS, 3 + 2},
    {"TIFF", make_tiff, PICTURE_MAX_PIXELS, 3 + 3}, /* and a row of the file */
    {"JPEG", make_jpeg, 65500, 3},
    {"progressive JPEG", make_progressive, 65500, 3 + 2},
    {"WebP", make_webp, 1 << 24, 4},
};

static bool sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

static size_t address_space(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%zu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* In the child: 0 when the picture became a model's input, 1 when it was refused, else 2. */
static int child(const Bytes *b, size_t memory, int orientation)
{
    Picture p;
    Error e = {0};
    struct rlimit space = {address_space() + memory, address_space() + memory};
    struct rlimit time = {SECONDS, SECONDS};
    setrlimit(RLIMIT_AS, &space);
    setrlimit(RLIMIT_CPU, &time);
    bool ok = picture_decode(&p, b->data, b->size, "hostile", &e);
    p.orientation = orientation;
    if (ok && picture_resize(&p, ROUTE_OWN, SIZE, SIZE, &e))
        return 0;
    return e.code == ERR_FAILED ? 1 : 2;
}

static void check_one(const Format *f, const Bytes *b, int w, int h, int orientation)
{
    int status = 0;
    int width = orientation >= 5 ? h : w, height = orientation >= 5 ? w : h;
    size_t memory = (size_t)w * (size_t)h * f->per_pixel + 16 * MEGA;
    bool refused = width < SIZE && height > PICTURE_MAX_PIXELS / SIZE;
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(b, memory, orientation));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != refused)
        fail_msg("%s: %d x %d, orientation %d: status %x", f->name, w, h, orientation, status);
}

static void check_refused(const Format *f, int w, int h)
{
    Bytes b = {0};
    int status = 0;
    f->make(&b, w, h);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(&b, (size_t)w * (size_t)h * f->per_pixel + 16 * MEGA, 1));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        fail_msg("%s: %d x %d: status %x", f->name, w, h, status);
    free(b.data);
}

static void check_shape(const Format *f, int w, int h, int orientation)
{
    Bytes b = {0};
    f->make(&b, w, h);
    check_one(f, &b, w, h, orientation);
    free(b.data);
}

/* Long shapes are small ones, to be quick: what is proportional to an axis shows on them as well. */
static void every_format_and_shape(void **state)
{
    (void)state;
    if (sanitized())
        skip();
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const Format *f = &formats[i];
        int longest = f->longest < SMALL ? f->longest : SMALL, shortest = SMALL / longest;
        check_shape(f, longest, shortest, 1);
        check_shape(f, shortest, longest, 1);
        check_shape(f, shortest, longest, 6);
        check_shape(f, 13377, 13377, 1);
    }
}

/* The longest picture that there can be, either way and turned. */
static void longest(void **state)
{
    (void)state;
    if (sanitized())
        skip();
    check_shape(&formats[0], PICTURE_MAX_PIXELS, 1, 1);
    check_shape(&formats[0], 1, PICTURE_MAX_PIXELS, 1);
    check_shape(&formats[0], 1, PICTURE_MAX_PIXELS, 8);
    check_shape(&formats[0], PICTURE_MAX_PIXELS / 30, 30, 6);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].longest == PICTURE_MAX_PIXELS && i > 0)
            check_refused(&formats[i], 1, PICTURE_MAX_PIXELS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_and_shape),
        cmocka_unit_test(longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
