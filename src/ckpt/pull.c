/* ckpt/pull.c: which files, where they go, in which order they become visible. The layout of the cache:
 * huggingface_hub/file_download.py and _snapshot_download.py. */
#include "ckpt/pull.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/write.h"
#include "ckpt/ckpt.h"
#include "ckpt/jobs.h"
#include "ckpt/layout.h"

enum { FILES_MAX = 1000, INDEX_MAX = 64 << 20 };

/* What a model needs beside its weights; README.md names the licence (config.c). */
static const char *const SMALL[] = {
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "processor_config.json",
    "vocab.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "spiece.model",
    "vocab.txt",
    "chat_template.jinja",
    "README.md",
};

/* In the order in which a directory's weights are looked for (open.c). */
static const char *const WEIGHTS[] = {"model.safetensors", "model.safetensors.index.json",
                                      "pytorch_model.bin", "pytorch_model.bin.index.json"};

typedef struct Pull {
    Jobs jobs;
    HubRepo repo;
    char *folder; /* of the repository in the cache */
} Pull;

/* --- jobs ------------------------------------------------------------------------------------------------ */

static bool look_job(Jobs *j, Fetch *f, Error *e)
{
    Arena own = {0};
    bool ok = fetch_look(f, &j->remote, &own, e);
    pthread_mutex_lock(&j->lock);
    if (ok && f->tag && !(f->tag = arena_strdup(&j->mem, f->tag)))
        ok = error_memory(e, f->name, 160);
    pthread_mutex_unlock(&j->lock);
    arena_free(&own);
    return ok;
}

static bool fetch_job(Jobs *j, Fetch *f, Error *e)
{
    return fetch_file(f, &j->remote, e);
}

static bool fetch_all(Jobs *j, const char *dir, Error *e)
{
    j->progress.bytes_total = 0;
    j->progress.files_total = j->n;
    for (size_t i = 0; i < j->n; i++)
        j->progress.bytes_total += j->file[i].size > 0 ? (uint64_t)j->file[i].size : 0;
    return layout_room(dir, j->file, j->n, e) && jobs_run(j, fetch_job, e);
}

/* --- the files of a repository ----------------------------------------------------------------------------- */

static bool add_file(Pull *p, const char *name, Error *e)
{
    const HubEntry *x = hub_entry(&p->repo, name);
    if (!x)
        return error_set(e, ERR_BAD_MODEL, "%s: %s: expected it among the files, got none",
                         p->repo.repo, name);
    if (p->jobs.n == FILES_MAX)
        return error_set(e, ERR_BAD_MODEL, "%s: files: expected at most %d, got more", p->repo.repo,
                         FILES_MAX);
    Fetch *f = &p->jobs.file[p->jobs.n];
    Arena *mem = &p->jobs.mem;
    f->name = arena_printf(mem, "%s/%s", p->repo.repo, name);
    f->url = arena_printf(mem, "%s/%s/resolve/%s/%s", p->jobs.remote.endpoint, p->repo.repo,
                          p->repo.commit, name);
    f->tag = x->tag;
    f->size = x->size;
    if (!f->name || !f->url)
        return error_memory(e, name, 256);
    p->jobs.n++;
    return true;
}

/* Blobs have the names of their contents: what two commits share is fetched once. */
static bool place_file(Pull *p, Fetch *f, Error *e)
{
    Arena *mem = &p->jobs.mem;
    const char *slash = strrchr(p->folder, '/');
    f->place = arena_printf(mem, "%s/blobs/%s", p->folder, f->tag);
    f->part = arena_printf(mem, "%s/blobs/%s.incomplete", p->folder, f->tag);
    f->lock = arena_printf(mem, "%.*s/.locks%s/%s.lock", (int)(slash - p->folder), p->folder, slash,
                           f->tag);
    return (f->place && f->part && f->lock) || error_memory(e, f->name, 1024);
}

static bool place_files(Pull *p, Error *e)
{
    bool ok = true;
    for (size_t i = 0; i < p->jobs.n && ok; i++)
        ok = p->jobs.file[i].place || place_file(p, &p->jobs.file[i], e);
    return ok;
}

static bool add_shard(Pull *p, const char *name, Error *e)
{
    size_t end = strlen(p->repo.repo) + 1;
    for (size_t i = 0; i < p->jobs.n; i++)
        if (strcmp(p->jobs.file[i].name + end, name) == 0)
            return true;
    return hub_good_name(name)
               ? add_file(p, name, e)
               : error_set(e, ERR_BAD_MODEL, "%s: index: expected plain names of files, got %.200s",
                           p->repo.repo, name);
}

