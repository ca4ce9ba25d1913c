/* ckpt/npy.c: NumPy's array files. Source: numpy/lib/format.py, versions 1.0 and 2.0. */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/write.h"
#include "ckpt/ckpt.h"

enum { HEADER_MAX = 1 << 16 };
static const char MAGIC[] = "\x93NUMPY";

/* The header is a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. */
typedef struct Npy {
    char header[HEADER_MAX + 1];
    size_t start; /* of the data */
    DType dtype;
    int rank;
    int64_t shape[CKPT_MAX_RANK];
    uint64_t count; /* elements */
} Npy;

static bool npy_fail(const char *path, const char *what, Error *e)
{
    return error_set(e, ERR_FAILED, "%s: npy header: %s", path, what);
}

static bool read_head(Npy *h, const MappedFile *f, const char *path, Error *e)
{
    const unsigned char *p = f->data;
    if (f->size < 12 || memcmp(p, MAGIC, 6) != 0)
        return npy_fail(path, "expected an npy file, got something else", e);
    if (p[6] != 1 && p[6] != 2)
        return error_set(e, ERR_FAILED, "%s: npy header: expected version 1 or 2, got %d", path,
                         p[6]);
    size_t at = p[6] == 1 ? 10 : 12, n = p[8] | (size_t)p[9] << 8;
    if (p[6] == 2)
        n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (n > HEADER_MAX || n > f->size - at)
        return error_set(e, ERR_FAILED, "%s: npy header: expected %zu bytes, got %zu%s", path, n,
                         f->size - at, n > HEADER_MAX ? ", and more than is sensible" : "");
    memcpy(h->header, p + at, n);
    h->header[n] = 0;
    h->start = at + n;
    return true;
}

/* What follows 'key': in the header, spaces skipped; NULL when the key is not there. */
static const char *value_of(const Npy *h, const char *key)
{
    const char *p = strstr(h->header, key);
    if (!p)
        return NULL;
    p += strlen(key);
    return p + strspn(p, " ");
}

static bool read_extent(const char **p, int64_t *v)
{
    int64_t n = 0;
    const char *first = *p;
    for (; **p >= '0' && **p <= '9'; ++*p)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **p - '0', &n))
            return false;
    *v = n;
    return *p != first;
}

static bool read_tuple(Npy *h, const char *p)
{
    h->count = 1;
    for (p++; p += strspn(p, " "), *p != ')';) {
        if (h->rank == CKPT_MAX_RANK || !read_extent(&p, &h->shape[h->rank]))
            return false;
        if (__builtin_mul_overflow(h->count, (uint64_t)h->shape[h->rank++], &h->count))
            return false;
        p += strspn(p, " ");
        if (*p == ',')
            p++;
        else if (*p != ')')
            return false;
    }
    return true;
}

static bool read_dict(Npy *h, const char *path, Error *e)
{
    const char *descr = value_of(h, "'descr':"), *order = value_of(h, "'fortran_order':");
    const char *shape = value_of(h, "'shape':");
    if (!descr || !order || !shape)
        return npy_fail(path, "expected descr, fortran_order and shape", e);
    h->dtype = str_starts(descr, "'<f8'") ? F64 : F32;
    if (h->dtype == F32 && !str_starts(descr, "'<f4'"))
        return error_set(e, ERR_FAILED, "%s: npy header: descr: expected '<f4' or '<f8', got %.20s",
                         path, descr);
    if (!str_starts(order, "False"))
        return npy_fail(path, "fortran_order: expected False", e);
    if (*shape != '(' || !read_tuple(h, shape))
        return error_set(e, ERR_FAILED,
                         "%s: npy header: shape: expected at most %d extents in (), got %.40s",
                         path, CKPT_MAX_RANK, shape);
    return true;
}

/* The file must hold exactly what shape and type say: this bounds the allocation, too. */
static bool check_length(const Npy *h, const MappedFile *f, const char *path, Error *e)
{
    size_t left = f->size - h->start;
    if (dtype_bytes(h->dtype, h->count) == left)
        return true;
    return error_set(e, ERR_FAILED,
                     "%s: npy data: expected %llu values of %zu bytes, got %llu bytes", path,
                     (unsigned long long)h->count, dtype_size(h->dtype), (unsigned long long)left);
}

static float *read_mapped(Npy *h, const MappedFile *f, const char *path, Error *e)
{
    if (!read_head(h, f, path, e) || !read_dict(h, path, e) || !check_length(h, f, path, e))
        return NULL;
    float *data = mem_alloc(h->count * sizeof *data);
    if (data)
        convert_to_f32(data, f->data + h->start, h->dtype, h->count);
    else
        error_memory(e, path, h->count * sizeof *data);
    return data;
}

float *npy_read(const char *path, int *rank, int64_t shape[CKPT_MAX_RANK], Error *e)
{
    MappedFile f;
    if (!file_map(&f, path, ERR_FAILED, e))
        return NULL;
    float *data = NULL;
    Npy *h = mem_calloc(1, sizeof *h);
    if (!h)
        error_memory(e, path, sizeof *h);
    else if ((data = read_mapped(h, &f, path, e))) {
        *rank = h->rank;
        memcpy(shape, h->shape, sizeof h->shape);
    }
    mem_free(h);
    file_unmap(&f);
    return data;
}

/* The dict, padded so that the data starts on a multiple of 64 as NumPy's writer does. */
static void write_header(StrBuf *s, int rank, const int64_t *shape)
{
    strbuf_puts(s, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++)
        strbuf_printf(s, rank == 1 ? "%lld," : i ? ", %lld" : "%lld", (long long)shape[i]);
    strbuf_puts(s, "), }");
    while (!s->failed && (10 + s->len + 1) % 64)
        strbuf_puts(s, " ");
    strbuf_puts(s, "\n");
}

bool npy_write(const char *path, const float *data, int rank, const int64_t *shape, Error *e)
{
    StrBuf header = {0};
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)shape[i];
    write_header(&header, rank, shape);
    if (header.failed) {
        strbuf_free(&header);
        return error_memory(e, path, 128);
    }
    unsigned char head[10] = {0, 0, 0, 0, 0, 0, 1, 0, header.len & 255, header.len >> 8 & 255};
    memcpy(head, MAGIC, 6);
    const Piece pieces[] = {
        {head, sizeof head}, {header.data, header.len}, {data, count * sizeof *data}};
    bool ok = file_write(path, pieces, 3, WRITE_ANY, e);
    strbuf_free(&header);
    return ok;
}
