/* image/heif.c: AVIF and HEIC through libheif, if its header was there when this was built. The
 * library is loaded when the first such picture comes: it brings a dozen others. libheif turns and
 * mirrors as the file asks; what EXIF says is not for these formats. Pixels are libheif's: Pillow
 * reads AVIF through another library, whose roundings differ. */
#ifdef HAVE_LIBHEIF
#include "image/decode.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <libheif/heif.h>

#define CALLS(X)                             \
    X(have_decoder_for_format)               \
    X(context_alloc)                         \
    X(context_free)                          \
    X(context_set_max_decoding_threads)      \
    X(context_read_from_memory_without_copy) \
    X(context_get_primary_image_handle)      \
    X(decoding_options_alloc)                \
    X(decoding_options_free)                 \
    X(decode_image)                          \
    X(image_get_plane_readonly)              \
    X(image_get_width)                       \
    X(image_get_height)                      \
    X(image_release)                         \
    X(image_handle_release)                  \
    X(image_handle_has_alpha_channel)        \
    X(image_handle_get_width)                \
    X(image_handle_get_height)

static struct {
#define CALL(name) __typeof__(heif_##name) *name;
    CALLS(CALL)
#undef CALL
} heif;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* With the lock. Only success is kept: what failed for want of memory or descriptors may go well later. */
static bool load(char why[256])
{
    static bool loaded;
    if (loaded)
        return true;
    void *library = dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL);
    bool all = library != NULL;
#define CALL(name) all = all && (*(void **)&heif.name = dlsym(library, "heif_" #name));
    CALLS(CALL)
#undef CALL
    if (!all) {
        const char *error = dlerror();
        snprintf(why, 256, "%s", error ? error : "a function is missing");
        if (library)
            dlclose(library);
    }
    return loaded = all;
}

/* In a child nobody holds it: who did is in the parent only. */
static void renew_lock(void)
{
    pthread_mutex_init(&lock, NULL);
}

static void watch_forks(void)
{
    (void)!pthread_atfork(NULL, NULL, renew_lock);
}

static bool is_here(char why[256])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    bool here = load(why);
    pthread_mutex_unlock(&lock);
    return here;
}

/* --- room ---------------------------------------------------------------------------------------- */

/* What libheif and its decoders throw when memory ends cannot pass through C: it would end the process.
 * Where address space or data are limited, pictures are decoded one at a time and only when what they take
 * was there a moment before. */
static bool limited(void)
{
    struct rlimit r;
    return (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY) ||
           (getrlimit(RLIMIT_DATA, &r) == 0 && r.rlim_cur != RLIM_INFINITY);
}

/* Measured: 8 bytes a pixel and some 20 MB for files of 12 megapixels; and their threads' stacks. */
static size_t taken_by(uint64_t pixels)
{
    return (48u << 20) + 12 * (size_t)pixels;
}

static bool has_room(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p != MAP_FAILED && munmap(p, bytes) == 0;
}

/* --- decoding ------------------------------------------------------------------------------------ */

typedef struct HeifReader {
    struct heif_context *context;
    struct heif_image_handle *handle;
    struct heif_image *image;
    bool limited;
} HeifReader;

static bool check_room(const HeifReader *r, uint64_t pixels, const Source *s, Error *e)
{
    return !r->limited || has_room(taken_by(pixels)) || error_memory(e, s->name, taken_by(pixels));
}

static bool good(struct heif_error got, const Source *s, Error *e)
{
    if (got.code == heif_error_Ok)
        return true;
    if (got.code == heif_error_Memory_allocation_error &&
        got.subcode != heif_suberror_Security_limit_exceeded)
        return error_set(e, ERR_MEMORY, "%s: out of memory (HEIF)", s->name);
    if (got.code == heif_error_Unsupported_filetype || got.code == heif_error_Unsupported_feature)
        return decode_fail(s, e, "HEIF: a kind that this libheif does not read");
    if (got.code == heif_error_Decoder_plugin_error)
        return decode_fail(
            s, e,
            "damaged HEIF, or its decoder did not get the threads or the memory that "
            "it wants");
    return decode_fail(s, e, "truncated or damaged HEIF");
}