/* The index, just fetched, names the shards. */
static bool add_shards(Pull *p, const char *index, Error *e)
{
    const char *tensor;
    json_t *doc = json_load_path(index, INDEX_MAX, ERR_BAD_MODEL, e), *shard;
    json_t *map = json_object_get(doc, "weight_map");
    bool ok = doc && (json_object_size(map) ||
                      error_set(e, ERR_BAD_MODEL, "%s: weight_map: expected tensors, got none",
                                p->repo.repo));
    if (ok)
        json_object_foreach(map, tensor, shard)
        {
            const char *name = json_string_value(shard);
            ok = ok && name && add_shard(p, name, e);
        }
    json_decref(doc);
    return ok || error_set(e, ERR_BAD_MODEL, "%s: index: expected names of files", p->repo.repo);
}

static bool look_and_place(Pull *p, Error *e)
{
    return jobs_run(&p->jobs, look_job, e) && place_files(p, e);
}

/* The weights are the first file; an index is fetched before its shards are known. */
static bool plan(Pull *p, bool weights, Error *e)
{
    const char *found = NULL;
    for (int i = 0; i < 4 && weights && !found; i++)
        found = hub_entry(&p->repo, WEIGHTS[i]) ? WEIGHTS[i] : NULL;
    if (weights && (!found || !hub_entry(&p->repo, "config.json")))
        return error_set(e, ERR_BAD_MODEL,
                         "%s: %s: expected a model of transformers (config.json, and "
                         "model.safetensors or pytorch_model.bin or their index), got none",
                         p->repo.repo, found ? "config.json" : "weights");
    bool ok = !found || add_file(p, found, e);
    if (ok && found && str_ends(found, ".index.json"))
        ok = look_and_place(p, e) && jobs_run(&p->jobs, fetch_job, e) &&
             add_shards(p, p->jobs.file[0].place, e);
    for (size_t i = 0; i < sizeof SMALL / sizeof *SMALL && ok; i++)
        if (hub_entry(&p->repo, SMALL[i]))
            ok = add_file(p, SMALL[i], e);
    return ok && look_and_place(p, e);
}

/* --- becoming visible ---------------------------------------------------------------------------------------- */

static bool publish(Pull *p, char **path, Error *e)
{
    const char *commit = p->repo.commit;
    char *dir = arena_printf(&p->jobs.mem, "%s/snapshots/%s", p->folder, commit);
    char *ref = arena_printf(&p->jobs.mem, "%s/refs/main", p->folder);
    bool ok = (dir && ref) || error_memory(e, p->folder, 1024);
    ok = ok && layout_dir(dir, e);
    for (size_t i = 0; i < p->jobs.n && ok; i++)
        ok = layout_link(dir, &p->jobs.file[i], e);
    Piece text = {commit, strlen(commit)};
    ok = ok && file_write(ref, &text, 1, WRITE_FILE, e);
    if (ok && !(*path = mem_strdup(dir)))
        ok = error_memory(e, dir, strlen(dir));
    return ok;
}

/* --- one repository ------------------------------------------------------------------------------------------- */

static bool find_folder(Pull *p, const char *repo, Error *e)
{
    StrBuf s = {0};
    hub_add_cache(&s);
    hub_add_folder(&s, repo);
    p->folder = s.failed ? NULL : arena_strdup(&p->jobs.mem, s.data);
    strbuf_free(&s);
    return p->folder || error_memory(e, repo, 1024);
}

static bool make_folders(const Pull *p, Error *e)
{
    const char *slash = strrchr(p->folder, '/');
    StrBuf locks = {0};
    strbuf_printf(&locks, "%.*s/.locks%s", (int)(slash - p->folder), p->folder, slash);
    bool ok = !locks.failed ? layout_dir(locks.data, e) : error_memory(e, p->folder, 1024);
    strbuf_free(&locks);
    return ok && layout_dir_in(p->folder, "blobs", e) && layout_dir_in(p->folder, "refs", e) &&
           layout_dir_in(p->folder, "snapshots", e);
}

static bool pull_into(Pull *p, const char *repo, bool weights, char **path, Error *e)
{
    if (!hub_remote_init(&p->jobs.remote, e) || !hub_repo(&p->repo, &p->jobs.remote, repo, e))
        return false;
    if (p->repo.licence)
        p->jobs.progress.licence = p->repo.licence;
    p->jobs.file = mem_calloc(FILES_MAX, sizeof *p->jobs.file);
    if (!p->jobs.file)
        return error_memory(e, repo, FILES_MAX * sizeof *p->jobs.file);
    return find_folder(p, repo, e) && make_folders(p, e) && plan(p, weights, e) &&
           fetch_all(&p->jobs, p->folder, e) && publish(p, path, e);
}

