/* ckpt/safetensors.c: the header of a file, checked against its size. */
#include "ckpt/safetensors.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/kind.h"
#include "ckpt/scan.h"

/* A tensor whose place in the file is not yet known to be right. */
typedef struct Entry {
    CkptTensor t;
    uint64_t begin, end;
} Entry;

typedef struct Entries {
    Entry *v;
    size_t n, cap;
} Entries;

/* --- one entry: {"dtype":"F32","shape":[2,3],"data_offsets":[0,24]} ------------------------------ */

static bool entry_fail(const Scan *s, const char *what, const char *got)
{
    return error_set(s->e, ERR_BAD_MODEL, "%s: tensor \"%.200s\": %s \"%.100s\"", s->file,
                     s->tensor, what, got);
}

static bool read_dtype(Scan *s, Entry *t)
{
    char name[64];
    if (!scan_string(s, name, sizeof name))
        return false;
    return dtype_from_name(name, &t->t.dtype) ||
           entry_fail(s, "dtype: expected F32, F16, BF16 or another known type, got", name);
}

static bool read_shape(Scan *s, Entry *t)
{
    if (!scan_token(s, '['))
        return false;
    if (scan_accept(s, ']'))
        return true;
    do {
        uint64_t extent;
        if (!scan_count(s, &extent))
            return false;
        if (t->t.rank == CKPT_MAX_RANK)
            return error_set(s->e, ERR_BAD_MODEL,
                             "%s: tensor \"%.200s\": shape: expected at most %d extents, got more",
                             s->file, s->tensor, CKPT_MAX_RANK);
        t->t.shape[t->t.rank++] = (int64_t)extent;
    } while (scan_accept(s, ','));
    return scan_token(s, ']');
}

static bool read_offsets(Scan *s, Entry *t)
{
    return scan_token(s, '[') && scan_count(s, &t->begin) && scan_token(s, ',') &&
           scan_count(s, &t->end) && scan_token(s, ']');
}

static bool read_member(Scan *s, Entry *t, unsigned *seen)
{
    static const struct {
        const char *key;
        bool (*read)(Scan *, Entry *);
    } MEMBERS[] = {{"dtype", read_dtype}, {"shape", read_shape}, {"data_offsets", read_offsets}};
    char key[64];
    if (!scan_string(s, key, sizeof key) || !scan_token(s, ':'))
        return false;
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(key, MEMBERS[i].key) != 0)
            continue;
        if (*seen & 1u << i)
            return entry_fail(s, "duplicate key", key);
        *seen |= 1u << i;
        return MEMBERS[i].read(s, t);
    }
    return entry_fail(s, "expected dtype, shape and data_offsets, got key", key);
}

/* The bytes that shape and type ask for, against the bytes that the offsets give. */
static bool check_size(const Scan *s, Entry *t)
{
    size_t count = 1;
    bool over = false;
    for (int i = 0; i < t->t.rank; i++)
        over |= __builtin_mul_overflow(count, (size_t)t->t.shape[i], &count);
    size_t bytes = dtype_bytes(t->t.dtype, count);
    if (over || bytes > INT64_MAX)
        return error_set(s->e, ERR_BAD_MODEL,
                         "%s: tensor \"%.200s\": shape: expected a size below 2^63 bytes, got more",
                         s->file, s->tensor);
    if (t->begin > t->end || t->end - t->begin != bytes)
        return error_set(s->e, ERR_BAD_MODEL,
                         "%s: tensor \"%.200s\": data_offsets [%llu, %llu]: expected %llu bytes as "
                         "shape and %s say, got %lld",
                         s->file, s->tensor, (unsigned long long)t->begin,
                         (unsigned long long)t->end, (unsigned long long)bytes,
                         dtype_name(t->t.dtype), (long long)(t->end - t->begin));
    t->t.bytes = bytes;
    return true;
}

static bool read_entry(Scan *s, Entry *t)
{
    unsigned seen = 0;
    if (!scan_token(s, '{'))
        return false;
    if (!scan_accept(s, '}')) {
        do {
            if (!read_member(s, t, &seen))
                return false;
        } while (scan_accept(s, ','));
        if (!scan_token(s, '}'))
            return false;
    }
    if (seen != 7)
        return entry_fail(s, "expected dtype, shape and data_offsets, missing:",
                          !(seen & 1)   ? "dtype"
                          : !(seen & 2) ? "shape"
                                        : "data_offsets");
    return check_size(s, t);
}

