/* ops/linear.c: y = act(x W^T + b) + residual, and its gradient. */
#include "ops/tape.h"

static const Param *bias_of(const Linear *l)
{
    return l->b.data ? &l->b : NULL;
}

static bool params_ok(Ctx *c, const Param *w, const Param *b)
{
    return matrix_ok(c, w) && (!b || vector_ok(c, b, w->rows));
}

/* Everything but the result is filled in. */
static Tensor *product(Ctx *c, LinearArgs a)
{
    if (!params_ok(c, a.w, a.b))
        return NULL;
    if (a.x->cols != a.w->cols)
        return ctx_fail(c, ERR_BAD_MODEL, "%s: expected an input of width %d, got %d",
                        param_name(a.w), a.w->cols, a.x->cols);
    a.y = tensor_new(c, a.x->rows, a.w->rows);
    if (a.y && !c->on->k->linear(c->on, &a))
        return ctx_fail(c, ERR_MEMORY, "%s: out of scratch memory", param_name(a.w));
    return a.y;
}

static void product_back(Ctx *c, const Node *n, const Param *w, const Param *b)
{
    LinearArgs a = {.x = n->in[0], .w = w, .b = b, .y = n->out, .role = ROLE_ENCODE};
    if (params_ok(c, w, b) && !c->on->k->linear_back(c->on, &a))
        error_memory(&c->err, param_name(w), 0);
}

/* --- linear -------------------------------------------------------------------------------------- */

static void linear_back(Ctx *c, const Node *n)
{
    product_back(c, n, &n->u.linear->w, bias_of(n->u.linear));
}

static bool recording(const Ctx *c, const Tensor *x, const Linear *l)
{
    return c->record && (wants(x) || l->w.grad || l->b.grad);
}

static Tensor *linear_of(Ctx *c, Tensor *x, const Linear *l, Act act, Tensor *residual)
{
    return product(c, (LinearArgs){.x = x,
                                   .w = &l->w,
                                   .b = bias_of(l),
                                   .residual = residual,
                                   .act = act,
                                   .role = c->role});
}

Tensor *linear(Ctx *c, Tensor *x, const Linear *l)
{
    Tensor *y = x ? linear_of(c, x, l, ACT_NONE, NULL) : NULL;
    if (!y || !recording(c, x, l))
        return y;
    return record(c, (Node){.back = linear_back, .out = y, .in = {x}, .u.linear = l});
}

/* The fused forms are recorded as their parts: the backward needs what lies between them. The
 * backend promises the same bits either way. */
Tensor *linear_act(Ctx *c, Tensor *x, const Linear *l, Act act)
{
    if (!x || !recording(c, x, l))
        return x ? linear_of(c, x, l, act, NULL) : NULL;
    return activate(c, linear(c, x, l), act);
}

Tensor *linear_add(Ctx *c, Tensor *x, const Linear *l, Tensor *residual)
{
    if (!x || !residual)
        return NULL;
    if (residual->rows != x->rows || residual->cols != l->w.rows)
        return ctx_fail(c, ERR_BAD_MODEL, "%s: expected a residual of %dx%d, got %dx%d",
                        param_name(&l->w), x->rows, l->w.rows, residual->rows, residual->cols);
    if (!recording(c, x, l) && !(c->record && wants(residual)))
        return linear_of(c, x, l, ACT_NONE, residual);
    return add(c, linear(c, x, l), residual);
}

/* --- head ---------------------------------------------------------------------------------------- */

static void head_back(Ctx *c, const Node *n)
{
    product_back(c, n, n->u.param, NULL);
}

Tensor *head(Ctx *c, Tensor *x, const Param *w)
{
    Role role = c->record ? c->role : ROLE_DECODE;
    Tensor *y = x ? product(c, (LinearArgs){.x = x, .w = w, .role = role}) : NULL;
    if (!y || !c->record || !(wants(x) || w->grad))
        return y;
    return record(c, (Node){.back = head_back, .out = y, .in = {x}, .u.param = w});
}
