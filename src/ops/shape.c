/* ops/shape.c: embed, views, concat, splice, unfold: rows change place, not value. */
#include <string.h>

#include "ops/tape.h"

const int *keep_ids(Ctx *c, const int *ids, int n)
{
    int *copy = arena_alloc(&c->mem, sizeof *copy * (size_t)n);
    if (!copy) {
        error_memory(&c->err, "ids", sizeof *copy * (size_t)n);
        return NULL;
    }
    return memcpy(copy, ids, sizeof *copy * (size_t)n);
}

static void embed_back(Ctx *c, const Node *n)
{
    c->dev->k->embed_back(c->dev, n->out, n->u.table, n->ids);
}

Tensor *embed(Ctx *c, const Param *table, const int *ids, int n)
{
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= table->rows)
            return ctx_fail(c, ERR_FAILED, "%s: id %d: expected one of 0..%d",
                            table->name ? table->name : "embedding", ids[i], table->rows - 1);
    Tensor *y = tensor_new(c, n, table->cols);
    if (!y)
        return NULL;
    c->dev->k->embed(c->dev, y, table, ids);
    if (!c->record || !table->grad)
        return y;
    const int *kept = keep_ids(c, ids, n);
    if (!kept)
        return NULL;
    return record(c, (Node){.back = embed_back, .out = y, .u.table = table, .ids = kept});
}

/* A window on x. Its gradient is the same window on x's, so nothing needs to be recorded. */
static Tensor *view(Ctx *c, Tensor *x, int row, int n_rows, int col, int n_cols)
{
    if (!x)
        return NULL;
    if (row < 0 || n_rows < 0 || row + n_rows > x->rows || col < 0 || col + n_cols > x->cols)
        return ctx_fail(c, ERR_BAD_MODEL, "view: rows %d+%d, columns %d+%d do not lie in %dx%d",
                        row, n_rows, col, n_cols, x->rows, x->cols);
    Tensor *t = arena_alloc(&c->mem, sizeof *t);
    if (!t)
        return ctx_fail(c, ERR_MEMORY, "view: out of memory");
    size_t at = (size_t)row * (size_t)x->ld + (size_t)col;
    *t = *x;
    t->rows = n_rows;
    t->cols = n_cols;
    t->flags &= ~(unsigned)T_STREAM;
    t->data = f32(x) + at;
    t->grad = x->grad ? x->grad + at : NULL;
    return t;
}

Tensor *columns(Ctx *c, Tensor *x, int from, int n)
{
    return x ? view(c, x, 0, x->rows, from, n) : NULL;
}

Tensor *rows(Ctx *c, Tensor *x, int from, int n)
{
    return x ? view(c, x, from, n, 0, x->cols) : NULL;
}

/* One part of a concatenation; stands apart from `rows` because out has no gradient yet. */
static void copy_part(Ctx *c, Tensor *out, int at, const Tensor *x)
{
    Tensor part = *out;
    part.rows = x->rows;
    part.data = row_f32(out, at);
    c->dev->k->copy(c->dev, &part, x);
}

static void concat_back(Ctx *c, const Node *n)
{
    int at = 0;
    for (int i = 0; i < 2; at += n->in[i]->rows, i++)
        if (n->in[i]->grad)
            c->dev->k->accumulate(c->dev, n->in[i]->grad, n->in[i]->ld, row_grad(n->out, at),
                                  n->out->ld, n->in[i]->rows, n->out->cols, 1);
}

Tensor *concat(Ctx *c, Tensor *a, Tensor *b)
{
    if (!a || !b)
        return NULL;
    if (a->cols != b->cols)
        return ctx_fail(c, ERR_BAD_MODEL, "concat: expected one width, got %d and %d", a->cols,
                        b->cols);
    Tensor *y = tensor_new(c, a->rows + b->rows, a->cols);
    if (!y)
        return NULL;
    copy_part(c, y, 0, a);
    copy_part(c, y, a->rows, b);
    if (!c->record || !(wants(a) || wants(b)))
        return y;
    return record(c, (Node){.back = concat_back, .out = y, .in = {a, b}});
}

static void splice_back(Ctx *c, const Node *n)
{
    for (int i = 0; i < n->out->rows; i++) {
        int second = n->ids[i] >= n->in[0]->rows;
        Tensor *x = n->in[second];
        int r = n->ids[i] - (second ? n->in[0]->rows : 0);
        if (x->grad)
            c->dev->k->accumulate(c->dev, row_grad(x, r), x->ld, row_grad(n->out, i), n->out->ld, 1,
                                  x->cols, 1);
    }
}

Tensor *splice(Ctx *c, Tensor *a, Tensor *b, const int *from, int n)
{
    if (!a || !b)
        return NULL;
    if (a->cols != b->cols)
        return ctx_fail(c, ERR_BAD_MODEL, "splice: expected one width, got %d and %d", a->cols,
                        b->cols);
    Tensor *y = tensor_new(c, n, a->cols);
    if (!y)
        return NULL;
    for (int i = 0; i < n; i++) {
        Tensor row = from[i] < a->rows ? *a : *b;
        row.data = row_f32(&row, from[i] < a->rows ? from[i] : from[i] - a->rows);
        row.rows = 1;
        copy_part(c, y, i, &row);
    }
    if (!c->record || !(wants(a) || wants(b)))
        return y;
    const int *kept = keep_ids(c, from, n);
    if (!kept)
        return NULL;
    return record(c, (Node){.back = splice_back, .out = y, .in = {a, b}, .ids = kept});
}

Tensor *unfold(Ctx *c, const float *px, int batch, int h, int w, int patch)
{
    int patches = batch * (h / patch) * (w / patch);
    Tensor *y = tensor_new(c, patches, 3 * patch * patch);
    if (y)
        c->dev->k->unfold(c->dev, y, px, batch, h, w, patch);
    return y;
}