/* --- the header -------------------------------------------------------------------------------- */

/* A string of any length, into the list's memory. It is no longer unescaped than it is in the file. */
static const char *keep_string(Scan *s, Arena *mem, size_t *n)
{
    const unsigned char *start = s->p;
    if (!scan_string(s, NULL, 0))
        return NULL;
    size_t room = (size_t)(s->p - start);
    char *text = arena_alloc(mem, room);
    s->p = start;
    if (!text)
        error_memory(s->e, s->file, room);
    if (!text || !scan_string(s, text, room))
        return NULL;
    *n = strlen(text);
    return text;
}

static bool keep_text(Scan *s, const char *key, TensorList *list)
{
    CkptText t = {.key = arena_strdup(&list->names, key)};
    if (!t.key || !MEM_GROW(list->text, &list->text_cap, list->texts + 1))
        return error_memory(s->e, s->file, strlen(key));
    for (size_t i = 0; i < list->texts; i++)
        if (strcmp(list->text[i].key, key) == 0)
            return error_set(s->e, ERR_BAD_MODEL, "%s: header: __metadata__: duplicate key \"%s\"",
                             s->file, key);
    t.text = keep_string(s, &list->names, &t.size);
    if (t.text)
        list->text[list->texts++] = t;
    return t.text != NULL;
}

/* __metadata__: strings, of which ours count, but the file must be what it claims. */
static bool read_metadata(Scan *s, TensorList *list)
{
    static const char OURS[] = "blip2.";
    if (!scan_token(s, '{'))
        return false;
    if (scan_accept(s, '}'))
        return true;
    do {
        char key[TENSOR_NAME_MAX + 1];
        const unsigned char *start = s->p;
        if (!scan_string(s, NULL, 0))
            return false;
        bool ours = (size_t)(s->p - start) < sizeof key;
        if (ours) {
            s->p = start;
            ours = scan_string(s, key, sizeof key) && strncmp(key, OURS, sizeof OURS - 1) == 0;
        }
        if (!scan_token(s, ':') || !(ours ? keep_text(s, key, list) : scan_string(s, NULL, 0)))
            return false;
    } while (scan_accept(s, ','));
    return scan_token(s, '}');
}

static bool entries_push(Entries *es, const Entry *t, const Scan *s)
{
    if (es->n == TENSORS_MAX)
        return error_set(s->e, ERR_BAD_MODEL, "%s: header: expected at most %d tensors, got more",
                         s->file, TENSORS_MAX);
    if (!MEM_GROW(es->v, &es->cap, es->n + 1))
        return error_memory(s->e, s->file, (es->n + 1) * sizeof *es->v);
    es->v[es->n++] = *t;
    return true;
}

static bool read_tensor(Scan *s, const char *name, Entries *es, Arena *names)
{
    Entry t = {.t = {.name = arena_strdup(names, name), .file = s->file}};
    if (!t.t.name)
        return error_memory(s->e, s->file, strlen(name));
    s->tensor = name;
    bool ok = read_entry(s, &t) && entries_push(es, &t, s);
    s->tensor = NULL;
    return ok;
}

static bool read_header(Scan *s, Entries *es, TensorList *list)
{
    char name[TENSOR_NAME_MAX + 1];
    bool metadata = false;
    if (s->start == s->end || *s->start != '{' || !scan_token(s, '{'))
        return scan_fail(s, "'{'");
    if (scan_accept(s, '}'))
        return scan_end(s);
    do {
        if (!scan_string(s, name, sizeof name) || !scan_token(s, ':'))
            return false;
        if (strcmp(name, "__metadata__") != 0) {
            if (!read_tensor(s, name, es, &list->names))
                return false;
        } else if (metadata) {
            return error_set(s->e, ERR_BAD_MODEL, "%s: header: duplicate key \"__metadata__\"",
                             s->file);
        } else {
            metadata = true;
            if (!read_metadata(s, list))
                return false;
        }
    } while (scan_accept(s, ','));
    return scan_token(s, '}') && scan_end(s);
}

/* --- the buffer -------------------------------------------------------------------------------- */

static int by_place(const void *x, const void *y)
{
    const Entry *a = x, *b = y;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

static bool place_fail(const Entry *t, Error *e, const char *what, uint64_t n)
{
    return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%.200s\": data_offsets [%llu, %llu]: %s %llu",
                     t->t.file, t->t.name, (unsigned long long)t->begin, (unsigned long long)t->end,
                     what, (unsigned long long)n);
}

