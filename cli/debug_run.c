/* blip2 debug run: one pass through a model. */
#define _GNU_SOURCE
#include "effect.h"
#include "json.h"
#include "memory.h"
#include "output.h"
#include "path.h"
#include "session.h"
#include "verbs.h"

#include <blip2_debug.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Input {
    float *pixels; /* [3, height, width], or NULL: image */
    int height, width;
    blip2_image *image;
    int *ids, *decoder_ids;
    size_t id_count, decoder_count;
} Input;

static void free_input(Input *in)
{
    blip2_debug_free(in->pixels);
    blip2_image_free(in->image);
    free(in->ids);
    free(in->decoder_ids);
}

/* "2,5,7"; an empty text is no ids, as is an option that was not given. */
static int read_ids(const Args *args, OptId option, const char *name, int **ids, size_t *count)
{
    const char *text = args_text(args, option, ""), *p = text;
    *ids = need_array(strlen(text) / 2 + 1, sizeof **ids);
    while (*p) {
        char *end;
        errno = 0;
        long id = strtol(p, &end, 10);
        if (strspn(p, "0123456789") == 0 || errno || id > INT_MAX || (*end && *end != ',') ||
            (*end && !end[1]))
            return usage_error("--%s: expected whole numbers and commas, got '%s'", name, text);
        (*ids)[(*count)++] = (int)id;
        p = end + (*end == ',');
    }
    return 0;
}

/* A pipe can be read once only, so it is a picture. */
static bool is_npy(const char *path)
{
    char magic[6] = {0};
    FILE *f = is_regular(path) ? fopen(path, "rb") : NULL;
    size_t n = f ? fread(magic, 1, sizeof magic, f) : 0;
    if (f)
        fclose(f);
    return n == sizeof magic && memcmp(magic, "\x93NUMPY", sizeof magic) == 0;
}

/* [3, H, W], or with a batch axis of 1 in front. */
static int read_npy(const char *path, Input *in)
{
    blip2_error err = {0};
    int64_t shape[8];
    int rank = 0;
    in->pixels = blip2_npy_read(path, &rank, shape, &err);
    if (!in->pixels)
        return report(&err);
    const int64_t *s = rank == 4 && shape[0] == 1 ? shape + 1 : shape;
    if ((rank != 3 && s == shape) || s[0] != 3 || s[1] < 1 || s[2] < 1 || s[1] > INT_MAX ||
        s[2] > INT_MAX) {
        complain("%s: shape, expected [3, H, W], got %d axes, the first %lld", path, rank,
                 rank > 0 ? (long long)shape[0] : 0);
        return EXIT_FAILED;
    }
    in->height = (int)s[1];
    in->width = (int)s[2];
    return 0;
}

static int read_picture(const char *path, Input *in)
{
    blip2_error err = {0};
    in->image = blip2_image_from_file(path, &err);
    return in->image ? 0 : report(&err);
}

static int read_input(const Args *args, Input *in)
{
    const char *path = args->value[OPT_PIXELS].text;
    if (!is_npy(path))
        return read_picture(path, in);
    if (args->has[OPT_LIBRARY])
        complain("--library: no effect on %s, which is prepared already", path);
    return read_npy(path, in);
}

/* {"ids": [[...], ...], "scores": [...]} */
static json_t *output_json(const blip2_debug_output *out)
{
    json_t *o = json_object(), *sequences = json_array(), *scores = json_array();
    for (size_t i = 0; i < out->count; i++) {
        json_t *ids = json_array();
        for (size_t j = 0; j < out->id_counts[i]; j++)
            json_add(ids, json_integer(out->ids[i][j]));
        json_add(sequences, ids);
        json_add(scores, json_number(out->scores[i]));
    }
    json_put(o, "ids", sequences);
    json_put(o, "scores", scores);
    return o;
}

static void ask_for(const Args *args, blip2_options *generation, const Input *in,
                    blip2_debug_run *run)
{
    *generation = blip2_debug_options(chosen_library(args, OPT_GENERATION));
    apply_generation(args, generation);
    *run = (blip2_debug_run){
        .library = chosen_library(args, OPT_LIBRARY),
        .ids = in->ids,
        .id_count = in->id_count,
        .decoder_ids = in->decoder_ids,
        .decoder_id_count = in->decoder_count,
        .dump_dir = args_text(args, OPT_DUMP, NULL),
        .generate = args->has[OPT_GENERATE],
        .options = generation,
    };
}

static int forward(blip2_session *session, const Input *in, blip2_debug_run *run)
{
    blip2_error err = {0};
    blip2_debug_output out = {0};
    run->pixels = in->pixels;
    run->height = in->height;
    run->width = in->width;
    run->image = in->image;
    bool good = blip2_debug_forward(session, run, &out, &err);
    if (good && run->generate)
        out_json(output_json(&out));
    if (good && out.notice[0])
        complain("%s", out.notice);
    if (good && !run->generate && !run->dump_dir)
        complain("debug run: nothing is written without --dump or --generate");
    blip2_debug_output_free(&out);
    return good ? 0 : report(&err);
}

/* What is wrong whatever the picture is comes before it. */
static int run_all(const Args *args, blip2_session *session, Input *in)
{
    blip2_error err = {0};
    blip2_options generation;
    blip2_debug_run run;
    int code = read_ids(args, OPT_IDS, "ids", &in->ids, &in->id_count);
    if (!code)
        code = read_ids(args, OPT_DECODER_IDS, "decoder-ids", &in->decoder_ids, &in->decoder_count);
    if (code)
        return code;
    ask_for(args, &generation, in, &run);
    if (!blip2_debug_check(session, &run, &err))
        return report(&err);
    if (run.generate)
        note_without_effect(args, &generation, false);
    else
        note_without_generate(args);
    code = read_input(args, in);
    return code ? code : forward(session, in, &run);
}

static int check(const Args *args)
{
    if (!args->has[OPT_PIXELS])
        return usage_error("debug run: --pixels X.NPY|IMAGE is missing");
    return 0;
}

int run_debug_run(const Args *args)
{
    blip2_error err = {0};
    Runtime runtime = {0};
    Input in = {0};
    int code = check(args);
    if (code)
        return code;
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    blip2_load_options lo = chosen_load(args);
    blip2_model *model = blip2_debug_load(args->operands[0], &lo, &err);
    if (!model)
        return report(&err);
    code = runtime_open_with(&runtime, args, model);
    if (!code)
        code = run_all(args, runtime.session, &in);
    free_input(&in);
    runtime_close(&runtime);
    return code;
}
