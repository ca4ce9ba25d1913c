/* ckpt/torch.c: from the dict that was saved to tensors. */
#include "ckpt/torch.h"

#include <string.h>

#include "base/utf8.h"
#include "ckpt/torch_storage.h"

typedef struct Reader {
    TorchFile file;
    TensorList *list;
    uint64_t copied; /* bytes */
} Reader;

/* A tensor while it is read: a view of a storage. Offset and strides count elements. */
typedef struct View {
    CkptTensor t;
    TorchStorage s;
    uint64_t offset, count;
    uint64_t stride[CKPT_MAX_RANK];
} View;

static bool view_fail(const Reader *r, const View *v, const char *expected, PickleValue got)
{
    char buf[200];
    return error_set(r->file.e, ERR_BAD_MODEL, "%s: tensor \"%.200s\": expected %s, got %s",
                     v->t.file, v->t.name, expected,
                     pickle_describe(&r->file.pickle, got, buf, sizeof buf));
}

/* --- one tensor ---------------------------------------------------------------------------------- */

static bool read_count(const Reader *r, const View *v, PickleValue from, uint64_t *to)
{
    if (from.kind != PICKLE_INT || from.number < 0)
        return view_fail(r, v, "a number of elements", from);
    *to = (uint64_t)from.number;
    return true;
}

static bool read_shape(const Reader *r, View *v, PickleValue shape, PickleValue stride)
{
    const Pickle *p = &r->file.pickle;
    size_t rank = pickle_count(p, shape);
    if (shape.kind != PICKLE_TUPLE)
        return view_fail(r, v, "a shape", shape);
    if (stride.kind != PICKLE_TUPLE || pickle_count(p, stride) != rank)
        return view_fail(r, v, "a stride for each extent", stride);
    if (rank > CKPT_MAX_RANK)
        return error_set(r->file.e, ERR_BAD_MODEL,
                         "%s: tensor \"%.200s\": shape: expected at most %d extents, got %zu",
                         v->t.file, v->t.name, CKPT_MAX_RANK, rank);
    v->t.rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        uint64_t extent = 0;
        if (!read_count(r, v, pickle_item(p, shape, i), &extent) ||
            !read_count(r, v, pickle_item(p, stride, i), &v->stride[i]))
            return false;
        v->t.shape[i] = (int64_t)extent;
    }
    return true;
}

/* How many elements it has, and how many bytes. */
static bool measure(const Reader *r, View *v)
{
    bool over = false;
    v->count = 1;
    for (int i = 0; i < v->t.rank; i++)
        over |= __builtin_mul_overflow(v->count, (uint64_t)v->t.shape[i], &v->count);
    v->t.bytes = dtype_bytes(v->t.dtype, v->count);
    return (!over && v->t.bytes <= INT64_MAX) ||
           error_set(r->file.e, ERR_BAD_MODEL,
                     "%s: tensor \"%.200s\": shape: expected a size below 2^63 bytes, got more",
                     v->t.file, v->t.name);
}

/* The last element that the view reaches lies in the storage. */
static bool check_reach(const Reader *r, const View *v)
{
    uint64_t last = v->offset, there = v->s.bytes / dtype_size(v->t.dtype);
    bool over = false;
    for (int i = 0; i < v->t.rank && v->count; i++) {
        uint64_t step;
        over |= __builtin_mul_overflow((uint64_t)v->t.shape[i] - 1, v->stride[i], &step);
        over |= __builtin_add_overflow(last, step, &last);
    }
    if (v->count == 0 || (!over && last < there))
        return true;
    return error_set(
        r->file.e, ERR_BAD_MODEL,
        "%s: tensor \"%.200s\": expected more than %llu elements in storage \"%s\", as "
        "offset, shape and strides say, got %llu",
        v->t.file, v->t.name, (unsigned long long)(over ? UINT64_MAX : last), v->s.key,
        (unsigned long long)there);
}

static bool is_call(const Pickle *p, PickleValue v, const char *module, const char *name)
{
    return v.kind == PICKLE_CALL && pickle_is_global(p, v, module, name);
}

/* _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks, [metadata]); of v3 the
 * seventh is the type. A parameter is _rebuild_parameter(tensor, requires_grad, hooks). */
static bool read_view(Reader *r, View *v, PickleValue value)
{
    const Pickle *p = &r->file.pickle;
    if (is_call(p, value, "torch._utils", "_rebuild_parameter"))
        value = pickle_item(p, pickle_item(p, value, 1), 0);
    bool v3 = is_call(p, value, "torch._utils", "_rebuild_tensor_v3");
    if (!v3 && !is_call(p, value, "torch._utils", "_rebuild_tensor_v2"))
        return view_fail(r, v, "a tensor", value);
    PickleValue a = pickle_item(p, value, 1), storage = pickle_item(p, a, 0),
                type = pickle_item(p, a, 6);
    if (storage.kind != PICKLE_PERSISTENT)
        return view_fail(r, v, "a storage", storage);
    if (!torch_find(&r->file, storage, &v->s))
        return false;
    v->t.dtype = v->s.dtype;
    if (v3 ? !torch_type(p, type, &v->t.dtype) : v->s.untyped)
        return view_fail(r, v, "F32, F16, BF16 or another known type", type);
    return read_count(r, v, pickle_item(p, a, 1), &v->offset) &&
           read_shape(r, v, pickle_item(p, a, 2), pickle_item(p, a, 3)) && measure(r, v) &&
           check_reach(r, v);
}

/* --- elements that do not lie in a row ------------------------------------------------------------ */

static bool in_a_row(const View *v)
{
    uint64_t expected = 1;
    for (int i = v->t.rank - 1; i >= 0; i--) {
        if (v->t.shape[i] != 1 && v->stride[i] != expected)
            return false;
        expected *= (uint64_t)v->t.shape[i];
    }
    return true;
}

