/* ops/rowwise.c: layernorm, activate, add: an output row depends on the same input row. */
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

Tensor *add(Ctx *c, Tensor *a, Tensor *b)
{
    if (!a || !b)
        return NULL;
    if (a->rows != b->rows || a->cols != b->cols)
        return ctx_fail(c, ERR_BAD_MODEL, "add: expected two equal shapes, got %dx%d and %dx%d",
                        a->rows, a->cols, b->rows, b->cols);
    Tensor *y = tensor_new(c, a->rows, a->cols);
    if (!y)
        return NULL;
    c->on->k->add(c->on, y, a, b);
    if (!c->record || !(wants(a) || wants(b)))
        return y;
    return record(c, (Node){.back = add_back, .out = y, .in = {a, b}});
}
