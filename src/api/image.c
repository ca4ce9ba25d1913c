/* api/image.c: pictures as the caller holds them. */
#include <stdatomic.h>
#include <string.h>

#include "api/api.h"
#include "base/sys.h"

static atomic_uint_fast64_t next_serial = 1;

/* Takes over the picture; frees it when there is no memory for the rest. good: there is one, else e says
 * why not. */
static blip2_image *wrap(bool good, Picture *p, const char *name, double ms, Error *e,
                         blip2_error *err)
{
    blip2_image *image = good ? mem_calloc(1, sizeof *image) : NULL;
    if (image) {
        *image = (blip2_image){
            .picture = *p, .decode_ms = ms, .serial = atomic_fetch_add(&next_serial, 1)};
        return image;
    }
    if (good)
        error_memory(e, name, sizeof *image);
    picture_free(p);
    api_error(err, e);
    return NULL;
}

blip2_image *blip2_image_from_file(const char *path, blip2_error *err)
{
    Error e = {0};
    Picture p = {0};
    double start = now_ms();
    bool good = (path || error_set(&e, ERR_USAGE, "picture: expected a path, got NULL")) &&
                picture_load(&p, path, &e);
    return wrap(good, &p, path, now_ms() - start, &e, err);
}

blip2_image *api_image_decode(const void *bytes, size_t size, const char *name, Error *e)
{
    Picture p = {0};
    double start = now_ms();
    bool good = picture_decode(&p, bytes, size, name, e);
    return wrap(good, &p, name, now_ms() - start, e, NULL);
}

blip2_image *blip2_image_from_memory(const void *bytes, size_t size, blip2_error *err)
{
    static const char NAME[] = "picture in memory";
    Error e = {0};
    blip2_image *image = NULL;
    if (bytes || error_set(&e, ERR_USAGE, "%s: expected bytes, got NULL", NAME))
        image = api_image_decode(bytes, size, NAME, &e);
    if (!image)
        api_error(err, &e);
    return image;
}

blip2_image *blip2_image_from_pixels(const uint8_t *pixels, int width, int height, int channels,
                                     blip2_error *err)
{
    Error e = {0};
    Picture p = {0};
    bool good = (pixels || error_set(&e, ERR_USAGE, "pixels: expected some, got NULL")) &&
                picture_from_pixels(&p, pixels, width, height, channels, &e);
    return wrap(good, &p, "pixels", 0, &e, err);
}

static PrepareRoute route_of(blip2_library library)
{
    return library == BLIP2_HF ? ROUTE_HF : ROUTE_OWN;
}

bool blip2_image_prepare(blip2_image *image, const blip2_model *model, blip2_library library,
                         blip2_error *err)
{
    Error e = {0};
    bool ok = (image || api_missing("picture", &e)) && (model || api_missing("model", &e)) &&
              api_choice("library", (int)library, BLIP2_HF, &e);
    if (ok && !image->prepared.pixels) {
        Picture *p = &image->picture;
        ok = prepared_make(&image->prepared, p, route_of(library), &model->net->config, &e);
        if (ok) {
            mem_free(p->data);
            p->data = NULL;
        }
    }
    return ok || api_error(err, &e);
}

EncodeJob api_image_job(const blip2_image *image, blip2_library library)
{
    bool hf = library == BLIP2_HF;
    return (EncodeJob){.picture = &image->picture,
                       .prepared = image->prepared.pixels ? &image->prepared : NULL,
                       .route = route_of(library),
                       .serial = 2 * image->serial + hf};
}

void api_note_image(char *notice, const blip2_image *image)
{
    if (image->picture.notice)
        note_append(notice, 256, image->picture.notice);
}

void blip2_image_free(blip2_image *image)
{
    if (!image)
        return;
    picture_free(&image->picture);
    prepared_free(&image->prepared);
    mem_free(image);
}

int blip2_image_width(const blip2_image *image)
{
    return image ? image->picture.width : 0;
}

int blip2_image_height(const blip2_image *image)
{
    return image ? image->picture.height : 0;
}

double blip2_image_decode_ms(const blip2_image *image)
{
    return image ? image->decode_ms : 0;
}
