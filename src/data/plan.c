/* data/plan.c: what is missing, and where it comes from. */
#include "data/prepare.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "data/pathset.h"
#include "data/reader.h"

static bool add_step(DataPlan *p, DataStep step, Error *e)
{
    if (!step.name || !step.from || !step.to || !MEM_GROW(p->step, &p->cap, p->count + 1))
        return error_memory(e, p->set->name, (p->count + 1) * sizeof step);
    p->step[p->count++] = step;
    return true;
}

void data_plan_free(DataPlan *p)
{
    mem_free(p->step);
    arena_free(&p->mem);
    *p = (DataPlan){0};
}

static bool wanted(const DataSplit *s, const char *split)
{
    return !split || strcmp(s->name, split) == 0;
}

/* --- annotations --------------------------------------------------------------------------------------- */

static bool is_planned(const DataPlan *p, const char *to)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->step[i].to, to) == 0)
            return true;
    return false;
}

static bool plan_file(DataPlan *p, const DataFile *f, const char *root, Error *e)
{
    char *path = arena_printf(&p->mem, "%s/%s", root, f->place);
    if (!path)
        return error_memory(e, f->place, 256);
    if (file_exists(path) || is_planned(p, path))
        return true;
    if (!f->url)
        return add_step(
            p, (DataStep){DATA_ASK, f->place, "the program's own files", path, .bytes = -1}, e);
    return add_step(
        p, (DataStep){DATA_DOWNLOAD, f->place, f->url, path, .bytes = f->bytes, .sum = f->sum}, e);
}

bool data_plan_files(DataPlan *p, const DataSet *set, const char *split, const char *root, Error *e)
{
    p->set = set;
    if (split && !data_split(set, split, e))
        return false;
    for (size_t i = 0; i < DATA_SPLITS_MAX && set->split[i].name; i++)
        for (size_t k = 0; k < DATA_FILES_MAX && set->split[i].file[k].place; k++)
            if (wanted(&set->split[i], split) && !plan_file(p, &set->split[i].file[k], root, e))
                return false;
    return true;
}

/* --- pictures -------------------------------------------------------------------------------------------- */

/* Several sources may have the same pictures; they are alternatives. */
typedef struct Missing {
    const DataPictures *source[DATA_PICTURES_MAX * DATA_SPLITS_MAX];
    size_t count[DATA_PICTURES_MAX * DATA_SPLITS_MAX];
    size_t sources;
    PathSet seen;
    const char *root;
} Missing;

static void count_missing(Missing *m, const DataPictures *source)
{
    size_t i = 0;
    while (i < m->sources && m->source[i] != source)
        i++;
    if (i == m->sources) {
        m->source[m->sources] = source;
        m->count[m->sources++] = 0;
    }
    m->count[i]++;
}

static bool plan_single(DataPlan *p, const DataPictures *from, const DataItem *item, Error *e)
{
    return add_step(p,
                    (DataStep){DATA_DOWNLOAD,
                               arena_printf(&p->mem, "%s/%s", p->set->images, item->image_name),
                               arena_printf(&p->mem, "%s%s", from->url, item->image_name),
                               arena_strdup(&p->mem, item->image), 1, -1, NULL, from},
                    e);
}

static bool note_picture(DataPlan *p, Missing *m, const DataSplit *s, const DataItem *item,
                         Error *e)
{
    int fresh = pathset_add(&m->seen, item->image_name);
    bool ok = fresh >= 0 || error_memory(e, item->image, m->seen.size * 8);
    if (!ok || fresh == 0 || file_exists(item->image))
        return ok;
    for (size_t i = 0; ok && i < DATA_PICTURES_MAX && s->pictures[i]; i++) {
        const DataPictures *from = s->pictures[i];
        if (!str_starts(item->image_name, from->begin))
            continue;
        count_missing(m, from);
        ok = from->packing != DATA_SINGLE || plan_single(p, from, item, e);
    }
    return ok;
}

static bool look_for_pictures(DataPlan *p, Missing *m, const DataSplit *s, Error *e)
{
    DataSource source;
    Arena mem = {0};
    bool ok = data_source(&source, p->set, s, m->root, &mem, e), there = ok;
    for (size_t i = 0; ok && i < source.record_files; i++)
        there = there && file_exists(source.records[i]);
    DataReader *r = there ? data_open(&source, (DataShard){0, 1}, e) : NULL;
    ok = ok && (r || !there);
    for (DataItem *item; ok && r && (item = data_next(r, e)); data_item_free(item))
        ok = note_picture(p, m, s, item, e);
    ok = ok && e->code == ERR_NONE;
    data_close(r);
    arena_free(&mem);
    return ok;
}

