/* The tiny models of tests/golden in a scratch directory, each with a tokenizer that its vocabulary has room
 * for, as blip2_model_load needs one. */
#ifndef TINY_DIRS_H
#define TINY_DIRS_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_api.h"

static char tiny_root[256];

static const char *const TINY_MODELS[] = {"opt", "t5", "itm", "caption"};
enum { TINY_MODELS_COUNT = 4, TINY_IMAGE_ID = 250 };

/* Good until the fourth call from now. */
static inline const char *tiny_path(const char *model, const char *file)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s%s%s", tiny_root, model, *file ? "/" : "", file);
    return p;
}

static inline const char *tiny_dir(const char *model)
{
    return tiny_path(model, "");
}

/* --- OPT's tokenizer: the embedded model's, below the tiny model's image token -------------------- */

static inline json_t *tiny_vocabulary(json_t *vocab)
{
    json_t *small = json_object(), *id;
    const char *word;
    json_object_foreach(vocab, word, id) if (json_integer_value(id) < TINY_IMAGE_ID)
        json_object_set(small, word, id);
    return small;
}

static inline json_t *tiny_merges(json_t *merges, json_t *vocab)
{
    json_t *small = json_array(), *pair;
    size_t i;
    json_array_foreach(merges, i, pair)
    {
        char word[64];
        snprintf(word, sizeof word, "%s%s", json_string_value(json_array_get(pair, 0)),
                 json_string_value(json_array_get(pair, 1)));
        if (json_object_get(vocab, word))
            json_array_append(small, pair);
    }
    return small;
}

static inline bool tiny_write_bpe(const char *path)
{
    json_t *t = json_load_file(SCENES "/tokenizer.json", 0, NULL), *token;
    json_t *bpe = json_object_get(t, "model");
    size_t i;
    json_object_set_new(bpe, "vocab", tiny_vocabulary(json_object_get(bpe, "vocab")));
    json_object_set_new(bpe, "merges",
                        tiny_merges(json_object_get(bpe, "merges"), json_object_get(bpe, "vocab")));
    json_array_foreach(json_object_get(t, "added_tokens"), i,
                       token) if (json_integer_value(json_object_get(token, "id")) > TINY_IMAGE_ID)
        json_object_set_new(token, "id", json_integer(TINY_IMAGE_ID));
    bool ok = t && json_dump_file(t, path, 0) == 0;
    json_decref(t);
    return ok;
}

/* --- directories ---------------------------------------------------------------------------------- */

static const char *const TINY_FILES[] = {"config.json",           "generation_config.json",
                                         "model.safetensors",     "preprocessor_config.json",
                                         "processor_config.json", "tokenizer.json",
                                         "spiece.model",          "vocab.txt"};
enum { TINY_FILES_COUNT = sizeof TINY_FILES / sizeof *TINY_FILES };

static inline bool tiny_tokenizer(const char *model)
{
    if (strcmp(model, "opt") == 0)
        return tiny_write_bpe(tiny_path(model, "tokenizer.json"));
    if (strcmp(model, "t5") == 0)
        return symlink(SOURCE_DIR "/tests/data/tokenizer_beside/t5.model",
                       tiny_path(model, "spiece.model")) == 0;
    return symlink(SOURCE_DIR "/tests/golden/match/vocab.txt", tiny_path(model, "vocab.txt")) == 0;
}

static inline bool tiny_make(const char *model)
{
    bool ok = mkdir(tiny_dir(model), 0777) == 0;
    for (int i = 0; ok && i < TINY_FILES_COUNT; i++) {
        char from[512];
        snprintf(from, sizeof from, SOURCE_DIR "/tests/golden/%s/%s", model, TINY_FILES[i]);
        if (access(from, F_OK) == 0)
            ok = symlink(from, tiny_path(model, TINY_FILES[i])) == 0;
    }
    return ok && tiny_tokenizer(model);
}

static inline int tiny_dirs_make(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(tiny_root, sizeof tiny_root, "%.200s/blip2-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    bool ok = mkdtemp(tiny_root) != NULL;
    for (int i = 0; ok && i < TINY_MODELS_COUNT; i++)
        ok = tiny_make(TINY_MODELS[i]);
    return ok ? 0 : -1;
}

static inline int tiny_dirs_remove(void)
{
    for (int i = 0; i < TINY_MODELS_COUNT; i++) {
        for (int k = 0; k < TINY_FILES_COUNT; k++)
            unlink(tiny_path(TINY_MODELS[i], TINY_FILES[k]));
        rmdir(tiny_dir(TINY_MODELS[i]));
    }
    return rmdir(tiny_root);
}

/* --- pictures ------------------------------------------------------------------------------------- */

/* A small picture, which is prepared faster than one from a file. */
static inline blip2_image *small_picture(int seed, blip2_error *err)
{
    uint8_t pixels[16 * 16 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)((i + 1) * (size_t)(7 + 4 * seed));
    return blip2_image_from_pixels(pixels, 16, 16, 3, err);
}

#endif
