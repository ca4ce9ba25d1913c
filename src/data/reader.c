/* data/reader.c: mapped annotations and the index of their records. */
#include "data/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/items.h"
#include "data/record.h"

/* A place is the number of the file in the upper bits and the offset in it. */
enum { FILE_SHIFT = 56, WHERE_SIZE = 512, FORGET_EACH = 16 << 20 };
#define OFFSET_MASK ((UINT64_C(1) << FILE_SHIFT) - 1)

struct DataReader {
    DataSource source;
    MappedFile file[DATA_RECORDS_MAX];
    size_t start[DATA_RECORDS_MAX + 1]; /* index of each file's first record */
    uint64_t *place;                    /* of each record */
    size_t count, cap;
    size_t first, end, next;
    size_t forgotten; /* bytes of the file of the last record that were given back */
};

/* --- finding records ------------------------------------------------------------------------------------ */

/* While the index is made: of each record's id a hash. */
typedef struct Seen {
    uint64_t hash;
    uint64_t index;
} Seen;

typedef struct Indexing {
    DataReader *r;
    size_t file, forgotten;
    Seen *seen;
    size_t cap;
} Indexing;

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv. Equal hashes are looked at again. */
static uint64_t hash_text(const char *s)
{
    uint64_t h = 0xcbf29ce484222325;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3;
    return h;
}

static bool note_id(Indexing *x, const DataItem *item, Error *e)
{
    const DataReader *r = x->r;
    if (r->source.repeats)
        return true;
    if (!MEM_GROW(x->seen, &x->cap, r->count + 1))
        return error_memory(e, r->source.records[x->file], (r->count + 1) * sizeof *x->seen);
    x->seen[r->count] = (Seen){hash_text(record_id(&r->source, item)), r->count};
    return true;
}

static bool add_record(void *self, const json_t *record, size_t at, const char *where, Error *e)
{
    Indexing *x = self;
    DataReader *r = x->r;
    DataItem *item =
        record_item(&r->source, json_incref((json_t *)(uintptr_t)record), r->count, where, e);
    bool ok = item && note_id(x, item, e);
    data_item_free(item);
    if (ok && !MEM_GROW(r->place, &r->cap, r->count + 1))
        ok = error_memory(e, where, (r->count + 1) * sizeof *r->place);
    if (!ok)
        return false;
    r->place[r->count++] = (uint64_t)x->file << FILE_SHIFT | at;
    if (at > x->forgotten + FORGET_EACH)
        x->forgotten = file_forget(&r->file[x->file], x->forgotten, at);
    return true;
}

static bool index_file(Indexing *x, size_t i, Error *e)
{
    DataReader *r = x->r;
    const char *path = r->source.records[i];
    const MappedFile *m = &r->file[i];
    x->file = i;
    x->forgotten = 0;
    r->start[i] = r->count;
    return items_places_in((const char *)m->data, m->size, path, NULL, true, add_record, x, e);
}

/* --- ids ------------------------------------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
    const Seen *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static const char *key_of(const DataSource *s)
{
    if (s->form == DATA_QUESTIONS)
        return "question_id";
    return s->id_key ? s->id_key : "image";
}

static size_t file_of(const DataReader *r, size_t index)
{
    return r->place[index] >> FILE_SHIFT;
}

/* The hashes are equal: are the ids? */
static bool differ(const DataReader *r, size_t first, size_t second, Error *e)
{
    DataItem *a = data_item(r, first, e), *b = data_item(r, second, e);
    bool ok = a && b;
    if (ok && strcmp(record_id(&r->source, a), record_id(&r->source, b)) == 0) {
        size_t fa = file_of(r, first), fb = file_of(r, second);
        ok = error_set(e, ERR_FAILED,
                       "%s: item %zu: %s: expected an id once, got %.80s again, of %s%sitem %zu",
                       r->source.records[fb], second - r->start[fb], key_of(&r->source),
                       record_id(&r->source, b), fa == fb ? "" : r->source.records[fa],
                       fa == fb ? "" : " ", first - r->start[fa]);
    }
    data_item_free(a);
    data_item_free(b);
    return ok;
}

/* Which of several pairs is told must not depend on hashes: the one whose second record comes first. */
static bool check_ids(const Indexing *x, Error *e)
{
    const DataReader *r = x->r;
    size_t first = 0, second = SIZE_MAX;
    if (r->source.repeats || !x->seen)
        return true;
    qsort(x->seen, r->count, sizeof *x->seen, by_hash);
    for (size_t i = 1; i < r->count; i++)
        if (x->seen[i].hash == x->seen[i - 1].hash && x->seen[i].index < second) {
            first = x->seen[i - 1].index;
            second = x->seen[i].index;
        }
    return second == SIZE_MAX || differ(r, first, second, e);
}

/* --- opening ----------------------------------------------------------------------------------------------- */

static bool map_files(DataReader *r, Error *e)
{
    const DataSource *s = &r->source;
    if (s->record_files == 0 || s->record_files > DATA_RECORDS_MAX)
        return error_set(e, ERR_USAGE, "%s: annotations: expected 1 to %d files, got %zu", s->name,
                         DATA_RECORDS_MAX, s->record_files);
    for (size_t i = 0; i < s->record_files; i++)
        if (!file_map(&r->file[i], s->records[i], ERR_FAILED, e))
            return false;
    return true;
}

