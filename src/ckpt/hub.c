/* ckpt/hub.c: the table of published models; snapshots in the cache. */
#include "ckpt/hub.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* --- where the cache is ------------------------------------------------------------------------- */

static bool is_set(const char *v)
{
    return v && *v;
}

/* "~" and "~user" as Python's os.path.expanduser: $HOME, else what the user database says; who is not in
 * there stays as it is. Returns how many bytes of the path were read. */
static size_t add_home(StrBuf *s, const char *path)
{
    struct passwd entry, *found = NULL;
    char room[4096], user[64];
    size_t n = strcspn(path, "/");
    const char *home = n == 1 ? getenv("HOME") : NULL;
    snprintf(user, sizeof user, "%.*s", (int)(n - 1 < sizeof user ? n - 1 : 0), path + 1);
    int failed = n > 1 ? getpwnam_r(user, &entry, room, sizeof room, &found)
                       : getpwuid_r(getuid(), &entry, room, sizeof room, &found);
    if (!is_set(home) && !failed && found)
        home = found->pw_dir;
    if (is_set(home))
        strbuf_puts(s, home);
    else
        strbuf_add(s, path, n);
    return n;
}

/* "$NAME" or "${NAME}" as Python's os.path.expandvars: what is not set stays as it is. Returns how many
 * bytes of p were read. */
static size_t add_variable(StrBuf *s, const char *p)
{
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    char name[256];
    size_t open = p[1] == '{', n = open ? strcspn(p + 2, "}") : strspn(p + 1, ALLOWED);
    size_t all = 1 + n + 2 * open;
    if (n == 0 || n >= sizeof name || (open && p[2 + n] != '}')) {
        strbuf_add(s, p, 1);
        return 1;
    }
    memcpy(name, p + 1 + open, n);
    name[n] = 0;
    const char *value = getenv(name);
    if (value)
        strbuf_puts(s, value);
    else
        strbuf_add(s, p, all);
    return all;
}

static void add_expanded(StrBuf *s, const char *path)
{
    StrBuf home = {0};
    if (path[0] == '~')
        path += add_home(&home, path);
    strbuf_puts(&home, path);
    const char *p = strbuf_cstr(&home);
    s->failed |= !p;
    while (p && *p) {
        size_t plain = strcspn(p, "$");
        strbuf_add(s, p, plain);
        p += plain;
        p += *p ? add_variable(s, p) : 0;
    }
    strbuf_free(&home);
}

static void add_cache_root(StrBuf *s)
{
    static const char *const PLACES[][2] = {{"HF_HUB_CACHE", ""},
                                            {"HUGGINGFACE_HUB_CACHE", ""},
                                            {"HF_HOME", "/hub"},
                                            {"XDG_CACHE_HOME", "/huggingface/hub"}};
    for (int i = 0; i < 4; i++) {
        const char *v = getenv(PLACES[i][0]);
        if (!is_set(v))
            continue;
        add_expanded(s, v);
        strbuf_puts(s, PLACES[i][1]);
        return;
    }
    add_expanded(s, "~/.cache/huggingface/hub");
}

/* --- what is in it ------------------------------------------------------------------------------- */

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

bool hub_snapshot(const char *folder, char **out)
{
    StrBuf s = {0};
    MappedFile ref = {0};
    Error ignored = {0};
    *out = NULL;
    strbuf_puts(&s, folder);
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

bool hub_cached(const char *repo, char **out)
{
    StrBuf s = {0};
    const char *slash = strchr(repo, '/');
    *out = NULL;
    if (!slash)
        return true;
    add_cache_root(&s);
    strbuf_printf(&s, "/models--%.*s--%s", (int)(slash - repo), repo, slash + 1);
    bool ok = !s.failed && hub_snapshot(s.data, out);
    strbuf_free(&s);
    return ok;
}

bool hub_is_folder(const char *dir)
{
    return file_in_dir(dir, "snapshots") == 1 && file_in_dir(dir, "config.json") != 1;
}

bool hub_folder_repo(const char *path, char *repo, size_t cap)
{
    static const char START[] = "models--";
    size_t end = strlen(path);
    while (end && path[end - 1] == '/')
        end--;
    size_t at = end;
    while (at && path[at - 1] != '/')
        at--;
    if (end - at < sizeof START || end - at >= cap ||
        strncmp(path + at, START, sizeof START - 1) != 0)
        return false;
    memcpy(repo, path + at + sizeof START - 1, end - at - sizeof START + 1);
    repo[end - at - sizeof START + 1] = 0;
    char *gap = strstr(repo, "--");
    if (!gap || gap == repo || !gap[2])
        return false;
    *gap = '/';
    memmove(gap + 1, gap + 2, strlen(gap + 2) + 1);
    return true;
}
