/* ops/shape.c: embed, views, concat, gather_rows, resize_grid, unfold: rows change place. */
#include <limits.h>
#include <string.h>

#include "ops/tape.h"

/* --- embed --------------------------------------------------------------------------------------- */

static void embed_back(Ctx *c, const Node *n)
{
    if (table_ok(c, n->u.param))
        c->on->k->embed_back(c->on, n->out, n->u.param, n->ids);
}

static bool ids_ok(Ctx *c, const Param *table, const int *ids, int n)
{
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= table->rows)
            return error_set(&c->err, ERR_FAILED, "%s: id %d: expected one of 0..%d",
                             param_name(table), ids[i], table->rows - 1);
    return true;
}

Tensor *embed(Ctx *c, const Param *table, const int *ids, int n)
{
    if (!table_ok(c, table) || !ids_ok(c, table, ids, n))
        return NULL;
    Tensor *y = tensor_new(c, n, table->cols);
    const int *there = y ? ints_upload(c, ids, n) : NULL;
    if (!there)
        return NULL;
    c->on->k->embed(c->on, y, table, there);
    if (!c->record || !table->grad)
        return y;
    return record(c, (Node){.back = embed_back, .out = y, .u.param = table, .ids = there});
}

/* --- views --------------------------------------------------------------------------------------- */

/* A window on x. Its gradient is the same window on x's, so nothing needs to be recorded; and x must
 * stay what it is. */
static Tensor *view(Ctx *c, Tensor *x, int row, int n_rows, int col, int n_cols)
{
    if (!x)
        return NULL;
    if (row < 0 || n_rows < 0 || row + n_rows > x->rows || col < 0 || col + n_cols > x->cols)
        return ctx_fail(c, ERR_BAD_MODEL, "view: rows %d+%d, columns %d+%d do not lie in %dx%d",
                        row, n_rows, col, n_cols, x->rows, x->cols);
    Tensor *t = tensor_at(c, row_f32(x, row) + col, n_rows, n_cols);
    if (!t)
        return NULL;
    x->flags &= ~(unsigned)T_STREAM;
    t->flags = x->flags;
    t->ld = x->ld;
    t->of = x->of ? x->of : x;
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

/* --- concat -------------------------------------------------------------------------------------- */

static void concat_back(Ctx *c, const Node *n)
{
    for (int i = 0, at = 0; i < n->n_part; at += n->part[i]->rows, i++) {
        const Tensor *x = n->part[i];
        if (x->grad)
            c->on->k->accumulate(c->on, x->grad, x->ld, row_grad(n->out, at), n->out->ld, x->rows,
                                 x->cols, 1);
    }
}

/* The rows of all parts; -1 after an error. */
static int concat_rows(Ctx *c, Tensor *const *part, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) {
        if (!part[i])
            return -1;
        if (part[i]->cols != part[0]->cols) {
            ctx_fail(c, ERR_BAD_MODEL, "concat: expected one width, got %d and %d", part[0]->cols,
                     part[i]->cols);
            return -1;
        }
        sum += part[i]->rows;
    }
    return sum;
}

static Tensor *concat_record(Ctx *c, Tensor *y, Tensor *const *part, int n)
{
    Tensor **kept = arena_alloc(&c->mem, sizeof(*kept) * (size_t)n);
    if (!kept)
        return ctx_fail(c, ERR_MEMORY, "concat: out of memory");
    memcpy(kept, part, sizeof(*kept) * (size_t)n);
    return record(c, (Node){.back = concat_back, .out = y, .part = kept, .n_part = n});
}

Tensor *concat(Ctx *c, Tensor *const *part, int n)
{
    if (n < 1)
        BUG("concat of nothing");
    int sum = concat_rows(c, part, n);
    Tensor *y = sum < 0 ? NULL : tensor_new(c, sum, part[0]->cols);
    if (!y)
        return NULL;
    bool wanted = false;
    for (int i = 0, at = 0; i < n; at += part[i]->rows, i++) {
        Tensor to = {.rows = part[i]->rows, .cols = y->cols, .ld = y->ld, .data = row_f32(y, at)};
        c->on->k->copy(c->on, &to, part[i]);
        wanted = wanted || wants(part[i]);
    }
    return c->record && wanted ? concat_record(c, y, part, n) : y;
}

