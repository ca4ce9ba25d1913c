/* blip2 debug preprocess: what the network sees of a picture. */
#include "image.h"
#include "memory.h"
#include "output.h"
#include "path.h"
#include "session.h"
#include "verbs.h"

#include <blip2_debug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 224 };

/* A binary PPM of size x size. */
static int write_ppm(const char *path, const uint8_t *rgb, int size)
{
    blip2_error err = {0};
    size_t n = (size_t)size * (size_t)size * 3;
    char *ppm = need_array(n + 32, 1);
    int head = sprintf(ppm, "P6\n%d %d\n255\n", size, size);
    memcpy(ppm + head, rgb, n);
    bool good = blip2_debug_write(path, ppm, n + (size_t)head, &err);
    free(ppm);
    return good ? 0 : report(&err);
}

static int write_npy(const char *path, const float *chw, int size)
{
    blip2_error err = {0};
    int64_t shape[] = {3, size, size};
    return blip2_npy_write(path, chw, 3, shape, &err) ? 0 : report(&err);
}

static int write_both(const Args *args, const uint8_t *rgb, const float *chw, int size)
{
    int code = args->has[OPT_U8] ? write_ppm(args->value[OPT_U8].text, rgb, size) : 0;
    int other = args->has[OPT_OUTPUT] ? write_npy(args->value[OPT_OUTPUT].text, chw, size) : 0;
    return code ? code : other;
}

int run_debug_preprocess(const Args *args)
{
    blip2_error err = {0};
    int size = (int)args_whole(args, OPT_SIZE, SIZE), code;
    size_t n = (size_t)size * (size_t)size * 3;
    if (args->has[OPT_U8] && args->has[OPT_OUTPUT] &&
        same_file(args->value[OPT_U8].text, args->value[OPT_OUTPUT].text))
        return usage_error("debug preprocess: --u8 and --output: expected two files, got one, %s",
                           args->value[OPT_U8].text);
    for (int i = 0; i < 2; i++) {
        OptId id = i ? OPT_U8 : OPT_OUTPUT;
        if (args->has[id] && same_file(args->value[id].text, args->operands[0]))
            return usage_error("debug preprocess: --%s: expected another file than the picture, %s",
                               options[id].name, args->operands[0]);
    }
    blip2_image *image = open_image(args->operands[0], &err);
    if (!image)
        return report(&err);
    uint8_t *rgb = need_array(n, 1);
    float *chw = need_array(n, sizeof *chw);
    if (blip2_debug_preprocess(image, chosen_library(args, OPT_LIBRARY), size, rgb, chw, &err))
        code = write_both(args, rgb, chw, size);
    else
        code = report(&err);
    if (!code && !args->has[OPT_U8] && !args->has[OPT_OUTPUT])
        complain("debug preprocess: nothing is written without --u8 or --output");
    blip2_image_free(image);
    free(rgb);
    free(chw);
    return code;
}