/* --- archives ---------------------------------------------------------------------------------------------- */

typedef struct Archives {
    const char *const *path;
    size_t count;
} Archives;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool known_archive(const DataSet *set, const char *name)
{
    for (size_t i = 0; i < DATA_SPLITS_MAX && set->split[i].name; i++)
        for (size_t k = 0; k < DATA_PICTURES_MAX && set->split[i].pictures[k]; k++)
            if (*name && strcmp(set->split[i].pictures[k]->archive, name) == 0)
                return true;
    return false;
}

static bool add_name(StrBuf *names, const char *name)
{
    if (*name && !(names->data && strstr(names->data, name)))
        strbuf_printf(names, "%s%s", names->len ? ", " : "", name);
    return !names->failed;
}

static bool unknown_archive(const DataSet *set, const char *path, Error *e)
{
    StrBuf names = {0};
    for (size_t i = 0; i < DATA_SPLITS_MAX && set->split[i].name; i++)
        for (size_t k = 0; k < DATA_PICTURES_MAX && set->split[i].pictures[k]; k++)
            add_name(&names, set->split[i].pictures[k]->archive);
    if (names.len)
        error_set(e, ERR_USAGE, "%s: archive: expected one of %s, by its name, got another", path,
                  strbuf_cstr(&names));
    else
        error_set(e, ERR_USAGE, "%s: archive: expected none, %s has no archives", path, set->name);
    strbuf_free(&names);
    return false;
}

/* The path of the archive, the user's or that of the folder for downloads; *here: it is there. NULL: out of memory. */
static const char *find_archive(DataPlan *p, const char *root, const Archives *named,
                                const char *name, bool *here)
{
    for (size_t i = 0; i < named->count; i++)
        if (strcmp(base_name(named->path[i]), name) == 0) {
            *here = true;
            return named->path[i];
        }
    const char *path = arena_printf(&p->mem, "%s/%s/%s", root, p->set->download, name);
    *here = path && file_exists(path);
    return path;
}

static bool plan_archive(DataPlan *p, const Missing *m, size_t i, const Archives *named, Error *e)
{
    const DataPictures *from = m->source[i];
    bool here;
    const char *path = find_archive(p, m->root, named, from->archive, &here);
    const char *into = arena_printf(&p->mem, "%s/%s", m->root, p->set->images);
    if (!here && !from->url)
        return add_step(
            p, (DataStep){DATA_ASK, from->archive, from->page, path, m->count[i], -1, NULL, from},
            e);
    if (!here && !add_step(p,
                           (DataStep){DATA_DOWNLOAD, from->archive, from->url, path, m->count[i],
                                      from->bytes, from->sum, from},
                           e))
        return false;
    return add_step(
        p, (DataStep){DATA_UNPACK, from->archive, path, into, m->count[i], -1, NULL, from}, e);
}

/* Whether another source with the same pictures is at hand, or comes first. */
static bool other_serves(DataPlan *p, const Missing *m, size_t i, const Archives *named)
{
    bool mine, theirs;
    find_archive(p, m->root, named, m->source[i]->archive, &mine);
    for (size_t k = 0; k < m->sources; k++) {
        if (k == i || strcmp(m->source[k]->begin, m->source[i]->begin) != 0)
            continue;
        find_archive(p, m->root, named, m->source[k]->archive, &theirs);
        if (mine == theirs ? k < i : theirs)
            return true;
    }
    return false;
}

bool data_plan_pictures(DataPlan *p, const DataSet *set, const char *split, const char *root,
                        const char *const *archives, size_t archive_count, Error *e)
{
    Missing m = {.root = root};
    Archives named = {archives, archive_count};
    p->set = set;
    bool ok = !split || data_split(set, split, e);
    for (size_t i = 0; i < archive_count && ok; i++)
        ok = known_archive(set, base_name(archives[i])) || unknown_archive(set, archives[i], e);
    for (size_t i = 0; i < DATA_SPLITS_MAX && set->split[i].name && ok; i++)
        if (wanted(&set->split[i], split))
            ok = look_for_pictures(p, &m, &set->split[i], e);
    for (size_t i = 0; i < m.sources && ok; i++)
        if (m.source[i]->packing == DATA_ARCHIVE && !other_serves(p, &m, i, &named))
            ok = plan_archive(p, &m, i, &named, e);
    pathset_free(&m.seen);
    return ok;
}