/* --- gather_rows --------------------------------------------------------------------------------- */

static void gather_rows_back(Ctx *c, const Node *n)
{
    c->on->k->gather_rows_back(c->on, n->out, n->in[0], n->in[1], n->ids);
}

static bool gather_ok(Ctx *c, const Tensor *a, const Tensor *b, const int *from, int n)
{
    int all = a->rows + (b ? b->rows : 0);
    if (b && a->cols != b->cols)
        return error_set(&c->err, ERR_BAD_MODEL, "gather_rows: expected one width, got %d and %d",
                         a->cols, b->cols);
    for (int i = 0; i < n; i++)
        if (from[i] < 0 || from[i] >= all)
            return error_set(&c->err, ERR_FAILED, "gather_rows: row %d: expected one of 0..%d",
                             from[i], all - 1);
    return true;
}

Tensor *gather_rows(Ctx *c, Tensor *a, Tensor *b, const int *from, int n)
{
    if (!a || !gather_ok(c, a, b, from, n))
        return NULL;
    Tensor *y = tensor_new(c, n, a->cols);
    const int *there = y ? ints_upload(c, from, n) : NULL;
    if (!there)
        return NULL;
    c->on->k->gather_rows(c->on, y, a, b, there);
    if (!c->record || !(wants(a) || wants(b)))
        return y;
    return record(c, (Node){.back = gather_rows_back, .out = y, .in = {a, b}, .ids = there});
}

/* --- resize_grid, unfold -------------------------------------------------------------------------- */

static void resize_grid_back(Ctx *c, const Node *n)
{
    c->on->k->resize_grid_back(c->on, n->out, n->in[0], n->u.grid.n, n->u.grid.h, n->u.grid.w,
                               n->u.grid.corners);
}

Tensor *resize_grid(Ctx *c, Tensor *table, int grid, int gh, int gw, bool corners)
{
    if (!table)
        return NULL;
    if (grid < 1 || gh < 1 || gw < 1 || table->rows - 1LL != (long long)grid * grid)
        return ctx_fail(c, ERR_BAD_MODEL, "positions: expected 1 + %dx%d rows, got %d", grid, grid,
                        table->rows);
    if ((long long)gh * gw >= INT_MAX)
        return ctx_fail(c, ERR_FAILED, "positions: expected a grid that fits, got %dx%d", gh, gw);
    Tensor *y = tensor_new(c, 1 + gh * gw, table->cols);
    if (!y)
        return NULL;
    c->on->k->resize_grid(c->on, y, table, grid, gh, gw, corners);
    if (!c->record || !wants(table))
        return y;
    return record(c, (Node){.back = resize_grid_back,
                            .out = y,
                            .in = {table},
                            .u.grid = {grid, gh, gw, corners}});
}

Tensor *unfold(Ctx *c, const Tensor *px, int h, int w, int patch)
{
    if (!px)
        return NULL;
    if (h < patch || w < patch)
        return ctx_fail(c, ERR_FAILED, "pixels: expected at least one patch of %dx%d, got %dx%d",
                        patch, patch, h, w);
    if (px->cols % 3 || px->cols / 3 != (long long)h * w) /* 3 * h * w may be too much */
        return ctx_fail(c, ERR_BAD_MODEL, "pixels: expected rows of 3x%dx%d, got %d", h, w,
                        px->cols);
    int each = h / patch * (w / patch);
    if ((long long)px->rows * each > INT_MAX)
        return ctx_fail(c, ERR_FAILED, "pixels: expected fewer patches than %d x %dx%d", px->rows,
                        h / patch, w / patch);
    Tensor *y = tensor_new(c, px->rows * each, 3 * patch * patch);
    if (y)
        c->on->k->unfold(c->on, y, px, h, w, patch);
    return y;
}

bool tensor_copy(Ctx *c, Tensor *to, const Tensor *x)
{
    if (!to || !x)
        return false;
    if (to->rows != x->rows || to->cols != x->cols)
        return error_set(&c->err, ERR_BAD_MODEL, "copy: expected %dx%d, got %dx%d", to->rows,
                         to->cols, x->rows, x->cols);
    c->on->k->copy(c->on, to, x);
    return true;
}
