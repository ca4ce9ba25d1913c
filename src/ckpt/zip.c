/* ckpt/zip.c: from the end record over the directory to the members. */
#include "ckpt/zip.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ckpt/bytes.h"

/* Bytes of the fixed part of each record. */
enum { END_SIZE = 22, LOCATOR_SIZE = 20, END64_SIZE = 56, ENTRY_SIZE = 46, LOCAL_SIZE = 30 };
enum { FLAG_ENCRYPTED = 1, EXTRA_ZIP64 = 1 };

static bool signed_as(const unsigned char *p, const char *two)
{
    return p[0] == 'P' && p[1] == 'K' && memcmp(p + 2, two, 2) == 0;
}

/* --- the end record ------------------------------------------------------------------------------ */

/* What the end record says of the directory. */
typedef struct Directory {
    uint64_t at, bytes, count;
    uint64_t most; /* where it has ended at the latest */
} Directory;

/* The end record stands before a comment, whose length it knows. */
static bool find_end(const unsigned char *data, size_t size, size_t *at)
{
    enum { COMMENT_MAX = 65535 };
    for (size_t comment = 0; comment <= COMMENT_MAX && comment + END_SIZE <= size; comment++) {
        *at = size - END_SIZE - comment;
        if (signed_as(data + *at, "\5\6") && little(data + *at + 20, 2) == comment)
            return true;
    }
    return false;
}

/* The record of 64-bit numbers, to which a locator in front of the end record points. */
static bool read_end64(Directory *d, const unsigned char *data, uint64_t locator, const char *path,
                       Error *e)
{
    uint64_t at = little(data + locator + 8, 8);
    bool fits = locator >= END64_SIZE && at <= locator - END64_SIZE;
    if (!fits || !signed_as(data + at, "\6\6"))
        return error_set(e, ERR_BAD_MODEL,
                         "%s: zip: expected a Zip64 end record at byte %llu, got none: truncated?",
                         path, (unsigned long long)at);
    const unsigned char *p = data + at;
    *d = (Directory){.count = little(p + 32, 8),
                     .bytes = little(p + 40, 8),
                     .at = little(p + 48, 8),
                     .most = at};
    return true;
}

static bool read_end(Directory *d, const unsigned char *data, size_t size, const char *path,
                     Error *e)
{
    size_t at;
    if (!find_end(data, size, &at))
        return error_set(e, ERR_BAD_MODEL,
                         "%s: zip: expected an end record in the last bytes, got none: truncated?",
                         path);
    const unsigned char *p = data + at;
    if (at >= LOCATOR_SIZE && signed_as(p - LOCATOR_SIZE, "\6\7")) {
        if (!read_end64(d, data, at - LOCATOR_SIZE, path, e))
            return false;
    } else {
        *d = (Directory){.count = little(p + 10, 2),
                         .bytes = little(p + 12, 4),
                         .at = little(p + 16, 4),
                         .most = at};
    }
    if (d->at <= d->most && d->bytes <= d->most - d->at)
        return true;
    return error_set(e, ERR_BAD_MODEL,
                     "%s: zip: expected a directory that ends by byte %llu, got %llu bytes at %llu",
                     path, (unsigned long long)d->most, (unsigned long long)d->bytes,
                     (unsigned long long)d->at);
}

/* --- the directory ------------------------------------------------------------------------------- */

static bool member_fail(const Zip *z, const ZipMember *m, Error *e, const char *what)
{
    return error_set(e, ERR_BAD_MODEL, "%s: entry \"%.*s\": %s", z->path,
                     m->len < 200 ? (int)m->len : 200, m->name, what);
}

/* The next 64-bit number of the extra field where the entry's own has no room for it. */
static bool widen(uint64_t *v, const unsigned char **p, const unsigned char *end)
{
    if (*v != UINT32_MAX)
        return true;
    if (end - *p < 8)
        return false;
    *v = little(*p, 8);
    *p += 8;
    return true;
}

static bool read_extra(ZipMember *m, const unsigned char *p, size_t n)
{
    const unsigned char *end = p + n;
    while (end - p >= 4) {
        uint64_t id = little(p, 2), bytes = little(p + 2, 2);
        p += 4;
        if (bytes > (uint64_t)(end - p))
            return false;
        if (id == EXTRA_ZIP64) {
            const unsigned char *at = p, *stop = p + bytes;
            return widen(&m->size, &at, stop) && widen(&m->packed, &at, stop) &&
                   widen(&m->at, &at, stop);
        }
        p += bytes;
    }
    return m->size != UINT32_MAX && m->packed != UINT32_MAX && m->at != UINT32_MAX;
}

