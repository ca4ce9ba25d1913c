/* Files of torch.save, written anew: a second statement of the formats that ckpt/torch.c reads, with knobs
 * for what PyTorch never writes. */
#ifndef TEST_TORCH_FILES_H
#define TEST_TORCH_FILES_H

#include "test_ckpt_files.h"

#include "base/str.h"
#include "ckpt/ckpt.h"

/* --- zip ----------------------------------------------------------------------------------------- */

typedef struct ZipOut {
    StrBuf all, directory;
    unsigned n;
    /* for the members that follow */
    unsigned method, flags;
    size_t align;      /* the data begins on a multiple of it, through the local extra field */
    bool zip64;        /* sizes and places of members and directory in the 64-bit fields */
    const char *local; /* the name in the local header; NULL: the right one */
    size_t more;       /* bytes that the directory claims beyond those that are there */
} ZipOut;

static inline void out_number(StrBuf *s, uint64_t v, int bytes)
{
    for (; bytes > 0; bytes--, v >>= 8)
        strbuf_add(s, &(unsigned char){(unsigned char)v}, 1);
}

static inline void zip_add(ZipOut *z, const char *name, const void *data, size_t n)
{
    const char *local = z->local ? z->local : name;
    size_t at = z->all.len, start = at + 30 + strlen(local), pad = 0;
    if (z->align)
        pad = 4 + (z->align - (start + 4) % z->align) % z->align;
    strbuf_add(&z->all, "PK\3\4\0\0", 6);
    out_number(&z->all, z->flags, 2);
    out_number(&z->all, z->method, 2);
    out_number(&z->all, 0, 16);
    out_number(&z->all, strlen(local), 2);
    out_number(&z->all, pad, 2);
    strbuf_puts(&z->all, local);
    if (pad) {
        strbuf_puts(&z->all, "FB");
        out_number(&z->all, pad - 4, 2);
        for (size_t i = 4; i < pad; i++)
            strbuf_puts(&z->all, "Z");
    }
    strbuf_add(&z->all, data, n);
    StrBuf *d = &z->directory;
    strbuf_add(d, "PK\1\2\0\0\0\0", 8);
    out_number(d, z->flags, 2);
    out_number(d, z->method, 2);
    out_number(d, 0, 8); /* time, checksum */
    out_number(d, z->zip64 ? UINT32_MAX : n + z->more, 4);
    out_number(d, z->zip64 ? UINT32_MAX : n + z->more, 4);
    out_number(d, strlen(name), 2);
    out_number(d, z->zip64 ? 28 + 6 : 0, 2);
    out_number(d, 0, 10);
    out_number(d, z->zip64 ? UINT32_MAX : at, 4);
    strbuf_puts(d, name);
    if (z->zip64) { /* another field before the one that counts */
        strbuf_add(d, "AB\2\0xy\1\0\30\0", 10);
        out_number(d, n + z->more, 8);
        out_number(d, n + z->more, 8);
        out_number(d, at, 8);
    }
    z->n++;
}

/* The directory and the end. The bytes are z->all's then; strbuf_free. */
static inline void zip_finish(ZipOut *z, const char *comment)
{
    StrBuf *s = &z->all;
    uint64_t at = s->len, bytes = z->directory.len;
    strbuf_add(s, z->directory.data, bytes);
    uint64_t end = s->len;
    if (z->zip64) {
        strbuf_add(s, "PK\6\6", 4);
        out_number(s, 44, 8);
        out_number(s, 0, 12);
        out_number(s, z->n, 8);
        out_number(s, z->n, 8);
        out_number(s, bytes, 8);
        out_number(s, at, 8);
        strbuf_add(s, "PK\6\7\0\0\0\0", 8);
        out_number(s, end, 8);
        out_number(s, 1, 4);
    }
    strbuf_add(s, "PK\5\6\0\0\0\0", 8);
    out_number(s, z->zip64 ? 0xffff : z->n, 2);
    out_number(s, z->zip64 ? 0xffff : z->n, 2);
    out_number(s, z->zip64 ? UINT32_MAX : bytes, 4);
    out_number(s, z->zip64 ? UINT32_MAX : at, 4);
    out_number(s, strlen(comment), 2);
    strbuf_puts(s, comment);
    assert_false(s->failed);
    strbuf_free(&z->directory);
}

