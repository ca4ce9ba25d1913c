/* models/recipe.c: the table of weights that come in pieces; finding pieces. */
#include "models/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ckpt/packed.h"

/* --- the table -------------------------------------------------------------------------------- */

#define ZEROS ""

/* A Param of equal parts that are stored under other names. '*' stands for a layer's number. */
typedef struct Rule {
    const char *param;
    const char *part[RECIPE_PIECES]; /* in order; ZEROS: nothing is stored; NULL ends the list */
    const char *missing;             /* what to add when neither the Param nor a part is there */
} Rule;

#define VIT_LAYER "vision_model.encoder.layers.*.self_attn."

static const Rule RULES[] = {
    /* LAVIS models/eva_vit.py, Attention: the key has no bias */
    {VIT_LAYER "qkv.bias",
     {"visual_encoder.blocks.*.attn.q_bias", ZEROS, "visual_encoder.blocks.*.attn.v_bias"},
     NULL},
    /* transformers models/clip/modeling_clip.py, CLIPAttention: three products */
    {VIT_LAYER "qkv.weight",
     {VIT_LAYER "q_proj.weight", VIT_LAYER "k_proj.weight", VIT_LAYER "v_proj.weight"},
     NULL},
    {VIT_LAYER "qkv.bias",
     {VIT_LAYER "q_proj.bias", VIT_LAYER "k_proj.bias", VIT_LAYER "v_proj.bias"},
     NULL},
    /* transformers models/opt/modeling_opt.py, OPTForCausalLM: the head is tied to the table, and a
     * file that stores their weight once may have it under either name */
    {"language_model.model.decoder.embed_tokens.weight",
     {"language_model.lm_head.weight"},
     " (and no lm_head.weight either)"},
    /* transformers models/t5/modeling_t5.py: both stacks' tables are `shared` */
    {"language_model.shared.weight", {"language_model.encoder.embed_tokens.weight"}, NULL},
    {"language_model.shared.weight", {"language_model.decoder.embed_tokens.weight"}, NULL},
};

enum { N_RULES = sizeof RULES / sizeof *RULES };

/* A rule that applies to a Param, with the digits that its '*' stands for. */
typedef struct Match {
    const Rule *rule;
    const char *number;
    int digits;
} Match;

static bool match(Match *m, const Rule *rule, const char *name)
{
    size_t head = strcspn(rule->param, "*");
    *m = (Match){.rule = rule, .number = name + head};
    if (strncmp(rule->param, name, head) != 0)
        return false;
    const char *tail = rule->param + head;
    if (*tail) {
        m->digits = (int)strspn(m->number, "0123456789");
        tail++;
    }
    return strcmp(m->number + m->digits, tail) == 0;
}

static const char *part_name(const Match *m, int i, char *buf, size_t cap)
{
    const char *part = m->rule->part[i], *star = strchr(part, '*');
    if (!star)
        return part;
    snprintf(buf, cap, "%.*s%.*s%s", (int)(star - part), part, m->digits, m->number, star + 1);
    return buf;
}

static int part_count(const Rule *rule)
{
    int n = 1;
    while (n < RECIPE_PIECES && rule->part[n])
        n++;
    return n;
}

static bool any_part(const Match *m, Checkpoint *c)
{
    char buf[512];
    for (int i = 0; i < part_count(m->rule); i++)
        if (ckpt_find(c, part_name(m, i, buf, sizeof buf)))
            return true;
    return false;
}

/* --- checks ----------------------------------------------------------------------------------- */

static void shape_text(char *out, size_t n, int rank, const int64_t *shape)
{
    size_t at = (size_t)snprintf(out, n, "[");
    for (int i = 0; i < rank && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%lld", i ? "," : "", (long long)shape[i]);
    if (at < n)
        snprintf(out + at, n - at, "]");
}

/* Files may leave out extents of one in front, or have more of them: CLIP's class embedding is [D]. */
static bool same_shape(int a, const int64_t *x, int b, const int64_t *y)
{
    for (; a > 0 && *x == 1; a--)
        x++;
    for (; b > 0 && *y == 1; b--)
        y++;
    return a == b && memcmp(x, y, sizeof *x * (size_t)a) == 0;
}

static bool misshapen(const CkptTensor *t, const ParamSpec *spec, const int64_t *shape, Error *e)
{
    char want[128], got[128];
    if (same_shape(t->rank, t->shape, spec->rank, shape))
        return true;
    shape_text(want, sizeof want, spec->rank, shape);
    shape_text(got, sizeof got, t->rank, t->shape);
    return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected shape %s, got %s", t->file,
                     t->name, want, got);
}

static bool mistyped(const CkptTensor *t, Error *e)
{
    return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected F32, F16 or BF16, got %s",
                     t->file, t->name, dtype_name(t->dtype));
}

/* Whether small integers may stand for it: for the whole of a product's weight. */
static bool may_be_low(const ParamSpec *spec, int64_t rows)
{
    return (spec->kind == PARAM_MATRIX || spec->kind == PARAM_HEAD) && rows == spec->shape[0];
}

/* The tensor holds `rows` rows of the Param, and nothing else. */
static bool fits(const Recipe *r, const CkptTensor *t, const ParamSpec *spec, int64_t rows,
                 Error *e)
{
    int64_t shape[4];
    memcpy(shape, spec->shape, sizeof shape);
    shape[0] = rows;
    if (r->four.code) /* its shape has been compared with what its neighbours say */
        return true;
    if (!dtype_is_float(t->dtype) && !r->scale &&
        !(t->dtype == I4 && t->panels && may_be_low(spec, rows)))
        return mistyped(t, e);
    return misshapen(t, spec, shape, e);
}

