/* config/parse_pictures.c: preprocessor_config.json and processor_config.json. Names and defaults are those
 * of transformers' BlipImageProcessor and Blip2Processor. */
#include <math.h>
#include <string.h>

#include "config/parse.h"

/* A whole number, be it written as 384.0; 0: none within bounds. */
static int pixels_of(const json_t *v)
{
    double d = json_is_number(v) ? json_number_value(v) : 0;
    return d >= 1 && d <= PICTURE_MAX && d == floor(d) ? (int)d : 0;
}

static int equal(const JsonPart *p, int height, int width, int def)
{
    if (height == 0 || width != height)
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: size: expected equal height and width, got height %d and width %d", p->where,
                  height, width);
    return p->e->code ? def : height;
}

static int read_pixels(const JsonPart *p, int def)
{
    JsonPart size_part;
    const json_t *v = part_member(p, "size");
    if (json_is_array(v) &&
        json_array_size(v) == 2) /* (height, width), as get_size_dict takes it */
        return equal(p, pixels_of(json_array_get(v, 0)), pixels_of(json_array_get(v, 1)), def);
    if (!json_is_object(v))
        return pixels_of(v) > 0 ? pixels_of(v) : part_whole(p, "size", def, 1, PICTURE_MAX);
    part_child(&size_part, p, "size");
    if (part_member(&size_part, "shortest_edge") || part_member(&size_part, "longest_edge"))
        error_set(p->e, ERR_BAD_MODEL,
                  "%s: size: expected height and width, got shortest_edge or longest_edge (not "
                  "supported)",
                  p->where);
    int height = part_whole(&size_part, "height", 0, 1, PICTURE_MAX);
    int width = part_whole(&size_part, "width", 0, 1, PICTURE_MAX);
    return equal(p, height, width, def);
}

static void read_triple(const JsonPart *p, const char *key, bool positive, float out[3])
{
    const json_t *v = part_member(p, key);
    if (!v)
        return;
    bool ok = json_is_array(v) && json_array_size(v) == 3;
    for (size_t i = 0; ok && i < 3; i++) {
        const json_t *x = json_array_get(v, i);
        double d = json_is_number(x) ? json_number_value(x) : NAN;
        ok = fabs(d) <= 1000 && (!positive || d >= 1e-6); /* false for NaN, too */
        out[i] = ok ? (float)d : 0;
    }
    if (!ok)
        error_set(p->e, ERR_BAD_MODEL, "%s: %s: expected 3 numbers%s, got something else", p->where,
                  key, positive ? " above 0" : "");
}

static void read_image_processor(const JsonPart *p, ModelConfig *c)
{
    c->pixels = read_pixels(p, c->pixels);
    read_triple(p, "image_mean", false, c->mean);
    read_triple(p, "image_std", true, c->std);
    part_must_flag(p, "do_resize", true);
    part_must_flag(p, "do_rescale", true);
    part_must_flag(p, "do_normalize", true);
    part_must_flag(p, "do_center_crop", false);
    int resample = part_whole(p, "resample", 3, 0, 100);
    if (resample != 3)
        error_set(p->e, ERR_BAD_MODEL, "%s: resample: expected 3 (bicubic), got %d (not supported)",
                  p->where, resample);
    double factor = part_real(p, "rescale_factor", 1.0 / 255, 0, 1);
    if (fabs(factor * 255 - 1) > 1e-6)
        error_set(p->e, ERR_BAD_MODEL, "%s: rescale_factor: expected 1/255, got %g (not supported)",
                  p->where, factor);
}

/* Whether the settings of pictures come to the same. */
static bool same_pictures(const ModelConfig *a, const ModelConfig *b)
{
    return a->pixels == b->pixels && memcmp(a->mean, b->mean, sizeof a->mean) == 0 &&
           memcmp(a->std, b->std, sizeof a->std) == 0;
}

/* Newer files nest the settings of pictures in processor_config.json, and preprocessor_config.json does
 * not count then (transformers, image_processing_base.py, get_image_processor_dict). */
static ConfigFile read_pictures(const JsonPart *pre, const JsonPart *processor, ModelConfig *c)
{
    Error ignored = {0};
    JsonPart nested, other = *pre;
    part_child(&nested, processor, "image_processor");
    if (!nested.o) {
        read_image_processor(pre, c);
        return CONFIG_PREPROCESSOR;
    }
    ModelConfig outer = *c;
    other.e = &ignored;
    read_image_processor(&other, &outer);
    read_image_processor(&nested, c);
    if (pre->o && !same_pictures(&outer, c))
        note_add(&c->notes,
                 "%s: not read, and it differs (size %d, not %d): image_processor of %s counts",
                 pre->where, outer.pixels, c->pixels, processor->where);
    return CONFIG_PROCESSOR;
}

static void read_queries(const JsonPart *p, ModelConfig *c)
{
    int queries = part_whole(p, "num_query_tokens", 0, 1, DIM_MAX);
    c->legacy_layout = queries == 0;
    if (!queries || queries == c->qformer.queries)
        return;
    note_add(&c->notes, "%s: num_query_tokens: %d, where config.json says %d", p->where, queries,
             c->qformer.queries);
    config_hf_fault(c, GEN_ALWAYS,
                    "%.250s: num_query_tokens: expected %d as in config.json, got %d", p->where,
                    c->qformer.queries, queries);
}

const char *config_read_processor(const JsonPart *preprocessor, const JsonPart *processor,
                                  ModelConfig *c)
{
    ConfigFile file = read_pictures(preprocessor, processor, c);
    read_queries(processor, c);
    return config_file_name(file);
}
