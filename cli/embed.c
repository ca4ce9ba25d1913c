/* blip2 embed: features of pictures, texts, and both. */
#include "ahead.h"
#include "answer.h"
#include "embed_file.h"
#include "memory.h"
#include "operands.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <stdint.h>
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

enum { GROUP = 8 }; /* items of a call unless --batch says otherwise */

typedef struct Work {
    blip2_session *session;
    const blip2_model *model;
    blip2_embed_item item; /* but for its picture and text */
    EmbedFile file;
    size_t together; /* items of a call */
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

/* A place of a call. */
typedef struct Asked {
    EmbedName name;
    Taken picture; /* of the kinds that have one */
    size_t index;  /* in the result */
} Asked;

/* Those that could be read, in one call. */
static blip2_features *compute(Work *w, Asked *a, size_t n, blip2_error *err)
{
    blip2_embed_item *items = need_array(n, sizeof *items);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (a[i].name.image && !a[i].picture.image)
            continue;
        items[used] = w->item;
        items[used].text = a[i].name.text;
        items[used].image = a[i].picture.image;
        a[i].index = used++;
    }
    blip2_features *r = used ? blip2_embed(w->session, items, used, err) : NULL;
    free(items);
    return r;
}

static void write_one(Work *w, const Asked *a, const blip2_features *r, const blip2_error *whole)
{
    const bool read = !a->name.image || a->picture.image;
    const blip2_feature *f = read ? blip2_features_at(r, a->index) : NULL;
    if (f)
        write_feature(w, &a->name, f);
    else
        write_failure(w, &a->name,
                      !read ? &a->picture.error
                      : r   ? blip2_features_error(r, a->index)
                            : whole);
    if (read)
        write_notice(&a->name, blip2_features_notice(r, a->index));
    w->ended = !out_flush();
}

/* One that found no memory beside the others is done again without them. */
static void embed_alone(Work *w, Asked *a)
{
    blip2_error err = {0};
    blip2_features *r = compute(w, a, 1, &err);
    write_one(w, a, r, &err);
    blip2_features_free(r);
}

static void embed_some(Work *w, Asked *a, size_t n)
{
    blip2_error err = {0};
    blip2_features *r = compute(w, a, n, &err);
    for (size_t i = 0; i < n && !w->final_code && !w->ended; i++) {
        const blip2_error *e = r ? blip2_features_error(r, a[i].index) : &err;
        if (n > 1 && e->code == BLIP2_MEMORY)
            embed_alone(w, &a[i]);
        else
            write_one(w, &a[i], r, &err);
    }
    blip2_features_free(r);
}

/* The next ones of count: as many as their pictures come. */
static size_t take(const Work *w, const EmbedName *names, size_t count, Ahead *pictures, Asked *a)
{
    Taken *t = need_array(w->together, sizeof *t);
    size_t n = pictures              ? ahead_take_some(pictures, t, w->together)
               : count < w->together ? count
                                     : w->together;
    for (size_t i = 0; i < n; i++)
        a[i] = (Asked){.name = names[i], .picture = t[i]};
    free(t);
    return n;
}

static Ahead *read_ahead(const Work *w, const EmbedName *names, size_t count, char **paths)
{
    for (size_t i = 0; i < count; i++)
        paths[i] = (char *)(uintptr_t)names[i].image;
    return ahead_new(&(AheadOptions){.paths = paths,
                                     .count = count,
                                     .model = w->model,
                                     .library = w->item.library,
                                     .most = 2 * w->together});
}

static void embed_names(Work *w, const EmbedName *names, size_t count)
{
    char **paths = need_array(count, sizeof *paths);
    Asked *a = need_array(w->together, sizeof *a);
    Ahead *pictures =
        blip2_feature_has_image(w->item.kind) ? read_ahead(w, names, count, paths) : NULL;
    w->file.count = count;
    for (size_t done = 0, n; done < count && !w->final_code && !w->ended; done += n) {
        if (count > 1)
            progress("%zu of %zu", done, count);
        n = take(w, names + done, count - done, pictures, a);
        embed_some(w, a, n);
        for (size_t i = 0; i < n; i++)
            blip2_image_free(a[i].picture.image);
    }
    ahead_free(pictures);
    free(a);
    free(paths);
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

static int prepare(Work *w, const Args *args, const Runtime *runtime)
{
    blip2_session *session = runtime->session;
    blip2_error err = {0};
    const char *kind = args_text(args, OPT_KIND, NULL);
    w->session = session;
    w->model = runtime->model;
    w->together = (size_t)args_whole(args, OPT_BATCH, GROUP);
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
        code = prepare(&w, args, &runtime);
    if (!code)
        code = embed_all(&w, args);
    if (!code && !w.final_code && w.done)
        w.final_code = embed_file_end(&w.file);
    embed_file_free(&w.file);
    runtime_close(&runtime);
    return code ? code : outcome(&w);
}