static bool scales_good(const CkptTensor *s, int64_t rows, Error *e)
{
    float f;
    if (s->dtype != F32 || s->bytes != sizeof f * (size_t)rows)
        return error_set(e, ERR_BAD_MODEL,
                         "%s: tensor \"%s\": expected %lld scales of type F32, got %zu bytes of %s",
                         s->file, s->name, (long long)rows, s->bytes, dtype_name(s->dtype));
    for (int64_t i = 0; i < rows; i++) {
        memcpy(&f, (const char *)s->data + sizeof f * (size_t)i, sizeof f);
        if (!isfinite(f))
            return error_set(e, ERR_BAD_MODEL,
                             "%s: tensor \"%s\": scale %lld: expected a number, got %g", s->file,
                             s->name, (long long)i, (double)f);
    }
    return true;
}

/* The scales of int8 weights: those of a packed file (ckpt/packed.h), or bitsandbytes'. None: r->scale is NULL. */
static bool take_scales(Recipe *r, Checkpoint *c, const CkptTensor *t, int64_t rows, Error *e)
{
    char name[sizeof r->missing * 2];
    snprintf(name, sizeof name, "%s%s", t->key, PACKED_SCALE);
    r->scale = ckpt_take(c, name);
    r->scale_by = 1;
    if (r->scale)
        return scales_good(r->scale, rows, e);
    r->scale = bnb8_take(c, t, rows, e);
    r->scale_by = 1 / 127.0f;
    return r->scale || e->code == ERR_NONE;
}

/* What lies beside a weight that is stored as small integers. */
static bool take_beside(Recipe *r, Checkpoint *c, const CkptTensor *t, const ParamSpec *spec,
                        int64_t rows, Error *e)
{
    if (!may_be_low(spec, rows))
        return true;
    if (t->dtype == I8)
        return take_scales(r, c, t, rows, e);
    return t->dtype != U8 || bnb4_take(&r->four, c, t, spec->rank, spec->shape, e);
}

static bool missing(Recipe *r, const Checkpoint *c, const char *name, const char *more, Error *e)
{
    snprintf(r->missing, sizeof r->missing, "%s", name);
    return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected, but missing%s", ckpt_path(c),
                     name, more ? more : "");
}

/* --- taking ----------------------------------------------------------------------------------- */

static void add_piece(Recipe *r, const CkptTensor *t, size_t rows)
{
    const RecipePiece *last = r->n ? &r->piece[r->n - 1] : NULL;
    r->piece[r->n++] =
        (RecipePiece){.from = t, .to = last ? last->to + last->rows : 0, .rows = rows};
}

static bool take_piece(Recipe *r, Checkpoint *c, const char *name, const ParamSpec *spec,
                       int64_t rows, Error *e)
{
    const CkptTensor *t = ckpt_take(c, name), *first = r->n ? r->piece[0].from : NULL;
    if (!t)
        return missing(r, c, name, NULL, e);
    if (!take_beside(r, c, t, spec, rows, e) || !fits(r, t, spec, rows, e))
        return false;
    if (first && t->dtype != first->dtype) /* both of them floats */
        return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected %s as \"%s\", got %s",
                         t->file, t->name, dtype_name(first->dtype), first->name,
                         dtype_name(t->dtype));
    if (t->panels && rows != spec->shape[0])
        return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": layout: expected rows, got panels",
                         t->file, t->name);
    r->panels = t->panels;
    r->dtype = r->four.code ? r->four.dtype : t->dtype;
    add_piece(r, t, (size_t)rows);
    return true;
}

static bool take_parts(Recipe *r, Checkpoint *c, const Match *m, const ParamSpec *spec, Error *e)
{
    char buf[512];
    int n = part_count(m->rule);
    int64_t rows = spec->shape[0] / n;
    for (int i = 0; i < n; i++) {
        const char *name = part_name(m, i, buf, sizeof buf);
        if (strcmp(name, ZEROS) == 0)
            add_piece(r, NULL, (size_t)rows);
        else if (!take_piece(r, c, name, spec, rows, e))
            return false;
    }
    return true;
}

bool recipe_take(Recipe *r, Checkpoint *c, const char *name, const ParamSpec *spec, Error *e)
{
    const char *more = NULL;
    const CkptTensor *own = ckpt_find(c, name);
    *r = (Recipe){.width = (size_t)spec->rows * (size_t)spec->cols / (size_t)spec->shape[0]};
    if (own && !(spec->optional && own->used))
        return take_piece(r, c, name, spec, spec->shape[0], e);
    for (int i = 0; !own && i < N_RULES; i++) {
        Match m;
        if (!match(&m, &RULES[i], name))
            continue;
        if (any_part(&m, c))
            return take_parts(r, c, &m, spec, e);
        more = RULES[i].missing;
    }
    return spec->optional || missing(r, c, name, more, e);
}

bool recipe_tied(Recipe *r, Checkpoint *c, const ParamSpec *spec, Error *e)
{
    static const char OPT[] = "language_model.model.decoder.embed_tokens.weight",
                      T5[] = "language_model.shared.weight";
    ParamSpec table = *spec;
    Error none = {0};
    table.kind = PARAM_TABLE;
    table.optional = false;
    return recipe_take(r, c, OPT, &table, &none) || recipe_take(r, c, T5, &table, e);
}

bool recipe_quantised(const Recipe *r)
{
    return r->dtype == I8 || r->dtype == I4;
}