static bool open_primary(HeifReader *r, const Source *s, Error *e)
{
    if (!check_room(r, 0, s, e))
        return false;
    r->context = heif.context_alloc();
    if (!r->context)
        return error_memory(e, s->name, s->size);
    heif.context_set_max_decoding_threads(r->context, 0);
    return good(heif.context_read_from_memory_without_copy(r->context, s->data, s->size, NULL), s,
                e) &&
           good(heif.context_get_primary_image_handle(r->context, &r->handle), s, e);
}

static bool decode_primary(HeifReader *r, bool alpha, const Source *s, Error *e)
{
    struct heif_decoding_options *o = heif.decoding_options_alloc();
    if (!o)
        return error_memory(e, s->name, sizeof *r);
    o->convert_hdr_to_8bit = 1;
    struct heif_error got =
        heif.decode_image(r->handle, &r->image, heif_colorspace_RGB,
                          alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, o);
    heif.decoding_options_free(o);
    return good(got, s, e);
}

static bool copy_rows(Picture *p, const HeifReader *r, const Source *s, Error *e)
{
    int stride = 0;
    const uint8_t *rows =
        heif.image_get_plane_readonly(r->image, heif_channel_interleaved, &stride);
    size_t bytes = (size_t)p->width * (size_t)p->channels;
    if (!rows || stride < 0 || (size_t)stride < bytes ||
        heif.image_get_width(r->image, heif_channel_interleaved) != p->width ||
        heif.image_get_height(r->image, heif_channel_interleaved) != p->height)
        return decode_fail(s, e, "HEIF: other pixels than the file promises");
    for (size_t y = 0; y < (size_t)p->height; y++)
        memcpy(p->data + y * bytes, rows + y * (size_t)stride, bytes);
    return true;
}

static bool decode(HeifReader *r, Picture *p, const Source *s, Error *e)
{
    if (!open_primary(r, s, e))
        return false;
    bool alpha = heif.image_handle_has_alpha_channel(r->handle);
    int width = heif.image_handle_get_width(r->handle);
    int height = heif.image_handle_get_height(r->handle);
    if (width < 0 || height < 0)
        return decode_fail(s, e, "truncated or damaged HEIF");
    return picture_new(p, s, (uint64_t)width, (uint64_t)height, alpha ? 4 : 3, e) &&
           check_room(r, (uint64_t)width * (uint64_t)height, s, e) &&
           decode_primary(r, alpha, s, e) && copy_rows(p, r, s, e);
}

bool heif_reads_avif(void)
{
    char why[256];
    return is_here(why) && heif.have_decoder_for_format(heif_compression_AV1);
}

bool heif_reads_heic(void)
{
    char why[256];
    return is_here(why) && heif.have_decoder_for_format(heif_compression_HEVC);
}

bool decode_heif(Picture *p, const Source *s, Error *e)
{
    HeifReader r = {.limited = limited()};
    char why[256];
    if (!is_here(why) && !check_room(&r, 0, s, e))
        return false;
    if (!is_here(why))
        return decode_fail(s, e,
                           "AVIF and HEIC take libheif, which cannot be loaded (%s); install it "
                           "(libheif1), or convert the picture to JPEG or PNG",
                           why);
    if (r.limited)
        pthread_mutex_lock(&lock);
    bool ok = decode(&r, p, s, e);
    if (r.image)
        heif.image_release(r.image);
    if (r.handle)
        heif.image_handle_release(r.handle);
    if (r.context)
        heif.context_free(r.context);
    if (r.limited)
        pthread_mutex_unlock(&lock);
    return ok;
}
#endif
