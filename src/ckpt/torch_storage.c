/* ckpt/torch_storage.c: the zip archive, and the row of pickles before it. */
#include "ckpt/torch_storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/bytes.h"

/* --- what a storage is named by ------------------------------------------------------------------- */

bool torch_type(const Pickle *p, PickleValue global, DType *t)
{
    static const struct {
        const char *storage, *dtype;
        DType is;
    } TYPES[] = {{"FloatStorage", "float32", F32},      {"HalfStorage", "float16", F16},
                 {"BFloat16Storage", "bfloat16", BF16}, {"DoubleStorage", "float64", F64},
                 {"LongStorage", "int64", I64},         {"IntStorage", "int32", I32},
                 {"ShortStorage", "int16", I16},        {"CharStorage", "int8", I8},
                 {"ByteStorage", "uint8", U8},          {"BoolStorage", "bool", BOOL}};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (pickle_is_global(p, global, "torch", TYPES[i].storage) ||
            pickle_is_global(p, global, "torch", TYPES[i].dtype)) {
            *t = TYPES[i].is;
            return true;
        }
    return false;
}

/* `got` is of the pickle p. */
static bool id_fail(const TorchFile *f, const Pickle *p, const char *part, const char *expected,
                    PickleValue got)
{
    char buf[200];
    return error_set(f->e, ERR_BAD_MODEL, "%s: storage: %s: expected %s, got %s", f->path, part,
                     expected, pickle_describe(p, got, buf, sizeof buf));
}

static bool read_key(const TorchFile *f, const Pickle *p, PickleValue key, TorchStorage *s)
{
    bool fits = key.kind == PICKLE_TEXT && key.n > 0 && key.n <= TORCH_KEY_MAX;
    for (size_t i = 0; fits && i < key.n; i++)
        fits = key.text[i] > ' ' && key.text[i] < 0x7f && key.text[i] != '/';
    if (!fits)
        return id_fail(f, p, "name", "a short plain name", key);
    memcpy(s->key, key.text, key.n);
    s->key[key.n] = 0;
    return true;
}

static bool read_type(const TorchFile *f, TorchStorage *s, PickleValue type)
{
    const Pickle *p = &f->pickle;
    s->untyped = pickle_is_global(p, type, "torch.storage", "UntypedStorage");
    s->dtype = U8;
    return s->untyped || torch_type(p, type, &s->dtype) ||
           id_fail(f, p, "type", "FloatStorage, HalfStorage, BFloat16Storage or another known one",
                   type);
}

/* ("storage", type, name, place, elements), before 1.6 with a sixth: of what it is a part. */
static bool read_id(const TorchFile *f, PickleValue v, TorchStorage *s)
{
    const Pickle *p = &f->pickle;
    PickleValue id = pickle_item(p, v, 0), n = pickle_item(p, id, 4), part = pickle_item(p, id, 5);
    *s = (TorchStorage){.dtype = U8};
    if (id.kind != PICKLE_TUPLE || !pickle_is_text(pickle_item(p, id, 0), "storage"))
        return id_fail(f, p, "name", "a tuple that begins with \"storage\"", id);
    if (!read_type(f, s, pickle_item(p, id, 1)) || !read_key(f, p, pickle_item(p, id, 2), s))
        return false;
    if (n.kind != PICKLE_INT || n.number < 0)
        return id_fail(f, p, s->key, "a number of elements", n);
    if (part.kind != PICKLE_NOTHING && part.kind != PICKLE_NONE)
        return id_fail(f, p, s->key, "a storage of its own", part);
    s->bytes = dtype_bytes(s->dtype, (uint64_t)n.number);
    return s->bytes <= INT64_MAX || id_fail(f, p, s->key, "fewer elements", n);
}

static bool bytes_fail(const TorchFile *f, const TorchStorage *s, uint64_t got)
{
    return error_set(f->e, ERR_BAD_MODEL,
                     "%s: storage \"%s\": expected %llu bytes as its type and length say, got %llu",
                     f->path, s->key, (unsigned long long)s->bytes, (unsigned long long)got);
}

/* --- the zip archive ----------------------------------------------------------------------------- */

