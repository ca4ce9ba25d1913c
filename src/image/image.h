/* image/image.h: from a file of any supported kind to the pixels a vision tower wants.
 *
 * Formats are told by content, not by name: JPEG, PNG, WebP, GIF (first frame), BMP, PNM, TIFF (first
 * page), and through libheif AVIF and HEIC. Files come from strangers. Functions keep no state and may
 * run in many threads. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* 8-bit pixels, row by row without padding; channels 3 (RGB) or 4 (RGBA, alpha not premultiplied).
 * data is mem_alloc'd. */
typedef struct Picture {
    int width, height, channels;
    int orientation;    /* EXIF 1..8; 1 when there is none */
    bool always_turned; /* on every route: Pillow turns the format when it loads it */
    uint8_t *data;
    const char *notice; /* what is no error and may yet surprise; NULL: nothing. Not allocated */
} Picture;

/* More pixels than this are refused before anything is allocated (Pillow's bomb limit). */
#define PICTURE_MAX_PIXELS 178956970

/* Decodes bytes; name is for messages ("NAME: picture: truncated JPEG"). Errors are ERR_FAILED,
 * ERR_MEMORY. Decoded as Pillow's plug-ins do it (each decoder names its own), alpha kept where the
 * file has it (palette transparency included), pixels not yet turned by EXIF
 * (libheif turns as AVIF and HEIC ask). Free with picture_free. */
bool picture_decode(Picture *p, const void *bytes, size_t n, const char *name, Error *e);

/* Reads a file, or stdin when path is "-". */
bool picture_load(Picture *p, const char *path, Error *e);

/* Copies caller's pixels: channels 1 (grey), 3 or 4. */
bool picture_from_pixels(Picture *p, const uint8_t *pixels, int width, int height, int channels,
                         Error *e);
void picture_free(Picture *p);

/* The names of the formats that are read on this machine, and NULL. */
enum { PICTURE_FORMATS = 10 };
void picture_formats(const char *name[PICTURE_FORMATS]);

/* How a picture becomes RGB of S x S: ROUTE_LAVIS is lavis/processors/blip_processors.py after
 * Image.open(...).convert("RGB"), ROUTE_HF transformers' image_processing_blip.py. */
typedef enum PrepareRoute {
    ROUTE_OWN,   /* our verbs: upright by EXIF, alpha over white, horizontal pass first */
    ROUTE_LAVIS, /* EXIF ignored unless always_turned, alpha dropped, horizontal first */
    ROUTE_HF,    /* EXIF likewise, alpha over white, Pillow 13's order of passes */
} PrepareRoute;

/* What a model's preprocessor_config.json says. */
typedef struct PrepareSpec {
    int width, height;
    float mean[3], std[3];
} PrepareSpec;

/* Mean and standard deviation of CLIP's pixels, which every published model uses
 * (OPENAI_CLIP_MEAN and _STD in transformers' image_utils.py; BlipImageBaseProcessor in LAVIS). */
#define CLIP_MEAN                            \
    {                                        \
        0.48145466f, 0.4578275f, 0.40821073f \
    }
#define CLIP_STD                              \
    {                                         \
        0.26862954f, 0.26130258f, 0.27577711f \
    }

/* size x size with CLIP's mean and std, LAVIS' defaults. */
PrepareSpec prepare_default(int size);

/* Picture -> RGB bytes [height, width, 3] after the resize (Pillow's bicubic, bit-exact) in
 * mem_alloc'd memory. Beside the picture it takes a small multiple of the target, whatever the shape,
 * turning and alpha (resize.h has the bound). NULL with an error when out of memory, or (ERR_FAILED)
 * when the picture is narrower than the target and so tall that width * its height is beyond
 * PICTURE_MAX_PIXELS. The picture is not changed. */
uint8_t *picture_resize(const Picture *p, PrepareRoute route, int width, int height, Error *e);

/* RGB bytes [h, w, 3] -> float CHW, (v/255 - mean) / std, every step rounded to f32. */
void picture_normalise(float *chw, const uint8_t *rgb, int width, int height,
                       const PrepareSpec *spec);

/* Both steps: out is [3, spec->height, spec->width]. */
bool picture_prepare(float *out, const Picture *p, PrepareRoute route, const PrepareSpec *spec,
                     Error *e);

#endif
