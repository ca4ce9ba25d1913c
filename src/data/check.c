/* data/check.c: annotations first, then what they name. */
#include "data/check.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/items.h"
#include "base/json.h"
#include "data/pathset.h"
#include "data/reader.h"
#include "image/image.h"

enum { LIST_BYTES_MAX = 64 << 20, HASH_EACH = 1 << 22 };

typedef struct Checking {
    const DataSet *set;
    const DataSplit *split;
    const char *root;
    const DataCheck *how;
    DataChecked *out;
    size_t records;   /* of the annotation that is looked at */
    size_t done;      /* pictures, for progress */
    PathSet pictures; /* of this split */
} Checking;

/* Memory that ends and a reader who has had enough end the check; all else is a finding. */
static bool ends(const Error *why, Error *e)
{
    return (why->code == ERR_MEMORY || why->code == ERR_STOPPED) &&
           !error_set(e, why->code, "%s", why->message);
}

static bool tell(Checking *c, const DataFinding *f, Error *e)
{
    DataFinding found = *f;
    found.split = c->split->name;
    return !c->how->tell || c->how->tell(c->how->user, &found) ||
           error_set(e, ERR_STOPPED, "%s: stopped", c->set->name);
}

static bool tell_broken(Checking *c, const char *path, bool picture, const Error *why, Error *e)
{
    *(picture ? &c->out->pictures_broken : &c->out->files_broken) += 1;
    return tell(
        c,
        &(DataFinding){.path = path, .picture = picture, .state = DATA_BROKEN, .why = why->message},
        e);
}

static bool tell_missing(Checking *c, const char *path, bool picture, Error *e)
{
    *(picture ? &c->out->pictures_missing : &c->out->files_missing) += 1;
    return tell(c, &(DataFinding){.path = path, .picture = picture, .state = DATA_MISSING}, e);
}

/* --- annotations -------------------------------------------------------------------------------------- */

static bool count_item(void *self, const json_t *item, const char *where, Error *e)
{
    ++*(size_t *)self;
    return json_is_object(item) || error_set(e, ERR_FAILED, "%s: expected an object", where);
}

static bool read_list(const char *path, Error *e)
{
    json_t *doc = json_load_path(path, LIST_BYTES_MAX, ERR_FAILED, e);
    bool ok = doc && (json_is_array(doc) ||
                      error_set(e, ERR_FAILED, "%s: expected a list, got something else", path));
    json_decref(doc);
    return ok;
}

static bool read_records(Checking *c, const char *path, Error *e)
{
    Arena mem = {0};
    DataSource s;
    DataReader *r = NULL;
    if (data_source(&s, c->set, c->split, c->root, &mem, e)) {
        s.records[0] = path;
        s.record_files = 1;
        r = data_open(&s, (DataShard){0, 1}, e);
    }
    c->records = r ? data_count(r) : 0;
    data_close(r);
    arena_free(&mem);
    return r;
}

static bool read_annotation(Checking *c, const DataFile *f, const char *path, Error *e)
{
    c->records = 0;
    switch (f->role) {
    case DATA_RECORDS: return read_records(c, path, e);
    case DATA_ANSWERS: return read_list(path, e);
    case DATA_VQA_ASKED: return items_each(path, "questions", true, count_item, &c->records, e);
    case DATA_VQA_TRUTH:
    case DATA_COCO_TRUTH: return items_each(path, "annotations", true, count_item, &c->records, e);
    }
    return true;
}

static bool right_sum(const DataFile *f, const char *path, Error *e)
{
    MappedFile m;
    Hash h;
    char got[HASH_TEXT];
    if (!f->sum)
        return true;
    if (!file_map(&m, path, ERR_FAILED, e))
        return false;
    hash_begin(&h, strlen(f->sum) == 32 ? HASH_MD5 : HASH_SHA256);
    for (size_t at = 0, done = 0; at < m.size; at += HASH_EACH) {
        hash_add(&h, m.data + at, m.size - at < HASH_EACH ? m.size - at : HASH_EACH);
        done = file_forget(&m, done, at);
    }
    hash_end(&h, got);
    file_unmap(&m);
    return strcmp(got, f->sum) == 0 ||
           error_set(e, ERR_FAILED, "%s: checksum: expected %s, got %s", path, f->sum, got);
}