/* All members lie in one folder, whatever its name, and one of them is data.pkl. */
static const ZipMember *find_folder(TorchFile *f)
{
    static const char PICKLE[] = "/data.pkl";
    const size_t n = sizeof PICKLE - 1;
    for (size_t i = 0; i < f->zip.n; i++) {
        const ZipMember *m = &f->zip.member[i];
        if (m->len < n || memcmp(m->name + m->len - n, PICKLE, n) != 0)
            continue;
        f->folder = m->name;
        f->folder_n = m->len - n + 1;
        return m;
    }
    error_set(f->e, ERR_BAD_MODEL,
              "%s: zip: expected a folder with data.pkl, as torch.save writes it, got none",
              f->path);
    return NULL;
}

static bool check_order(const TorchFile *f)
{
    const ZipMember *m = zip_find(&f->zip, f->folder, f->folder_n, "byteorder");
    if (!m)
        return true;
    const unsigned char *p = zip_data(&f->zip, m, f->e);
    if (!p)
        return false;
    return (m->size == 6 && memcmp(p, "little", 6) == 0) ||
           error_set(f->e, ERR_BAD_MODEL, "%s: entry \"byteorder\": expected little, got %.*s",
                     f->path, m->size < 20 ? (int)m->size : 20, (const char *)p);
}

static bool open_zip(TorchFile *f)
{
    if (!zip_open(&f->zip, f->data, f->size, f->path, f->e))
        return false;
    const ZipMember *m = find_folder(f);
    const unsigned char *p = m ? zip_data(&f->zip, m, f->e) : NULL;
    return p && check_order(f) && pickle_read(&f->pickle, p, m->size, f->path, "data.pkl", f->e);
}

static bool find_in_zip(TorchFile *f, TorchStorage *s)
{
    char name[TORCH_KEY_MAX + 8];
    snprintf(name, sizeof name, "data/%s", s->key);
    const ZipMember *m = zip_find(&f->zip, f->folder, f->folder_n, name);
    if (!m)
        return error_set(f->e, ERR_BAD_MODEL, "%s: storage \"%s\": expected the entry %s, got none",
                         f->path, s->key, name);
    s->data = zip_data(&f->zip, m, f->e);
    return s->data && (m->size == s->bytes || bytes_fail(f, s, m->size));
}

/* --- the row of pickles: magic number, protocol, system, what was saved, names of storages; bytes ---- */

static bool next_pickle(const TorchFile *f, size_t *at, const char *object, Pickle *p)
{
    bool ok = pickle_read(p, f->data + *at, f->size - *at, f->path, object, f->e);
    *at += p->bytes;
    return ok;
}

static bool is_magic(const Pickle *p)
{
    static const unsigned char MAGIC[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    return p->top.kind == PICKLE_BIG && p->top.n == sizeof MAGIC - 1 &&
           memcmp(p->top.text, MAGIC, sizeof MAGIC - 1) == 0;
}

static bool is_protocol(const Pickle *p)
{
    return p->top.kind == PICKLE_INT && p->top.number == 1001;
}

static bool is_little(const Pickle *p)
{
    PickleValue v = pickle_get(p, p->top, "little_endian");
    return v.kind == PICKLE_BOOL && v.number;
}

static bool read_head(const TorchFile *f, size_t *at)
{
    static const struct {
        const char *object, *expected;
        bool (*is)(const Pickle *p);
    } HEAD[] = {{"magic number", "that of torch.save", is_magic},
                {"protocol", "1001", is_protocol},
                {"system", "a little-endian one", is_little}};
    bool ok = true;
    for (int i = 0; ok && i < 3; i++) {
        char buf[200];
        Pickle p;
        ok = next_pickle(f, at, HEAD[i].object, &p);
        if (ok && !HEAD[i].is(&p))
            ok = error_set(f->e, ERR_BAD_MODEL, "%s: %s: expected %s, got %s", f->path,
                           HEAD[i].object, HEAD[i].expected,
                           pickle_describe(&p, p.top, buf, sizeof buf));
        pickle_free(&p);
    }
    return ok;
}

static int by_key(const void *x, const void *y)
{
    return strcmp(((const TorchStorage *)x)->key, ((const TorchStorage *)y)->key);
}

static TorchStorage *find_key(const TorchFile *f, const char *key)
{
    TorchStorage want;
    snprintf(want.key, sizeof want.key, "%s", key);
    return f->n ? bsearch(&want, f->storage, f->n, sizeof want, by_key) : NULL;
}

/* Every storage that anything in the pickle names, once: only there stands how long each is. */
static bool list_storages(TorchFile *f)
{
    for (size_t i = 0; i < f->pickle.n; i++) {
        TorchStorage s;
        PickleValue v = {.kind = PICKLE_PERSISTENT, .node = (uint32_t)i};
        if (f->pickle.node[i].kind != PICKLE_PERSISTENT)
            continue;
        if (!read_id(f, v, &s))
            return false;
        if (!MEM_GROW(f->storage, &f->cap, f->n + 1))
            return error_memory(f->e, f->path, (f->n + 1) * sizeof s);
        f->storage[f->n++] = s;
    }
    if (f->n)
        qsort(f->storage, f->n, sizeof *f->storage, by_key);
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++) {
        const TorchStorage *last = kept ? &f->storage[kept - 1] : NULL, *s = &f->storage[i];
        if (!last || by_key(last, s) != 0)
            f->storage[kept++] = *s;
        else if (last->dtype != s->dtype || last->bytes != s->bytes)
            return bytes_fail(f, last, s->bytes);
    }
    f->n = kept;
    return true;
}

