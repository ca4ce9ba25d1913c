/* data/download.c: ckpt/fetch.h over lists of files. */
#include "data/download.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ckpt/jobs.h"
#include "ckpt/layout.h"

/* Thousands of pictures are fetched a few hundred at a time: each has an Error of its own meanwhile. */
enum { BATCH = 256 };

static const char no_tag[] = "untagged";

/* The tag of the server tells one content from another and is part of the part's name. */
static bool look_job(Jobs *j, Fetch *f, Error *e)
{
    Arena own = {0};
    int64_t want = f->size;
    if (fetch_is_here(f))
        return true;
    bool ok = fetch_look(f, &j->remote, &own, e);
    if (ok && want >= 0 && f->size >= 0 && f->size != want)
        ok = error_set(e, ERR_FAILED, "%s: size: expected %lld bytes, the server has %lld", f->name,
                       (long long)want, (long long)f->size);
    pthread_mutex_lock(&j->lock);
    if (ok) {
        f->tag = arena_strdup(&j->mem, f->tag);
        f->part = f->tag ? arena_printf(&j->mem, "%s.%s.incomplete", f->place, f->tag) : NULL;
        ok = f->part || error_memory(e, f->name, 256);
    }
    pthread_mutex_unlock(&j->lock);
    arena_free(&own);
    return ok;
}

static bool fetch_job(Jobs *j, Fetch *f, Error *e)
{
    return fetch_is_here(f) || fetch_file(f, &j->remote, e);
}

static const char *address(Jobs *j, const char *url)
{
    const char *mirror = getenv("BLIP2_DATA_ENDPOINT"), *host = strstr(url, "://");
    return mirror && *mirror && host ? arena_printf(&j->mem, "%s/%s", mirror, host + 3) : url;
}

static bool add(Jobs *j, const Download *d, Error *e)
{
    Fetch *f = &j->file[j->n++];
    char *dir = arena_printf(&j->mem, "%.*s", (int)(strrchr(d->place, '/') - d->place), d->place);
    *f = (Fetch){.name = d->name,
                 .url = address(j, d->url),
                 .place = d->place,
                 .part = d->place,
                 .tag = no_tag,
                 .sum = d->sum,
                 .size = d->bytes};
    return dir && f->url ? layout_dir(dir, e) : error_memory(e, d->name, 512);
}

static bool fetch_all(Jobs *j, Error *e)
{
    j->progress.bytes_total = 0;
    j->progress.files_total = j->n;
    for (size_t i = 0; i < j->n; i++)
        j->progress.bytes_total += j->file[i].size > 0 ? (uint64_t)j->file[i].size : 0;
    char *dir = j->n ? arena_printf(&j->mem, "%.*s",
                                    (int)(strrchr(j->file[0].place, '/') - j->file[0].place),
                                    j->file[0].place)
                     : NULL;
    if (j->n && !dir)
        return error_memory(e, j->progress.repository, 512);
    return j->n == 0 || (layout_room(dir, j->file, j->n, e) && jobs_run(j, fetch_job, e));
}

static bool fetch_batch(const char *what, const Download *list, size_t n, const PullOptions *o,
                        Error *e)
{
    Jobs j = {.remote = {.what = "data set"}};
    jobs_init(&j, o, what, NULL);
    j.file = mem_calloc(n, sizeof *j.file);
    bool ok = j.file || error_memory(e, what, n * sizeof *j.file);
    for (size_t i = 0; i < n && ok; i++)
        ok = add(&j, &list[i], e);
    ok = ok && jobs_run(&j, look_job, e) && fetch_all(&j, e);
    jobs_free(&j);
    return ok;
}

/* --- sizes ---------------------------------------------------------------------------------------------- */

static bool size_job(Jobs *j, Fetch *f, Error *e)
{
    Arena own = {0};
    Error why = {0};
    if (f->size < 0 && !fetch_look(f, &j->remote, &own, &why))
        f->size = -1;
    arena_free(&own);
    return why.code != ERR_MEMORY || error_set(e, why.code, "%s", why.message);
}

bool data_sizes(const char *what, Download *list, size_t n, Error *e)
{
    PullOptions o = {0};
    Jobs j = {.remote = {.what = "data set"}};
    jobs_init(&j, &o, what, NULL);
    j.file = mem_calloc(n ? n : 1, sizeof *j.file);
    bool ok = j.file || error_memory(e, what, n * sizeof *j.file);
    for (size_t i = 0; i < n && ok; i++) {
        const char *url = address(&j, list[i].url);
        j.file[j.n++] =
            (Fetch){.name = list[i].name, .url = url, .tag = no_tag, .size = list[i].bytes};
        ok = url || error_memory(e, what, 256);
    }
    ok = ok && jobs_run(&j, size_job, e);
    for (size_t i = 0; i < n && ok; i++)
        list[i].bytes = j.file[i].size;
    jobs_free(&j);
    return ok;
}

/* --- files ------------------------------------------------------------------------------------------------ */

bool data_download(const char *what, const Download *list, size_t n, PullFn *progress, void *user,
                   Error *e)
{
    PullOptions o = {progress, user, 0};
    for (size_t at = 0; at < n; at += BATCH)
        if (!fetch_batch(what, list + at, n - at < BATCH ? n - at : BATCH, &o, e))
            return false;
    return true;
}