static bool check_file(Checking *c, const DataFile *f, Error *e)
{
    Error why = {0};
    char *path = path_join(c->root, f->place);
    bool ok;
    if (!path)
        return error_memory(e, f->place, 256);
    c->out->files++;
    if (!file_exists(path))
        ok = tell_missing(c, path, false, e);
    else if (read_annotation(c, f, path, &why) && (!c->how->deep || right_sum(f, path, &why)))
        ok = tell(c, &(DataFinding){.path = path, .state = DATA_GOOD, .records = c->records}, e);
    else
        ok = !ends(&why, e) && tell_broken(c, path, false, &why, e);
    mem_free(path);
    return ok;
}

/* --- pictures ------------------------------------------------------------------------------------------- */

static bool decode(const char *path, Error *e)
{
    Picture p = {0};
    bool ok = picture_load(&p, path, e);
    picture_free(&p);
    return ok;
}

static bool check_picture(Checking *c, const DataItem *item, Error *e)
{
    struct stat st;
    Error why = {0};
    int fresh = pathset_add(&c->pictures, item->image_name);
    if (fresh < 0)
        return error_memory(e, item->image, c->pictures.size * 8);
    if (fresh == 0)
        return true;
    c->out->pictures++;
    c->done++;
    if (c->how->progress)
        c->how->progress(c->how->user, c->done);
    if (stat(item->image, &st) != 0)
        return tell_missing(c, item->image, true, e);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        error_set(&why, ERR_FAILED, "%s: picture: expected a file, got %s", item->image,
                  S_ISREG(st.st_mode) ? "an empty one" : "something else");
    if (!why.code && (!c->how->deep || decode(item->image, &why)))
        return true;
    return !ends(&why, e) && tell_broken(c, item->image, true, &why, e);
}

/* Of the annotations that could be read; what is wrong with the others was told. */
static bool check_pictures(Checking *c, Error *e)
{
    Arena mem = {0};
    DataSource s;
    Error why = {0};
    bool ok = data_source(&s, c->set, c->split, c->root, &mem, e);
    for (size_t i = 0; ok && i < s.record_files; i++) {
        DataSource one = s;
        one.records[0] = s.records[i];
        one.record_files = 1;
        why = (Error){0};
        DataReader *r = data_open(&one, (DataShard){0, 1}, &why);
        ok = r || !ends(&why, e);
        for (DataItem *item; ok && r && (item = data_next(r, e)); data_item_free(item))
            ok = check_picture(c, item, e);
        ok = ok && e->code == ERR_NONE;
        data_close(r);
    }
    arena_free(&mem);
    pathset_free(&c->pictures);
    return ok;
}

/* --- all of it ------------------------------------------------------------------------------------------- */

static bool check_split(Checking *c, Error *e)
{
    for (size_t i = 0; i < DATA_FILES_MAX && c->split->file[i].place; i++)
        if (!check_file(c, &c->split->file[i], e))
            return false;
    return check_pictures(c, e);
}

bool data_check(const DataSet *set, const char *split, const char *root, const DataCheck *how,
                DataChecked *out, Error *e)
{
    Checking c = {.set = set, .root = root, .how = how, .out = out};
    *out = (DataChecked){0};
    if (split && !data_split(set, split, e))
        return false;
    if (!file_is_dir(root))
        return error_set(e, ERR_FAILED, "%s: expected a folder, got %s", root,
                         file_exists(root) ? "something else" : "nothing");
    for (size_t i = 0; i < DATA_SPLITS_MAX && set->split[i].name; i++) {
        c.split = &set->split[i];
        if ((!split || strcmp(split, c.split->name) == 0) && !check_split(&c, e))
            return false;
    }
    return true;
}