/* Every tensor inside the buffer: the usual failure is a download that stopped. */
static bool check_inside(const Entries *es, uint64_t header, uint64_t buffer, Error *e)
{
    uint64_t most = 0;
    const Entry *out = NULL;
    for (size_t i = 0; i < es->n; i++) {
        if (!out && es->v[i].end > buffer)
            out = &es->v[i];
        if (es->v[i].end > most)
            most = es->v[i].end;
    }
    if (!out)
        return true;
    return error_set(e, ERR_BAD_MODEL,
                     "%s: tensor \"%.200s\": data_offsets [%llu, %llu]: beyond the buffer of %llu "
                     "bytes: expected a file of %llu bytes, got %llu: truncated?",
                     out->t.file, out->t.name, (unsigned long long)out->begin,
                     (unsigned long long)out->end, (unsigned long long)buffer,
                     (unsigned long long)(header + most), (unsigned long long)(header + buffer));
}

/* The tensors cover the buffer exactly, once: so says the format, and so no bytes can hide. */
static bool check_cover(Entries *es, uint64_t buffer, const char *path, Error *e)
{
    uint64_t at = 0;
    if (es->n)
        qsort(es->v, es->n, sizeof *es->v, by_place);
    for (size_t i = 0; i < es->n; i++) {
        const Entry *t = &es->v[i];
        if (t->begin < at)
            return place_fail(t, e, "overlaps the tensor before it, which ends at", at);
        if (t->begin > at)
            return place_fail(t, e, "expected to begin where the tensor before it ends, at", at);
        at = t->end;
    }
    if (at == buffer)
        return true;
    return error_set(e, ERR_BAD_MODEL,
                     "%s: file: expected a buffer of %llu bytes as the tensors say, got %llu", path,
                     (unsigned long long)at, (unsigned long long)buffer);
}

static bool publish(TensorList *list, const Entries *es, const unsigned char *buffer,
                    const char *path, Error *e)
{
    size_t first = list->n;
    for (size_t i = 0; i < es->n; i++) {
        CkptTensor t = es->v[i].t;
        t.data = buffer + es->v[i].begin;
        if (!tensors_push(list, &t, path, e))
            return false;
    }
    return tensors_close(list, first, path, e);
}

/* What a file is that is no safetensors file; NULL: not known. */
static const char *weights_kind(const unsigned char *data, size_t size)
{
    enum { ANSWER_MAX = 4096 };
    size_t text = 0;
    const char *kind = file_kind(data, size);
    if (kind)
        return kind;
    while (text < size && text <= ANSWER_MAX && (data[text] >= 0x20 || isspace(data[text])))
        text++;
    return text == size ? "a text, as a server answers (download it again)" : NULL;
}

/* The length of the header, or 0 with an error: no valid header is empty. */
static uint64_t header_length(const unsigned char *data, size_t size, const char *path, Error *e)
{
    uint64_t n = 0;
    const char *kind = size > 8 && data[8] == '{' ? NULL : weights_kind(data, size);
    if (kind)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: file: expected safetensors or PyTorch weights, got %s", path, kind);
    if (size < 8)
        return error_set(e, ERR_BAD_MODEL, "%s: header: expected at least 8 bytes, got %zu", path,
                         size);
    for (int i = 7; i >= 0; i--)
        n = n << 8 | data[i];
    if (n == 0 || n > SAFETENSORS_HEADER_MAX)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: header: expected a length in [1, %d], got %llu: not a safetensors "
                         "file?",
                         path, SAFETENSORS_HEADER_MAX, (unsigned long long)n);
    if (n > size - 8)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: header: expected a file of at least %llu bytes, got %zu: truncated?",
                         path, (unsigned long long)n + 8, size);
    return n;
}

bool safetensors_parse(TensorList *list, const unsigned char *data, size_t size, const char *path,
                       Error *e)
{
    uint64_t header = header_length(data, size, path, e);
    if (!header)
        return false;
    const unsigned char *buffer = data + 8 + header;
    uint64_t bytes = size - 8 - header;
    Scan s = {.p = data + 8, .start = data + 8, .end = buffer, .file = path, .e = e};
    Entries es = {0};
    bool ok = read_header(&s, &es, list) && check_inside(&es, 8 + header, bytes, e) &&
              check_cover(&es, bytes, path, e) && publish(list, &es, buffer, path, e);
    mem_free(es.v);
    return ok;
}
