/* ckpt/bnb.c: see ckpt/bnb.h. */
#include "ckpt/bnb.h"

#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"

enum { NAME_ROOM = 640, MAP = 16, NESTED_MAP = 256, STATE_MAX = 1 << 16 };

static const char STATE[] = ".quant_state.bitsandbytes__";

/* The tensor that is called like t but for its end; NULL: there is none. */
static CkptTensor *beside(Checkpoint *c, const CkptTensor *t, const char *end, const char *instead)
{
    char name[NAME_ROOM];
    size_t n = strlen(t->key) - strlen(end);
    if ((size_t)snprintf(name, sizeof name, "%.*s%s", (int)n, t->key, instead) >= sizeof name)
        return NULL;
    return ckpt_find(c, name);
}

static bool wrong(const CkptTensor *t, const char *want, Error *e)
{
    return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected %s, got something else",
                     t->file, t->name, want);
}

/* n numbers of a type. */
static bool has(const CkptTensor *t, DType type, size_t n, Error *e)
{
    char want[64];
    snprintf(want, sizeof want, "%zu numbers of type %s", n, dtype_name(type));
    return (t->dtype == type && t->bytes == dtype_bytes(type, n)) || wrong(t, want, e);
}

static float f32_at(const void *at, size_t i)
{
    float f;
    memcpy(&f, (const char *)at + 4 * i, sizeof f);
    return f;
}

static bool all_finite(const CkptTensor *t, Error *e)
{
    for (size_t i = 0; i < t->bytes / 4; i++)
        if (!isfinite(f32_at(t->data, i)))
            return error_set(e, ERR_BAD_MODEL,
                             "%s: tensor \"%s\": number %zu: expected a number, got %g", t->file,
                             t->name, i, (double)f32_at(t->data, i));
    return true;
}

/* --- 8 bits ------------------------------------------------------------------------------------------ */

/* Other orders than that of rows, which old versions wrote for some GPUs, have numbers above 0 or names. */
static bool in_rows(CkptTensor *format, Error *e)
{
    if (!format)
        return true;
    format->used = true;
    const unsigned char *v = format->data;
    return (format->dtype == U8 && format->bytes == 1 && v[0] == 0) ||
           wrong(format, "0 (weights in rows)", e);
}

const CkptTensor *bnb8_take(Checkpoint *c, const CkptTensor *t, int64_t rows, Error *e)
{
    if (!str_ends(t->key, "weight"))
        return NULL;
    CkptTensor *scale = beside(c, t, "weight", "SCB");
    if (!scale)
        return NULL;
    scale->used = true;
    bool ok = in_rows(beside(c, t, "weight", "weight_format"), e) &&
              has(scale, F32, (size_t)rows, e) && all_finite(scale, e);
    return ok ? scale : NULL;
}

/* --- 4 bits ------------------------------------------------------------------------------------------ */

/* A neighbour that must be there, with n numbers of that type. */
static const void *take(Checkpoint *c, const CkptTensor *t, const char *end, DType type, size_t n,
                        Error *e)
{
    CkptTensor *s = beside(c, t, "", end);
    if (!s) {
        error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s%s\": expected, but missing", t->file, t->name,
                  end);
        return NULL;
    }
    s->used = true;
    return has(s, type, n, e) && (type != F32 || all_finite(s, e)) ? s->data : NULL;
}

static bool block_good(int64_t n)
{
    return n >= 1 && n <= 1 << 20 && (n & (n - 1)) == 0;
}

static bool same_shape(const json_t *shape, int rank, const int64_t *want)
{
    bool same = json_array_size(shape) == (size_t)rank;
    for (size_t i = 0; same && i < (size_t)rank; i++)
        same = json_integer_value(json_array_get(shape, i)) == want[i];
    return same;
}

static bool read_type(const json_t *o, Bnb4 *b, const char *where, Error *e)
{
    const char *name = "";
    static const struct {
        const char *name;
        DType type;
    } TYPES[] = {{"float32", F32}, {"float16", F16}, {"bfloat16", BF16}};
    if (!json_get_text(o, "dtype", "", &name, where, e))
        return false;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(TYPES[i].name, name) == 0) {
            b->dtype = TYPES[i].type;
            return true;
        }
    return error_set(e, ERR_BAD_MODEL,
                     "%s: dtype: expected float32, float16 or bfloat16, got \"%.40s\"", where,
                     name);
}