static bool pull_repo(const char *repo, const char *licence, bool weights, const PullOptions *o,
                      char **path, Error *e)
{
    Pull p = {0};
    *path = NULL;
    if (hub_offline()) {
        bool ok = hub_cached(repo, path) || error_memory(e, repo, 1024);
        return ok && (*path ||
                      error_set(e, ERR_NO_MODEL,
                                "%s: model: not on this machine, and HF_HUB_OFFLINE is set", repo));
    }
    jobs_init(&p.jobs, o, repo, licence);
    bool ok = pull_into(&p, repo, weights, path, e);
    hub_repo_free(&p.repo);
    jobs_free(&p.jobs);
    return ok;
}

/* --- LAVIS' files ----------------------------------------------------------------------------------------------- */

/* A mirror may be named, as HF_ENDPOINT names one of the hub. */
static const char *lavis_endpoint(void)
{
    const char *v = getenv("BLIP2_LAVIS_ENDPOINT");
    return v && *v ? v : LAVIS_URL;
}

/* There is no checksum: the tag becomes part of the part's name, so that only the same file is continued. */
static bool lavis_file(Jobs *j, const char *name, char *place, Error *e)
{
    Fetch *f = &j->file[0];
    *f = (Fetch){.name = name, .size = -1, .torch = true, .place = place};
    f->url = arena_printf(&j->mem, "%s/%s", lavis_endpoint(), name);
    char *dir = arena_printf(&j->mem, "%.*s", (int)(strrchr(place, '/') - place), place);
    j->n = 1;
    if (!f->url || !dir)
        return error_memory(e, name, 1024);
    if (!layout_dir(dir, e) || !jobs_run(j, look_job, e))
        return false;
    f->part = arena_printf(&j->mem, "%s.%s.incomplete", place, f->tag);
    f->lock = arena_printf(&j->mem, "%s.lock", place);
    return (f->part && f->lock) ? fetch_all(j, dir, e) : error_memory(e, name, 1024);
}

/* Here already as LAVIS or we have left it: whole files only get that name. */
static bool pull_lavis_file(const char *name, const char *licence, const PullOptions *o,
                            char **path, Error *e)
{
    Jobs j = {0};
    if (!lavis_path(name, path))
        return error_memory(e, name, 1024);
    if (hub_offline())
        return file_exists(*path) || error_set(e, ERR_NO_MODEL,
                                               "%s: model: not on this machine, and HF_HUB_OFFLINE "
                                               "is set",
                                               name);
    jobs_init(&j, o, name, licence);
    j.file = mem_calloc(1, sizeof *j.file);
    bool ok = j.file ? lavis_file(&j, name, *path, e) : error_memory(e, name, sizeof *j.file);
    jobs_free(&j);
    return ok;
}

static bool pull_lavis(const HubModel *m, const PullOptions *o, char **path, Error *e)
{
    char *other = NULL;
    bool tokenizer_only = strstr(m->language, "bert") != NULL;
    bool ok = pull_repo(m->language, m->licence, !tokenizer_only, o, &other, e);
    mem_free(other);
    other = NULL;
    ok = ok && (!m->vit || pull_lavis_file(m->vit, m->licence, o, &other, e));
    mem_free(other);
    return ok && pull_lavis_file(m->pth, m->licence, o, path, e);
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static bool unknown(const char *name, Error *e)
{
    const char *near = model_nearest(name);
    return error_set(e, ERR_NO_MODEL,
                     "%s: model: expected a name that blip2 list shows, or OWNER/NAME of a "
                     "repository, got neither%s%s%s",
                     name, near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

bool model_pull(const char *name, const PullOptions *options, char **path, Error *e)
{
    static const PullOptions NONE = {NULL, NULL, 0};
    char in_url[256] = "";
    const PullOptions *o = options ? options : &NONE;
    const char *repo;
    size_t n = hub_repo_in_url(name, &repo);
    if (n && n < sizeof in_url) {
        memcpy(in_url, repo, n);
        name = in_url;
    }
    const HubModel *m = hub_find(name), *pth = hub_find_pth(name);
    bool ok = true;
    *path = NULL;
    if (pth || (m && !m->repo))
        ok = pull_lavis(pth ? pth : m, o, path, e);
    else if (m || hub_is_repo(name))
        ok = pull_repo(m ? m->repo : name, m ? m->licence : NULL, true, o, path, e);
    else if (strcmp(name, "scenes") == 0)
        ok = (*path = model_find(name, e)) != NULL;
    else
        ok = unknown(name, e);
    if (!ok) {
        mem_free(*path);
        *path = NULL;
    }
    return ok;
}
