/* models/recipe.c: the table of weights that come in pieces; finding and reading pieces. */
#include "models/recipe.h"

#include <stdio.h>
#include <string.h>

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

/* The tensor holds `rows` rows of the Param, and nothing else. */
static bool fits(const CkptTensor *t, const ParamSpec *spec, int64_t rows, Error *e)
{
    char want[128], got[128];
    int64_t shape[4];
    memcpy(shape, spec->shape, sizeof shape);
    shape[0] = rows;
    if (!dtype_is_float(t->dtype))
        return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected F32, F16 or BF16, got %s",
                         t->file, t->name, dtype_name(t->dtype));
    if (same_shape(t->rank, t->shape, spec->rank, shape))
        return true;
    shape_text(want, sizeof want, spec->rank, shape);
    shape_text(got, sizeof got, t->rank, t->shape);
    return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected shape %s, got %s", t->file,
                     t->name, want, got);
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
    if (!fits(t, spec, rows, e))
        return false;
    if (first && t->dtype != first->dtype)
        return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": expected %s as \"%s\", got %s",
                         t->file, t->name, dtype_name(first->dtype), first->name,
                         dtype_name(t->dtype));
    if (t->panels && rows != spec->shape[0])
        return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%s\": layout: expected rows, got panels",
                         t->file, t->name);
    r->panels = t->panels;
    r->dtype = t->dtype;
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

/* --- reading ---------------------------------------------------------------------------------- */

static const char *stored_row(const Recipe *r, const RecipePiece *p, size_t row)
{
    return (const char *)p->from->data + dtype_bytes(r->dtype, (p->first + row) * r->width);
}

const void *recipe_in_place(const Recipe *r)
{
    const char *at = r->n == 1 ? stored_row(r, &r->piece[0], 0) : NULL;
    return (uintptr_t)at % dtype_size(r->dtype) == 0 ? at : NULL;
}

void recipe_copy(const Recipe *r, void *out)
{
    if (r->panels)
        memcpy(out, r->piece[0].from->data, r->piece[0].from->bytes);
    for (int i = 0; !r->panels && i < r->n; i++) {
        const RecipePiece *p = &r->piece[i];
        char *to = (char *)out + dtype_bytes(r->dtype, p->to * r->width);
        size_t bytes = dtype_bytes(r->dtype, p->rows * r->width);
        if (p->from)
            memcpy(to, stored_row(r, p, 0), bytes);
        else
            memset(to, 0, bytes);
    }
}

/* Some rows of one piece: where they begin in it, and in what is asked for. */
typedef struct Run {
    size_t from, to, n;
} Run;

/* What of piece p lies among the n rows from `first` on; n 0: nothing. */
static Run run_of(const RecipePiece *p, size_t first, size_t n)
{
    size_t from = p->to > first ? p->to : first;
    size_t end = p->to + p->rows < first + n ? p->to + p->rows : first + n;
    return from < end ? (Run){from - p->to, from - first, end - from} : (Run){0};
}

void recipe_rows(const Recipe *r, void *out, size_t first, size_t n)
{
    const size_t bytes = dtype_bytes(r->dtype, r->width);
    for (size_t i = 0; r->panels && i < n; i++)
        panel_to_row((char *)out + i * bytes, r->piece[0].from->data, first + i, 0, r->width,
                     r->dtype, r->width);
    for (int i = 0; !r->panels && i < r->n; i++) {
        const RecipePiece *p = &r->piece[i];
        Run run = run_of(p, first, n);
        char *to = (char *)out + run.to * bytes;
        if (p->from && run.n)
            memcpy(to, stored_row(r, p, run.from), run.n * bytes);
        else
            memset(to, 0, run.n * bytes);
    }
}

/* A row of a weight in panels, some numbers at a time. */
static void panel_floats(const Recipe *r, float *out, size_t row)
{
    enum { SOME = 256 };
    float stored[SOME]; /* of any type */
    for (size_t k = 0; k < r->width; k += SOME) {
        size_t n = r->width - k < SOME ? r->width - k : SOME;
        panel_to_row(stored, r->piece[0].from->data, row, k, n, r->dtype, r->width);
        convert_to_f32(out + k, stored, r->dtype, n);
    }
}

void recipe_floats(const Recipe *r, float *out, size_t first, size_t n)
{
    for (size_t i = 0; r->panels && i < n; i++)
        panel_floats(r, out + i * r->width, first + i);
    for (int i = 0; !r->panels && i < r->n; i++) {
        const RecipePiece *p = &r->piece[i];
        Run run = run_of(p, first, n);
        float *to = out + run.to * r->width;
        if (p->from && run.n)
            convert_to_f32(to, stored_row(r, p, run.from), r->dtype, run.n * r->width);
        else
            memset(to, 0, run.n * r->width * sizeof *to);
    }
}

void recipe_done(const Recipe *r)
{
    for (int i = 0; i < r->n; i++)
        if (r->piece[i].from)
            ckpt_done_with(r->piece[i].from);
}
