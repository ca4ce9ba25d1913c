/* debug/data.c: data/sets.h, check.h and prepare.h for the command. */
#include "blip2_debug.h"

#include <string.h>

#include "api/api.h"
#include "data/check.h"
#include "data/libarchive.h"
#include "data/prepare.h"

struct blip2_data_plan {
    DataPlan plan;
};

const char *blip2_debug_archives(void)
{
    Error e = {0};
    const ArchiveCalls *archive = archive_calls("archives", &e);
    return archive ? archive->archive_version_string() : NULL;
}

/* --- the table ----------------------------------------------------------------------------------------- */

bool blip2_data_set_at(size_t i, blip2_data_set *out)
{
    const DataSet *s = data_set_at(i);
    if (s)
        *out = (blip2_data_set){s->name,    s->type ? s->type : "default",
                                s->also,    s->what,
                                s->licence, s->page,
                                s->images,  s->download};
    return s;
}

static blip2_data_need need_of_file(const DataSplit *s, const DataFile *f)
{
    return (blip2_data_need){s->name, false, f->place, f->url, NULL, f->bytes, f->sum};
}

static blip2_data_need need_of_pictures(const DataSplit *s, const DataPictures *p)
{
    return (blip2_data_need){s->name, true, p->archive, p->url, p->page, p->bytes, p->sum};
}

bool blip2_data_need_at(size_t set, size_t i, blip2_data_need *out)
{
    const DataSet *s = data_set_at(set);
    for (size_t k = 0; s && k < DATA_SPLITS_MAX && s->split[k].name; k++) {
        const DataSplit *p = &s->split[k];
        for (size_t f = 0; f < DATA_FILES_MAX && p->file[f].place; f++)
            if (i-- == 0) {
                *out = need_of_file(p, &p->file[f]);
                return true;
            }
        for (size_t f = 0; f < DATA_PICTURES_MAX && p->pictures[f]; f++)
            if (i-- == 0) {
                *out = need_of_pictures(p, p->pictures[f]);
                return true;
            }
    }
    return false;
}

bool blip2_data_find(const char *name, size_t *set, blip2_error *err)
{
    Error e = {0};
    const DataSet *s = name ? data_set(name, &e) : NULL;
    if (!name)
        api_missing("data set", &e);
    if (!s)
        return api_error(err, &e);
    for (*set = 0; data_set_at(*set) != s; ++*set)
        ;
    return true;
}

/* --- check ----------------------------------------------------------------------------------------------- */

static bool pass_on(void *user, const DataFinding *f)
{
    const blip2_data_check_options *o = user;
    blip2_data_finding theirs = {f->split, f->path,   f->picture, (blip2_data_state)f->state,
                                 f->why,   f->records};
    return o->on_finding(o->user, &theirs);
}

static void pass_progress(void *user, size_t done)
{
    const blip2_data_check_options *o = user;
    o->on_progress(o->user, done);
}

bool blip2_data_check(const char *name, const blip2_data_check_options *o, blip2_data_checked *out,
                      blip2_error *err)
{
    Error e = {0};
    DataChecked sums = {0};
    DataCheck how = {o->deep, o->on_finding ? pass_on : NULL, o->on_progress ? pass_progress : NULL,
                     (void *)(uintptr_t)o};
    const DataSet *s = data_set(name, &e);
    char *root = s ? data_root(s, o->root, &e) : NULL;
    bool ok = root && data_check(s, o->split, root, &how, &sums, &e);
    *out = (blip2_data_checked){sums.files,    sums.files_missing,    sums.files_broken,
                                sums.pictures, sums.pictures_missing, sums.pictures_broken};
    mem_free(root);
    return ok || api_error(err, &e);
}

/* --- prepare ------------------------------------------------------------------------------------------------ */

static blip2_data_plan *new_plan(const char *name, const char *root, const DataSet **set, Error *e)
{
    blip2_data_plan *p = NULL;
    *set = data_set(name, e);
    if (*set && !root)
        error_set(e, ERR_USAGE,
                  "%s: root: expected the folder of the data sets (--root DIR), got none", name);
    else if (*set && !(p = mem_calloc(1, sizeof *p)))
        error_memory(e, name, sizeof *p);
    return p;
}

static blip2_data_plan *finish_plan(blip2_data_plan *p, bool ok, const Error *e, blip2_error *err)
{
    if (ok)
        return p;
    blip2_data_plan_free(p);
    api_error(err, e);
    return NULL;
}

blip2_data_plan *blip2_data_plan_files(const char *name, const char *split, const char *root,
                                       blip2_error *err)
{
    Error e = {0};
    const DataSet *s;
    blip2_data_plan *p = new_plan(name, root, &s, &e);
    return finish_plan(
        p, p && data_plan_files(&p->plan, s, split, root, &e) && data_plan_sizes(&p->plan, &e), &e,
        err);
}

blip2_data_plan *blip2_data_plan_pictures(const char *name, const char *split, const char *root,
                                          const char *const *archives, size_t archive_count,
                                          blip2_error *err)
{
    Error e = {0};
    const DataSet *s;
    blip2_data_plan *p = new_plan(name, root, &s, &e);
    return finish_plan(
        p,
        p && data_plan_pictures(&p->plan, s, split, root, archives, archive_count, &e) &&
            data_plan_sizes(&p->plan, &e),
        &e, err);
}

size_t blip2_data_plan_count(const blip2_data_plan *p)
{
    return p->plan.count;
}

blip2_data_step blip2_data_plan_at(const blip2_data_plan *p, size_t i)
{
    const DataStep *s = &p->plan.step[i];
    return (blip2_data_step){(blip2_data_doing)s->doing,
                             s->name,
                             s->from,
                             s->to,
                             s->pictures,
                             s->source && s->source->packing == DATA_SINGLE,
                             s->bytes};
}

typedef struct Listener {
    blip2_pull_fn fn;
    void *user;
} Listener;

static bool pass_pull(void *user, const PullProgress *p)
{
    const Listener *l = user;
    blip2_pull_progress theirs = {p->repository,  p->licence,    p->file,       p->bytes_done,
                                  p->bytes_total, p->files_done, p->files_total};
    return l->fn(l->user, &theirs);
}

bool blip2_data_carry_out(const blip2_data_plan *p, const char *root, blip2_pull_fn on_progress,
                          void *user, blip2_error *err)
{
    Error e = {0};
    Listener l = {on_progress, user};
    return data_carry_out(&p->plan, root, on_progress ? pass_pull : NULL, &l, &e) ||
           api_error(err, &e);
}

void blip2_data_plan_free(blip2_data_plan *p)
{
    if (p)
        data_plan_free(&p->plan);
    mem_free(p);
}