/* One storage: how many elements it has, in 8 bytes, and these. */
static bool place_storage(const TorchFile *f, TorchStorage *s, size_t *at)
{
    size_t left = f->size - *at;
    uint64_t count = left >= 8 ? little(f->data + *at, 8) : 0;
    uint64_t bytes = dtype_bytes(s->dtype, count);
    if (left < 8 || s->bytes > left - 8)
        return error_set(f->e, ERR_BAD_MODEL,
                         "%s: storage \"%s\": expected %llu bytes, got %zu: truncated?", f->path,
                         s->key, (unsigned long long)s->bytes + 8, left);
    if (bytes != s->bytes)
        return bytes_fail(f, s, bytes);
    s->data = f->data + *at + 8;
    *at += 8 + (size_t)bytes;
    return true;
}

static bool place_storages(const TorchFile *f, const Pickle *keys, size_t *at)
{
    TorchStorage name = {{0}, U8, false, 0, NULL};
    if (keys->top.kind != PICKLE_LIST)
        return id_fail(f, keys, "names", "a list of them", keys->top);
    for (size_t i = 0; i < pickle_count(keys, keys->top); i++) {
        if (!read_key(f, keys, pickle_item(keys, keys->top, i), &name))
            return false;
        TorchStorage *s = find_key(f, name.key);
        if (!s || s->data)
            return error_set(f->e, ERR_BAD_MODEL, "%s: storage \"%s\": expected once, got it %s",
                             f->path, name.key, s ? "twice" : "though nothing uses it");
        if (!place_storage(f, s, at))
            return false;
    }
    return *at == f->size || error_set(f->e, ERR_BAD_MODEL,
                                       "%s: file: expected %zu bytes as its storages say, got %zu",
                                       f->path, *at, f->size);
}

static bool open_pickles(TorchFile *f)
{
    size_t at = 0;
    Pickle keys = {.node = NULL};
    bool ok = read_head(f, &at) && next_pickle(f, &at, "pickle", &f->pickle) && list_storages(f) &&
              next_pickle(f, &at, "storages", &keys) && place_storages(f, &keys, &at);
    pickle_free(&keys);
    return ok;
}

static bool find_in_row(TorchFile *f, TorchStorage *s)
{
    const TorchStorage *there = find_key(f, s->key);
    if (there && there->data)
        s->data = there->data;
    return s->data || error_set(f->e, ERR_BAD_MODEL, "%s: storage \"%s\": expected, but missing",
                                f->path, s->key);
}

/* --- either -------------------------------------------------------------------------------------- */

bool torch_open(TorchFile *f, const unsigned char *data, size_t size, const char *path, Error *e)
{
    *f = (TorchFile){.data = data, .size = size, .path = path, .e = e};
    return size > 0 && data[0] == 'P' ? open_zip(f) : open_pickles(f);
}

void torch_close(TorchFile *f)
{
    zip_close(&f->zip);
    pickle_free(&f->pickle);
    mem_free(f->storage);
    *f = (TorchFile){0};
}

bool torch_find(TorchFile *f, PickleValue v, TorchStorage *s)
{
    return read_id(f, v, s) && (f->folder ? find_in_zip(f, s) : find_in_row(f, s));
}
