/* ops/rowwise.c: norms, activate, add, multiply, scale, mean_rows: an output row depends on the same input row. */
#include "ops/tape.h"

static bool norm_ok(Ctx *c, const Norm *n)
{
    return vector_ok(c, &n->w, n->w.cols) && vector_ok(c, &n->b, n->w.cols);
}

static void layernorm_back(Ctx *c, const Node *n)
{
    const Norm *m = n->u.norm;
    if (norm_ok(c, m))
        c->on->k->layernorm_back(c->on, n->out, n->in[0], &m->w, &m->b, m->eps);
}

Tensor *layernorm(Ctx *c, Tensor *x, const Norm *n)
{
    if (!x || !norm_ok(c, n))
        return NULL;
    if (x->cols != n->w.cols)
        return ctx_fail(c, ERR_BAD_MODEL, "%s: expected an input of width %d, got %d",
                        param_name(&n->w), n->w.cols, x->cols);
    Tensor *y = tensor_new(c, x->rows, x->cols);
    if (!y)
        return NULL;
    c->on->k->layernorm(c->on, y, x, &n->w, &n->b, n->eps);
    if (!c->record || !(wants(x) || n->w.grad || n->b.grad))
        return y;
    return record(c, (Node){.back = layernorm_back, .out = y, .in = {x}, .u.norm = n});
}

static void rmsnorm_back(Ctx *c, const Node *n)
{
    const Rms *m = n->u.rms;
    if (vector_ok(c, &m->w, m->w.cols))
        c->on->k->rmsnorm_back(c->on, n->out, n->in[0], &m->w, m->eps);
}

Tensor *rmsnorm(Ctx *c, Tensor *x, const Rms *n)
{
    if (!x || !vector_ok(c, &n->w, n->w.cols))
        return NULL;
    if (x->cols != n->w.cols)
        return ctx_fail(c, ERR_BAD_MODEL, "%s: expected an input of width %d, got %d",
                        param_name(&n->w), n->w.cols, x->cols);
    Tensor *y = tensor_new(c, x->rows, x->cols);
    if (!y)
        return NULL;
    c->on->k->rmsnorm(c->on, y, x, &n->w, n->eps);
    if (!c->record || !(wants(x) || n->w.grad))
        return y;
    return record(c, (Node){.back = rmsnorm_back, .out = y, .in = {x}, .u.rms = n});
}

static const float LENGTH_LEAST = 1e-12f;

static void l2norm_back(Ctx *c, const Node *n)
{
    c->on->k->l2norm_back(c->on, n->out, n->in[0], LENGTH_LEAST);
}

Tensor *l2norm(Ctx *c, Tensor *x)
{
    Tensor *y = x ? tensor_new(c, x->rows, x->cols) : NULL;
    if (!y)
        return NULL;
    c->on->k->l2norm(c->on, y, x, LENGTH_LEAST);
    if (!c->record || !wants(x))
        return y;
    return record(c, (Node){.back = l2norm_back, .out = y, .in = {x}});
}

static void activate_back(Ctx *c, const Node *n)
{
    c->on->k->activate_back(c->on, n->out, n->in[0], n->u.act);
}

Tensor *activate(Ctx *c, Tensor *x, Act act)
{
    Tensor *y = x ? tensor_new(c, x->rows, x->cols) : NULL;
    if (!y)
        return NULL;
    c->on->k->activate(c->on, y, x, act);
    if (!c->record || !wants(x))
        return y;
    return record(c, (Node){.back = activate_back, .out = y, .in = {x}, .u.act = act});
}

static void add_back(Ctx *c, const Node *n)
{
    const Tensor *y = n->out;
    for (int i = 0; i < 2; i++)
        if (n->in[i]->grad)
            c->on->k->accumulate(c->on, n->in[i]->grad, n->in[i]->ld, y->grad, y->ld, y->rows,
                                 y->cols, 1);
}

/* What an op of two equal shapes returns, not filled yet; NULL: c->err. */
static Tensor *for_both(Ctx *c, const char *op, const Tensor *a, const Tensor *b)
{
    if (!a || !b)
        return NULL;
    if (a->rows != b->rows || a->cols != b->cols)
        return ctx_fail(c, ERR_BAD_MODEL, "%s: expected two equal shapes, got %dx%d and %dx%d", op,
                        a->rows, a->cols, b->rows, b->cols);
    return tensor_new(c, a->rows, a->cols);
}

Tensor *add(Ctx *c, Tensor *a, Tensor *b)
{
    Tensor *y = for_both(c, "add", a, b);
    if (!y)
        return NULL;
    c->on->k->add(c->on, y, a, b);
    if (!c->record || !(wants(a) || wants(b)))
        return y;
    return record(c, (Node){.back = add_back, .out = y, .in = {a, b}});
}

static void multiply_back(Ctx *c, const Node *n)
{
    c->on->k->multiply_back(c->on, n->out, n->in[0], n->in[1]);
}

Tensor *multiply(Ctx *c, Tensor *a, Tensor *b)
{
    Tensor *y = for_both(c, "multiply", a, b);
    if (!y)
        return NULL;
    c->on->k->multiply(c->on, y, a, b);
    if (!c->record || !(wants(a) || wants(b)))
        return y;
    return record(c, (Node){.back = multiply_back, .out = y, .in = {a, b}});
}

static void scale_back(Ctx *c, const Node *n)
{
    const Tensor *x = n->in[0], *y = n->out;
    if (x->grad)
        c->on->k->accumulate(c->on, x->grad, x->ld, y->grad, y->ld, y->rows, y->cols, n->u.factor);
}

Tensor *scale(Ctx *c, Tensor *x, float factor)
{
    Tensor *y = x ? tensor_new(c, x->rows, x->cols) : NULL;
    if (!y)
        return NULL;
    c->on->k->zero(c->on, y->data, sizeof(float) * (size_t)y->rows * (size_t)y->cols);
    c->on->k->accumulate(c->on, y->data, y->ld, x->data, x->ld, x->rows, x->cols, factor);
    if (!c->record || !wants(x))
        return y;
    return record(c, (Node){.back = scale_back, .out = y, .in = {x}, .u.factor = factor});
}

static void mean_rows_back(Ctx *c, const Node *n)
{
    c->on->k->mean_rows_back(c->on, n->out, n->in[0], n->u.group);
}

Tensor *mean_rows(Ctx *c, Tensor *x, int group)
{
    if (!x)
        return NULL;
    if (group < 1 || x->rows % group != 0)
        return ctx_fail(c, ERR_BAD_MODEL, "mean: expected groups of %d rows, got %d rows", group,
                        x->rows);
    Tensor *y = tensor_new(c, x->rows / group, x->cols);
    if (!y)
        return NULL;
    c->on->k->mean_rows(c->on, y, x, group);
    if (!c->record || !wants(x))
        return y;
    return record(c, (Node){.back = mean_rows_back, .out = y, .in = {x}, .u.group = group});
}
