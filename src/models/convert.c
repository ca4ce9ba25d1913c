/* models/convert.c: see models/convert.h. */
#include "models/convert.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ckpt/packed.h"
#include "models/build.h"
#include "models/convert_parts.h"
#include "models/fits.h"

enum { FILE_MAX = 24 << 20 };

/* What was quantised before stays what it was. */
static const char *made_with(const Converter *c)
{
    const char *before = packed_made(c->m->ckpt);
    for (int p = PRESET_NONE + 1; before && p < PRESET_COUNT; p++)
        if (strcmp(preset_name((Preset)p), before) == 0)
            return preset_name((Preset)p);
    return preset_name(c->o->preset);
}

static bool write_packed(Converter *c, const ModelSource *from, const char *to)
{
    const char *preset = made_with(c);
    StrBuf texts = {0};
    strbuf_puts(&texts, "\"format\":\"pt\",");
    bool ok = packed_texts(&texts, &from->config, &from->tokenizer, c->e);
    for (size_t i = 0; i < c->n; i++)
        if (c->out[i].form == OUT_PANELS || c->out[i].to == I4)
            packed_layout(&texts, c->out[i].entry.name, c->out[i].to, c->out[i].spec.rank,
                          c->out[i].spec.shape);
    if (preset)
        packed_preset(&texts, preset);
    ok = ok && (!texts.failed || error_memory(c->e, to, texts.len)) &&
         convert_write(c, to, texts.data);
    strbuf_free(&texts);
    return ok;
}

/* --- a directory --------------------------------------------------------------------------------------- */

static bool fail(Converter *c, const char *path)
{
    return error_set(c->e, ERR_FAILED, "%s: %s", path, strerror(errno));
}

/* What an interrupted call has left. */
static void empty(const char *dir)
{
    DIR *d = opendir(dir);
    for (const struct dirent *entry; d && (entry = readdir(d));)
        unlinkat(dirfd(d), entry->d_name, 0); /* neither directories nor "." */
    if (d)
        closedir(d);
}

static bool copy_text(Converter *c, const ModelSource *from, const char *dir, const char *name)
{
    const Folder *f = packed_folder(&from->config, &from->tokenizer, name);
    int there = folder_has(f, name);
    size_t n;
    char *text = there > 0 ? folder_read(f, name, FILE_MAX, &n, ERR_BAD_MODEL, c->e) : NULL;
    char *path = text ? path_join(dir, name) : NULL;
    bool ok = path && file_write(path, &(Piece){text, n}, 1, WRITE_FILE, c->e);
    if (there < 0 || (text && !path))
        error_memory(c->e, dir, strlen(dir));
    mem_free(text);
    mem_free(path);
    return ok || there == 0;
}

/* config.json, without which it is no model, is the last. */
static bool write_files(Converter *c, const ModelSource *from, const char *dir)
{
    char *weights = path_join(dir, "model.safetensors");
    bool ok = weights ? convert_write(c, weights, "\"format\":\"pt\"")
                      : error_memory(c->e, dir, strlen(dir));
    mem_free(weights);
    for (size_t i = 1; ok && packed_file(i); i++)
        ok = copy_text(c, from, dir, packed_file(i));
    return ok && copy_text(c, from, dir, packed_file(0));
}

static bool write_dir(Converter *c, const ModelSource *from, const char *to)
{
    StrBuf partial = {0};
    size_t n = strlen(to);
    while (n > 1 && to[n - 1] == '/')
        n--;
    strbuf_printf(&partial, "%.*s.partial", (int)n, to);
    if (partial.failed)
        return error_memory(c->e, to, n);
    bool ok = mkdir(partial.data, 0777) == 0 || (errno == EEXIST && file_is_dir(partial.data)) ||
              fail(c, partial.data);
    if (ok) {
        empty(partial.data);
        ok = write_files(c, from, partial.data) && (rename(partial.data, to) == 0 || fail(c, to));
        if (!ok) {
            empty(partial.data);
            rmdir(partial.data);
        }
    }
    strbuf_free(&partial);
    return ok;
}

/* Said before anything is written: a directory there must be empty. */
static bool check_target(const char *to, ConvertTo what, Error *e)
{
    if (what != CONVERT_HF)
        return !file_is_dir(to) ||
               error_set(e, ERR_USAGE, "%s: expected the name of a file, got a directory", to);
    bool taken = file_exists(to), empty_dir = true;
    DIR *d = opendir(to);
    for (const struct dirent *entry; empty_dir && d && (entry = readdir(d));)
        empty_dir = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    error_set(e, ERR_USAGE,
                              "%s: expected a new or an empty directory, got one with %s in it", to,
                              entry->d_name);
    if (d)
        closedir(d);
    return empty_dir &&
           (d || !taken ||
            error_set(e, ERR_USAGE, "%s: expected a new or an empty directory, got a file", to));
}

/* --- all together ---------------------------------------------------------------------------------------- */

/* A tokenizer need not be there. */
static bool check_fits(const Blip2 *m, const ModelSource *from, Error *e)
{
    Error why = {0};
    Tokenizer *t = tokenizer_open(&from->tokenizer, &why);
    bool ok = (t || why.code == ERR_NO_MODEL || error_set(e, why.code, "%s", why.message)) &&
              model_fits(m, t, from->path, e);
    tokenizer_free(t);
    return ok;
}

/* Blip2VisionModel has no norm in front of its blocks: what it would compute of such weights is wrong. */
static bool check_kind(const Blip2 *m, const ModelSource *from, ConvertTo to, Error *e)
{
    return to != CONVERT_HF || !m->config.vit.clip ||
           error_set(e, ERR_USAGE,
                     "%s: vision tower: expected one that transformers' BLIP-2 has, got CLIP's "
                     "(ViT-L): packed and lavis are the forms for it",
                     from->path);
}

static bool check_preset(const ConvertOptions *o, Error *e)
{
    return o->preset == PRESET_NONE || o->to == CONVERT_PACKED ||
           error_set(
               e, ERR_USAGE,
               "convert: expected the packed form for %s, got %s: no other holds quantised weights",
               preset_name(o->preset), o->to == CONVERT_HF ? "hf" : "lavis");
}

bool model_convert(ModelSource *from, const char *to, const ConvertOptions *o, Error *e)
{
    if (!check_target(to, o->to, e) || !check_preset(o, e))
        return false;
    Converter c = {.m = model_begin(NULL, from, e), .o = o, .e = e};
    bool ok = c.m && check_kind(c.m, from, o->to, e) && check_fits(c.m, from, e) &&
              convert_plan(&c) &&
              (o->to == CONVERT_HF ? write_dir(&c, from, to) : write_packed(&c, from, to));
    mem_free(c.out);
    quantiser_free(&c.quantiser);
    model_close(c.m);
    return ok;
}
