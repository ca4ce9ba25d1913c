/* ckpt/hub.c: the table of published models; snapshots in the cache. */
#include "ckpt/hub.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

static const HubModel MODELS[] = {
    {"opt-2.7b", "Salesforce/blip2-opt-2.7b", {"blip2_opt/pretrain_opt2.7b", "pretrain_opt2.7b"}},
    {"opt-6.7b", "Salesforce/blip2-opt-6.7b", {"blip2_opt/pretrain_opt6.7b", "pretrain_opt6.7b"}},
    {"opt-2.7b-coco",
     "Salesforce/blip2-opt-2.7b-coco",
     {"blip2_opt/caption_coco_opt2.7b", "caption_coco_opt2.7b"}},
    {"opt-6.7b-coco",
     "Salesforce/blip2-opt-6.7b-coco",
     {"blip2_opt/caption_coco_opt6.7b", "caption_coco_opt6.7b"}},
    {"flan-t5-xl",
     "Salesforce/blip2-flan-t5-xl",
     {"blip2_t5/pretrain_flant5xl", "pretrain_flant5xl"}},
    {"flan-t5-xl-coco",
     "Salesforce/blip2-flan-t5-xl-coco",
     {"blip2_t5/caption_coco_flant5xl", "caption_coco_flant5xl"}},
    {"flan-t5-xl-vit-l", NULL, {"blip2_t5/pretrain_flant5xl_vitL", "pretrain_flant5xl_vitL"}},
    {"flan-t5-xxl",
     "Salesforce/blip2-flan-t5-xxl",
     {"blip2_t5/pretrain_flant5xxl", "pretrain_flant5xxl"}},
    {"itm-vit-g",
     "Salesforce/blip2-itm-vit-g",
     {"blip2/pretrain", "blip2_image_text_matching/pretrain", "blip2_feature_extractor/pretrain"}},
    {"itm-vit-g-coco",
     "Salesforce/blip2-itm-vit-g-coco",
     {"blip2/coco", "blip2_image_text_matching/coco", "blip2_feature_extractor/coco"}},
    {"itm-vit-l",
     NULL,
     {"blip2/pretrain_vitL", "blip2_image_text_matching/pretrain_vitL",
      "blip2_feature_extractor/pretrain_vitL"}},
};

enum { N_MODELS = sizeof MODELS / sizeof MODELS[0] };

const HubModel *hub_at(int i)
{
    return i >= 0 && i < N_MODELS ? &MODELS[i] : NULL;
}

static bool same(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static bool is_called(const HubModel *m, const char *name)
{
    if (same(m->name, name) || same(m->repo, name))
        return true;
    if (m->repo && same(strchr(m->repo, '/') + 1, name))
        return true;
    return same(m->lavis[0], name) || same(m->lavis[1], name) || same(m->lavis[2], name);
}

const HubModel *hub_find(const char *name)
{
    for (int i = 0; i < N_MODELS; i++)
        if (is_called(&MODELS[i], name))
            return &MODELS[i];
    return NULL;
}

/* --- the cache --------------------------------------------------------------------------------- */

static bool add_cache_root(StrBuf *s)
{
    static const char *const PLACES[][2] = {{"HF_HUB_CACHE", ""},
                                            {"HF_HOME", "/hub"},
                                            {"XDG_CACHE_HOME", "/huggingface/hub"},
                                            {"HOME", "/.cache/huggingface/hub"}};
    for (int i = 0; i < 4; i++) {
        const char *v = getenv(PLACES[i][0]);
        if (!v || !*v)
            continue;
        strbuf_printf(s, "%s%s", v, PLACES[i][1]);
        return true;
    }
    return false;
}

/* refs/main holds a commit: it becomes part of a path, so only letters and digits will do. */
static bool add_commit(StrBuf *s, const MappedFile *ref)
{
    size_t n = 0;
    while (n < ref->size && n < 64 && isalnum(ref->data[n]))
        n++;
    if (n)
        strbuf_printf(s, "/snapshots/%.*s", (int)n, (const char *)ref->data);
    return n > 0;
}

bool hub_cached(const char *repo, char **out)
{
    StrBuf s = {0};
    MappedFile ref = {0};
    Error ignored = {0};
    *out = NULL;
    const char *slash = strchr(repo, '/');
    if (!slash || !add_cache_root(&s))
        return true;
    strbuf_printf(&s, "/models--%.*s--%s", (int)(slash - repo), repo, slash + 1);
    size_t base = s.len;
    strbuf_puts(&s, "/refs/main");
    if (!s.failed && file_map(&ref, s.data, ERR_NO_MODEL, &ignored)) {
        s.len = base;
        bool named = add_commit(&s, &ref);
        file_unmap(&ref);
        if (named && !s.failed && file_is_dir(s.data))
            s.failed = !(*out = mem_strdup(s.data));
    }
    bool ok = !s.failed;
    strbuf_free(&s);
    return ok;
}