/* One entry of at most `left` bytes: how many it has; 0: an error. */
static size_t read_entry(Zip *z, const unsigned char *p, size_t left, Error *e)
{
    if (left < ENTRY_SIZE || !signed_as(p, "\1\2")) {
        error_set(e, ERR_BAD_MODEL, "%s: zip: expected entry %zu of the directory, got %s", z->path,
                  z->n, left < ENTRY_SIZE ? "its end" : "something else");
        return 0;
    }
    size_t name = little(p + 28, 2), extra = little(p + 30, 2), comment = little(p + 32, 2);
    ZipMember m = {.name = (const char *)p + ENTRY_SIZE,
                   .len = name,
                   .at = little(p + 42, 4),
                   .size = little(p + 24, 4),
                   .packed = little(p + 20, 4),
                   .flags = (unsigned)little(p + 8, 2),
                   .method = (unsigned)little(p + 10, 2)};
    if (name + extra + comment > left - ENTRY_SIZE) {
        error_set(e, ERR_BAD_MODEL, "%s: zip: entry %zu: expected %zu bytes, got %zu", z->path,
                  z->n, name + extra + comment, left - ENTRY_SIZE);
        return 0;
    }
    if (!read_extra(&m, p + ENTRY_SIZE + name, extra))
        return member_fail(z, &m, e, "expected 64-bit sizes in its extra field, got none");
    if (!MEM_GROW(z->member, &z->cap, z->n + 1))
        return error_memory(e, z->path, (z->n + 1) * sizeof m);
    z->member[z->n++] = m;
    return ENTRY_SIZE + name + extra + comment;
}

static int compare(const char *a, size_t na, const char *b, size_t nb)
{
    int order = memcmp(a, b, na < nb ? na : nb);
    return order ? order : (na > nb) - (na < nb);
}

static int by_name(const void *x, const void *y)
{
    const ZipMember *a = x, *b = y;
    return compare(a->name, a->len, b->name, b->len);
}

static bool sort_members(Zip *z, Error *e)
{
    if (z->n)
        qsort(z->member, z->n, sizeof *z->member, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (by_name(&z->member[i - 1], &z->member[i]) == 0)
            return member_fail(z, &z->member[i], e, "expected once, got twice");
    return true;
}

bool zip_open(Zip *z, const unsigned char *data, size_t size, const char *path, Error *e)
{
    Directory d = {0};
    *z = (Zip){.data = data, .path = path};
    if (!read_end(&d, data, size, path, e))
        return false;
    if (d.count > ZIP_MEMBERS_MAX)
        return error_set(e, ERR_BAD_MODEL, "%s: zip: expected at most %d entries, got %llu", path,
                         ZIP_MEMBERS_MAX, (unsigned long long)d.count);
    z->end = d.at;
    size_t left = d.bytes;
    while (z->n < d.count) {
        size_t step = read_entry(z, data + d.at + (d.bytes - left), left, e);
        if (step == 0)
            return false;
        left -= step;
    }
    if (left)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: zip: expected a directory of %llu bytes as its %zu entries have, got "
                         "%llu",
                         path, (unsigned long long)(d.bytes - left), z->n,
                         (unsigned long long)d.bytes);
    return sort_members(z, e);
}

void zip_close(Zip *z)
{
    mem_free(z->member);
    *z = (Zip){0};
}

/* --- members ------------------------------------------------------------------------------------- */

/* The order of a member's name against that of two texts in a row. */
static int compare_two(const ZipMember *m, const char *folder, size_t n, const char *name)
{
    size_t head = m->len < n ? m->len : n;
    int order = compare(m->name, head, folder, n);
    return order ? order : compare(m->name + head, m->len - head, name, strlen(name));
}

const ZipMember *zip_find(const Zip *z, const char *folder, size_t n, const char *name)
{
    size_t low = 0, high = z->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare_two(&z->member[mid], folder, n, name);
        if (order == 0)
            return &z->member[mid];
        if (order > 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static bool check_stored(const Zip *z, const ZipMember *m, Error *e)
{
    int n = m->len < 200 ? (int)m->len : 200;
    if (m->flags & FLAG_ENCRYPTED)
        return member_fail(z, m, e, "expected no encryption, got some");
    if (m->method != 0)
        return error_set(
            e, ERR_BAD_MODEL,
            "%s: entry \"%.*s\": expected bytes as they are (method 0), got compressed "
            "ones (method %u)",
            z->path, n, m->name, m->method);
    if (m->size == m->packed)
        return true;
    return error_set(e, ERR_BAD_MODEL,
                     "%s: entry \"%.*s\": expected %llu bytes in the file, got %llu", z->path, n,
                     m->name, (unsigned long long)m->size, (unsigned long long)m->packed);
}

const unsigned char *zip_data(const Zip *z, const ZipMember *m, Error *e)
{
    if (!check_stored(z, m, e))
        return NULL;
    bool inside = m->at <= z->end && z->end - m->at >= LOCAL_SIZE;
    const unsigned char *p = inside ? z->data + m->at : NULL;
    bool there = inside && signed_as(p, "\3\4");
    uint64_t left = there ? z->end - m->at - LOCAL_SIZE : 0;
    size_t name = there ? little(p + 26, 2) : 0, extra = there ? little(p + 28, 2) : 0;
    if (!there || name > left || compare((const char *)p + LOCAL_SIZE, name, m->name, m->len)) {
        member_fail(z, m, e, "expected it where the directory says, got something else");
        return NULL;
    }
    if (extra <= left - name && m->size <= left - name - extra)
        return p + LOCAL_SIZE + name + extra;
    error_set(e, ERR_BAD_MODEL,
              "%s: entry \"%.*s\": expected %llu bytes before the directory, got fewer: truncated?",
              z->path, m->len < 200 ? (int)m->len : 200, m->name, (unsigned long long)m->size);
    return NULL;
}