/* --- pickles ------------------------------------------------------------------------------------- */

static inline void pk_text(StrBuf *s, const char *text)
{
    strbuf_puts(s, "X");
    out_number(s, strlen(text), 4);
    strbuf_puts(s, text);
}

static inline void pk_int(StrBuf *s, int64_t v)
{
    strbuf_add(s, "\x8a\x08", 2);
    out_number(s, (uint64_t)v, 8);
}

static inline void pk_tuple(StrBuf *s, int n, const int64_t *v)
{
    strbuf_puts(s, "(");
    for (int i = 0; i < n; i++)
        pk_int(s, v[i]);
    strbuf_puts(s, "t");
}

typedef struct TensorOut {
    const char *type, *key; /* "FloatStorage", "0" */
    int64_t elements, offset;
    int rank, strides;
    int64_t shape[9], stride[9];
} TensorOut;

/* part: opcodes of what the storage is a part of, as there may be before 1.6; "" */
static inline void pk_tensor_part(StrBuf *s, const TensorOut *t, const char *part)
{
    strbuf_puts(s, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pk_text(s, "storage");
    strbuf_printf(s, "ctorch\n%s\n", t->type);
    pk_text(s, t->key);
    pk_text(s, "cpu");
    pk_int(s, t->elements);
    strbuf_puts(s, part);
    strbuf_puts(s, "tQ");
    pk_int(s, t->offset);
    pk_tuple(s, t->rank, t->shape);
    pk_tuple(s, t->strides, t->stride);
    strbuf_puts(s, "\x89"
                   "ccollections\nOrderedDict\n)RtR");
}

static inline void pk_tensor(StrBuf *s, const TensorOut *t)
{
    pk_tensor_part(s, t, "");
}

/* --- a whole checkpoint --------------------------------------------------------------------------- */

static inline const char *storage_of(DType t)
{
    return t == F32 ? "FloatStorage" : t == F16 ? "HalfStorage" : "BFloat16Storage";
}

static inline void pk_ckpt_tensor(StrBuf *s, const CkptTensor *t, const char *key)
{
    TensorOut out = {.type = storage_of(t->dtype), .key = key, .rank = t->rank, .elements = 1};
    out.strides = t->rank;
    for (int d = t->rank - 1; d >= 0; d--) {
        out.shape[d] = t->shape[d];
        out.stride[d] = out.elements;
        out.elements *= t->shape[d];
    }
    pk_text(s, t->name);
    pk_tensor(s, &out);
}

/* Every step-th tensor of c, from the first-th on, as a zip archive like that of torch.save. */
static inline void put_torch(const char *name, Checkpoint *c, size_t first, size_t step)
{
    ZipOut z = {.align = 64};
    StrBuf s = {0};
    char key[32], entry[64];
    strbuf_puts(&s, "\x80\2}(");
    for (size_t i = first; i < ckpt_count(c); i += step) {
        snprintf(key, sizeof key, "%zu", i);
        pk_ckpt_tensor(&s, ckpt_at(c, i), key);
    }
    strbuf_puts(&s, "u.");
    zip_add(&z, "pytorch_model/data.pkl", s.data, s.len);
    for (size_t i = first; i < ckpt_count(c); i += step) {
        snprintf(entry, sizeof entry, "pytorch_model/data/%zu", i);
        zip_add(&z, entry, ckpt_at(c, i)->data, ckpt_at(c, i)->bytes);
    }
    zip_finish(&z, "");
    put(name, z.all.data, z.all.len);
    strbuf_free(&z.all);
    strbuf_free(&s);
}

#endif