static void copy_element(char *to, const unsigned char *from, size_t bytes)
{
    switch (bytes) {
    case 1: *to = (char)*from; break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    default: memcpy(to, from, 8); break;
    }
}

static void gather(char *to, const View *v)
{
    size_t each = dtype_size(v->t.dtype);
    int64_t index[CKPT_MAX_RANK] = {0};
    uint64_t at = v->offset;
    for (uint64_t n = 0; n < v->count; n++, to += each) {
        copy_element(to, v->s.data + at * each, each);
        for (int i = v->t.rank - 1; i >= 0; i--) {
            at += v->stride[i];
            if (++index[i] < v->t.shape[i])
                break;
            at -= (uint64_t)v->t.shape[i] * v->stride[i];
            index[i] = 0;
        }
    }
}

static bool copy_view(Reader *r, View *v)
{
    uint64_t limit = r->file.size;
    if (v->t.bytes > limit - r->copied)
        return error_set(r->file.e, ERR_BAD_MODEL,
                         "%s: tensor \"%.200s\": strides: expected at most %llu bytes that do not "
                         "lie in a row, as the file has, got more",
                         v->t.file, v->t.name, (unsigned long long)limit);
    char *copy = arena_alloc(&r->list->copies, v->t.bytes);
    if (!copy)
        return error_memory(r->file.e, v->t.file, v->t.bytes);
    r->copied += v->t.bytes;
    gather(copy, v);
    v->t.data = copy;
    v->t.copied = true;
    return true;
}

static bool place(Reader *r, View *v)
{
    v->t.data = v->s.data;
    if (v->count == 0)
        return true;
    if (!in_a_row(v))
        return copy_view(r, v);
    v->t.data = v->s.data + v->offset * dtype_size(v->t.dtype);
    return true;
}

/* --- the dict ------------------------------------------------------------------------------------ */

/* Numbers, texts and the like beside the tensors are left, and what torch itself puts there. */
static bool is_beside(const Pickle *p, PickleValue v)
{
    DType ignored;
    return (v.kind != PICKLE_CALL && v.kind != PICKLE_GLOBAL) ||
           pickle_is_global(p, v, "torch", "Size") || pickle_is_global(p, v, "torch", "device") ||
           torch_type(p, v, &ignored);
}

static bool take_name(Reader *r, View *v, PickleValue key)
{
    const char *text = (const char *)key.text, *path = r->file.path;
    if (key.n > TENSOR_NAME_MAX)
        return error_set(r->file.e, ERR_BAD_MODEL,
                         "%s: tensor \"%.100s...\": name: expected at most %d bytes, got %u", path,
                         text, TENSOR_NAME_MAX, key.n);
    if (utf8_invalid(text, key.n) >= 0 || memchr(text, 0, key.n))
        return error_set(r->file.e, ERR_BAD_MODEL,
                         "%s: tensor \"%.*s\": name: expected valid UTF-8 without U+0000, got "
                         "something else",
                         path, key.n < 100 ? (int)key.n : 100, text);
    char *name = arena_alloc(&r->list->names, (size_t)key.n + 1);
    if (!name)
        return error_memory(r->file.e, path, (size_t)key.n + 1);
    memcpy(name, text, key.n);
    name[key.n] = 0;
    v->t = (CkptTensor){.name = name, .file = path};
    return true;
}

static bool read_entry(Reader *r, PickleValue key, PickleValue value)
{
    View v = {.offset = 0};
    if (key.kind != PICKLE_TEXT || is_beside(&r->file.pickle, value))
        return true;
    return take_name(r, &v, key) && read_view(r, &v, value) && place(r, &v) &&
           tensors_push(r->list, &v.t, r->file.path, r->file.e);
}

/* The dict of tensors: the one saved, or what it has as "model". */
static bool find_dict(Reader *r, PickleValue *dict)
{
    char buf[200];
    const Pickle *p = &r->file.pickle;
    PickleValue model = pickle_get(p, p->top, "model");
    bool under = model.kind != PICKLE_NOTHING;
    *dict = under ? model : p->top;
    return dict->kind == PICKLE_DICT ||
           error_set(r->file.e, ERR_BAD_MODEL,
                     "%s: %s: expected a dict of tensors (state_dict() of a model), got %s",
                     r->file.path, under ? "key \"model\"" : "pickle",
                     pickle_describe(p, *dict, buf, sizeof buf));
}

static bool read_dict(Reader *r)
{
    const Pickle *p = &r->file.pickle;
    PickleValue dict;
    size_t first = r->list->n;
    if (!find_dict(r, &dict))
        return false;
    for (size_t i = 0; i < pickle_count(p, dict); i += 2) {
        if (r->list->n - first == TENSORS_MAX)
            return error_set(r->file.e, ERR_BAD_MODEL,
                             "%s: pickle: expected at most %d tensors, got more", r->file.path,
                             TENSORS_MAX);
        if (!read_entry(r, pickle_item(p, dict, i), pickle_item(p, dict, i + 1)))
            return false;
    }
    if (r->list->n == first)
        return error_set(r->file.e, ERR_BAD_MODEL,
                         "%s: pickle: expected tensors, or a dict of them under \"model\", got "
                         "neither",
                         r->file.path);
    return tensors_close(r->list, first, r->file.path, r->file.e);
}

bool torch_parse(TensorList *list, const unsigned char *data, size_t size, const char *path,
                 Error *e)
{
    Reader r = {.list = list};
    bool ok = torch_open(&r.file, data, size, path, e) && read_dict(&r);
    torch_close(&r.file);
    return ok;
}