static bool index_all(DataReader *r, Error *e)
{
    Indexing x = {.r = r};
    bool ok = true;
    for (size_t i = 0; i < r->source.record_files && ok; i++)
        ok = index_file(&x, i, e);
    r->start[r->source.record_files] = r->count;
    ok = ok && check_ids(&x, e);
    mem_free(x.seen);
    uint64_t *fits = ok && r->count ? mem_realloc(r->place, r->count * sizeof *fits) : NULL;
    if (fits) {
        r->place = fits;
        r->cap = r->count;
    }
    if (ok && r->count == 0)
        return error_set(e, ERR_FAILED, "%s: %s: expected records, got an empty list",
                         r->source.records[0], r->source.split);
    return ok;
}

static bool take_part(DataReader *r, DataShard s, Error *e)
{
    if (s.parts == 0 || s.part >= s.parts)
        return error_set(e, ERR_USAGE, "shard: expected one of %zu, got %zu", s.parts, s.part + 1);
    size_t each = r->count / s.parts, more = r->count % s.parts;
    r->first = s.part * each + (s.part < more ? s.part : more);
    r->end = r->first + each + (s.part < more);
    r->next = r->first;
    return true;
}

DataReader *data_open(const DataSource *source, DataShard shard, Error *e)
{
    DataReader *r = mem_calloc(1, sizeof *r);
    if (!r) {
        error_memory(e, source->name, sizeof *r);
        return NULL;
    }
    r->source = *source;
    if (map_files(r, e) && index_all(r, e) && take_part(r, shard, e))
        return r;
    data_close(r);
    return NULL;
}

void data_close(DataReader *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < DATA_RECORDS_MAX; i++)
        file_unmap(&r->file[i]);
    mem_free(r->place);
    mem_free(r);
}

bool data_source(DataSource *out, const DataSet *set, const DataSplit *split, const char *root,
                 Arena *mem, Error *e)
{
    *out = (DataSource){.name = set->name,
                        .split = split->name,
                        .form = split->form,
                        .id_key = split->id_key,
                        .text_key = split->text_key,
                        .numbered = split->numbered,
                        .texts_missing = split->texts_missing,
                        .repeats = split->repeats,
                        .images = arena_printf(mem, "%s/%s", root, set->images)};
    bool ok = out->images;
    for (size_t i = 0; i < DATA_FILES_MAX && split->file[i].place && ok; i++) {
        if (split->file[i].role != DATA_RECORDS)
            continue;
        const char *path = arena_printf(mem, "%s/%s", root, split->file[i].place);
        out->records[out->record_files++] = path;
        ok = path;
    }
    return ok || error_memory(e, root, strlen(root) + 256);
}

/* --- reading -------------------------------------------------------------------------------------------------- */

size_t data_count(const DataReader *r)
{
    return r->count;
}

size_t data_first(const DataReader *r)
{
    return r->first;
}

size_t data_end(const DataReader *r)
{
    return r->end;
}

size_t data_index_bytes(const DataReader *r)
{
    return r->cap * sizeof *r->place;
}

DataItem *data_item(const DataReader *r, size_t index, Error *e)
{
    char where[WHERE_SIZE];
    if (index >= r->count) {
        error_set(e, ERR_USAGE, "%s: record: expected one below %zu, got %zu", r->source.name,
                  r->count, index);
        return NULL;
    }
    size_t i = file_of(r, index);
    const MappedFile *m = &r->file[i];
    snprintf(where, sizeof where, "%.400s: item %zu", r->source.records[i], index - r->start[i]);
    json_t *record =
        item_at((const char *)m->data, m->size, r->place[index] & OFFSET_MASK, where, e);
    return record ? record_item(&r->source, record, index, where, e) : NULL;
}

/* The pages of what lies behind the last record count as memory of ours until they are given back. */
static void forget_behind(DataReader *r, size_t index)
{
    size_t at = r->place[index] & OFFSET_MASK;
    if (index == r->start[file_of(r, index)])
        r->forgotten = 0;
    if (at > r->forgotten + FORGET_EACH)
        r->forgotten = file_forget(&r->file[file_of(r, index)], r->forgotten, at);
}

DataItem *data_next(DataReader *r, Error *e)
{
    if (r->next >= r->end)
        return NULL;
    DataItem *item = data_item(r, r->next, e);
    if (item)
        forget_behind(r, r->next++);
    return item;
}

void data_seek(DataReader *r, size_t index)
{
    r->next = index < r->first ? r->first : index > r->end ? r->end : index;
    r->forgotten = 0;
}

/* --- small things ---------------------------------------------------------------------------------------------- */

bool data_shard(DataShard *out, const char *text, Error *e)
{
    unsigned part = 0, parts = 0;
    int n = 0;
    bool plain = text[strspn(text, "0123456789/")] == 0 && strlen(text) < 20;
    bool ok = plain && sscanf(text, "%6u/%6u%n", &part, &parts, &n) == 2 && !text[n] && part >= 1 &&
              part <= parts;
    *out = ok ? (DataShard){part - 1, parts} : (DataShard){0, 1};
    return ok || error_set(e, ERR_USAGE, "shard: expected I/N, I from 1 to N, got %.40s", text);
}

bool data_id_whole(const char *id, int64_t *whole)
{
    enum { DIGITS_MAX = 18 };
    const char *digits = id + (*id == '-');
    size_t n = strspn(digits, "0123456789"), zeros = strspn(digits, "0");
    if (n == 0 || digits[n] || n - zeros > DIGITS_MAX)
        return false;
    *whole = strtoll(id, NULL, 10);
    return true;
}