/* The JSON of quant_state. */
static bool read_state(Bnb4 *b, const json_t *o, int rank, const int64_t *shape, const char *where,
                       Error *e)
{
    int64_t block, nested;
    double offset;
    if (!json_get_int(o, "blocksize", 64, 1, 1 << 20, &block, where, e) ||
        !json_get_int(o, "nested_blocksize", 256, 1, 1 << 20, &nested, where, e) ||
        !json_get_real(o, "nested_offset", 0, &offset, where, e) || !read_type(o, b, where, e))
        return false;
    if (!block_good(block) || !block_good(nested))
        return error_set(e, ERR_BAD_MODEL, "%s: blocksize: expected a power of two, got %lld",
                         where, (long long)(block_good(block) ? nested : block));
    if (!same_shape(json_object_get(o, "shape"), rank, shape))
        return error_set(e, ERR_BAD_MODEL, "%s: shape: expected that of the weight, got another",
                         where);
    b->block = (size_t)block;
    b->nested_block = (size_t)nested;
    b->offset = (float)offset;
    return true;
}

static CkptTensor *find_state(Checkpoint *c, const CkptTensor *t)
{
    char end[48];
    snprintf(end, sizeof end, "%snf4", STATE);
    CkptTensor *s = beside(c, t, "", end);
    memcpy(end + strlen(STATE), "fp4", 4);
    return s ? s : beside(c, t, "", end);
}

static bool take_state(Bnb4 *b, CkptTensor *s, int rank, const int64_t *shape, Error *e)
{
    char where[NAME_ROOM * 2];
    s->used = true;
    snprintf(where, sizeof where, "%s: tensor \"%s\"", s->file, s->name);
    if (s->dtype != U8 || s->bytes > STATE_MAX)
        return wrong(s, "JSON as U8", e);
    json_t *o = json_parse(s->data, s->bytes, where, ERR_BAD_MODEL, e);
    bool ok = o && read_state(b, o, rank, shape, where, e);
    json_decref(o);
    return ok;
}

/* The factors of so many blocks. */
static bool take_factors(Bnb4 *b, Checkpoint *c, const CkptTensor *t, size_t blocks, Error *e)
{
    if (!beside(c, t, "", ".nested_absmax"))
        return (b->factor = take(c, t, ".absmax", F32, blocks, e));
    size_t many = (blocks + b->nested_block - 1) / b->nested_block;
    b->factor = take(c, t, ".absmax", U8, blocks, e);
    b->factors = b->factor ? take(c, t, ".nested_absmax", F32, many, e) : NULL;
    b->nested = b->factors ? take(c, t, ".nested_quant_map", F32, NESTED_MAP, e) : NULL;
    return b->nested;
}

bool bnb4_take(Bnb4 *b, Checkpoint *c, const CkptTensor *t, int rank, const int64_t *shape,
               Error *e)
{
    CkptTensor *state = find_state(c, t);
    size_t n = 1;
    *b = (Bnb4){0};
    if (!state)
        return true;
    for (int i = 0; i < rank; i++)
        n *= (size_t)shape[i];
    if (!has(t, U8, (n + 1) / 2, e) || !take_state(b, state, rank, shape, e))
        return false;
    b->map = take(c, t, ".quant_map", F32, MAP, e);
    if (!b->map || !take_factors(b, c, t, (n + b->block - 1) / b->block, e))
        return false;
    b->code = t->data;
    return true;
}

static float factor_of(const Bnb4 *b, size_t block)
{
    if (!b->nested)
        return f32_at(b->factor, block);
    size_t code = ((const unsigned char *)b->factor)[block];
    return f32_at(b->nested, code) * f32_at(b->factors, block / b->nested_block) + b->offset;
}

void bnb4_floats(const Bnb4 *b, float *out, size_t first, size_t n)
{
    const size_t end = first + n;
    float map[MAP];
    memcpy(map, b->map, sizeof map);
    for (size_t k = first; k < end;) {
        const size_t next = (k / b->block + 1) * b->block, stop = next < end ? next : end;
        const float factor = factor_of(b, k / b->block);
        for (; k < stop; k++)
            *out++ = map[k % 2 ? b->code[k / 2] & 15 : b->code[k / 2] >> 4] * factor;
    }
}
