/* blip2 embed: features of pictures, texts, and both. */
#include "answer.h"
#include "embed_file.h"
#include "memory.h"
#include "operands.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

static const char *const KINDS[] = {
    [BLIP2_VISION] = "vision",
    [BLIP2_IMAGE_EMBEDS] = "image_embeds",
    [BLIP2_LANGUAGE_EMBEDS] = "language_embeds",
    [BLIP2_IMAGE_EMBEDS_PROJ] = "image_embeds_proj",
    [BLIP2_TEXT_EMBEDS] = "text_embeds",
    [BLIP2_TEXT_EMBEDS_PROJ] = "text_embeds_proj",
    [BLIP2_MULTIMODAL_EMBEDS] = "multimodal_embeds",
};
static const char *const POOLS[] = {"none", "first", "mean", "max"};

typedef struct Work {
    blip2_session *session;
    blip2_embed_item item; /* but for its picture and text */
    EmbedFile file;
    bool ended;
    size_t done, failed;
    int first_code, final_code;
} Work;

static int place_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], word) == 0)
            return (int)i;
    return 0;
}

/* What a model is asked for that has it: the projected features, else the Q-Former's. */
static blip2_feature_kind default_kind(blip2_session *s)
{
    return blip2_embed_check(s, BLIP2_IMAGE_EMBEDS_PROJ, NULL) ? BLIP2_IMAGE_EMBEDS_PROJ
           : blip2_embed_check(s, BLIP2_IMAGE_EMBEDS, NULL)    ? BLIP2_IMAGE_EMBEDS
                                                               : BLIP2_TEXT_EMBEDS_PROJ;
}

static void write_failure(Work *w, const EmbedName *name, const blip2_error *e)
{
    if (e->code == BLIP2_USAGE) {
        w->final_code = report(e);
        return;
    }
    complain_picture(name->image ? name->image : name->text, e->message);
    embed_file_failed(&w->file, name, e->message);
    if (w->failed++ == 0)
        w->first_code = exit_code(e);
}

static void write_feature(Work *w, const EmbedName *name, const blip2_feature *f)
{
    int code = embed_file_add(&w->file, name, f);
    if (code)
        w->final_code = code;
    else
        w->done++;
}

static void write_notice(const EmbedName *name, const char *notice)
{
    if (notice && name->image)
        complain_picture(name->image, notice);
    else if (notice)
        complain("%s", notice);
}

static void embed_one(Work *w, const EmbedName *name)
{
    blip2_error err = {0};
    blip2_embed_item item = w->item;
    item.text = name->text;
    item.image = name->image ? open_operand(name->image, &err) : NULL;
    blip2_features *r = err.code ? NULL : blip2_embed(w->session, &item, 1, &err);
    const blip2_feature *f = blip2_features_at(r, 0);
    if (f)
        write_feature(w, name, f);
    else
        write_failure(w, name, r ? blip2_features_error(r, 0) : &err);
    write_notice(name, blip2_features_notice(r, 0));
    w->ended = !out_flush();
    blip2_features_free(r);
    blip2_image_free(item.image);
}

static void embed_names(Work *w, const EmbedName *names, size_t count)
{
    w->file.count = count;
    for (size_t i = 0; i < count && !w->final_code && !w->ended; i++) {
        if (count > 1)
            progress("%zu of %zu", i, count);
        embed_one(w, &names[i]);
    }
}

/* Pictures; or texts; or a picture and its text, and again. */
static int embed_all(Work *w, const Args *args)
{
    size_t n = (size_t)args->count;
    bool image = blip2_feature_has_image(w->item.kind), text = blip2_feature_has_text(w->item.kind);
    EmbedName *names = NULL;
    Pictures p = {0};
    if (image && text && n % 2)
        return usage_error("embed: expected IMAGE TEXT, once or more, got %zu words", n);
    if (image && !text) {
        pictures_find(&p, args->operands, n, args->has[OPT_RECURSIVE]);
        n = p.count;
    }
    names = need_array(n, sizeof *names);
    size_t count = image && text ? n / 2 : n;
    for (size_t i = 0; i < count; i++)
        names[i] = image && text ? (EmbedName){args->operands[2 * i], args->operands[2 * i + 1]}
                   : image       ? (EmbedName){p.paths[i], NULL}
                                 : (EmbedName){NULL, args->operands[i]};
    embed_names(w, names, count);
    free(names);
    if (image && !text)
        pictures_free(&p);
    return 0;
}

static int prepare(Work *w, const Args *args, blip2_session *session)
{
    blip2_error err = {0};
    const char *kind = args_text(args, OPT_KIND, NULL);
    w->session = session;
    w->item = blip2_embed_item_default();
    w->item.library = chosen_library(args, OPT_LIBRARY);
    w->item.pool = (blip2_pool)place_of(args_text(args, OPT_POOL, "none"), POOLS, 4);
    w->item.kind = kind ? (blip2_feature_kind)place_of(kind, KINDS, sizeof KINDS / sizeof *KINDS)
                        : default_kind(session);
    w->file.kind = KINDS[w->item.kind];
    w->file.pool = POOLS[w->item.pool];
    return blip2_embed_check(session, w->item.kind, &err) ? 0 : report(&err);
}

static int outcome(const Work *w)
{
    if (w->final_code)
        return w->final_code;
    return !w->failed ? EXIT_OK : w->done ? EXIT_SOME : w->first_code;
}

int run_embed(const Args *args)
{
    Runtime runtime;
    Work w = {0};
    int code = embed_file_begin(&w.file, args_text(args, OPT_OUTPUT, NULL));
    if (!code)
        code = pictures_once(args->operands, (size_t)args->count);
    if (code)
        return code;
    code = runtime_open(&runtime, args);
    if (!code)
        code = prepare(&w, args, runtime.session);
    if (!code)
        code = embed_all(&w, args);
    if (!code && !w.final_code && w.done)
        w.final_code = embed_file_end(&w.file);
    embed_file_free(&w.file);
    runtime_close(&runtime);
    return code ? code : outcome(&w);
}
