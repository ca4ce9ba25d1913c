/* ops/linear.c: y = act(x W^T + b) + residual, and its gradient. */
#include "ops/tape.h"

static const char *name_of(const Param *p)
{
    return p->name ? p->name : "linear";
}

static Tensor *run(Ctx *c, LinearArgs a)
{
    if (a.x->cols != a.w->cols)
        return ctx_fail(c, ERR_BAD_MODEL, "%s: expected an input of width %d, got %d", name_of(a.w),
                        a.w->cols, a.x->cols);
    Tensor *y = a.y = tensor_new(c, a.x->rows, a.w->rows);
    if (y && !c->dev->k->linear(c->dev, &a))
        return ctx_fail(c, ERR_MEMORY, "%s: out of scratch memory", name_of(a.w));
    return y;
}

static Tensor *product(Ctx *c, Tensor *x, const Linear *l, Act act, Tensor *residual)
{
    return run(c, (LinearArgs){.x = x,
                               .w = &l->w,
                               .b = l->b.data ? &l->b : NULL,
                               .residual = residual,
                               .act = act,
                               .role = c->role});
}

static void linear_back(Ctx *c, const Node *n)
{
    const Linear *l = n->u.linear;
    LinearArgs a = {
        .x = n->in[0], .w = &l->w, .b = l->b.data ? &l->b : NULL, .y = n->out, .role = ROLE_ENCODE};
    if (!c->dev->k->linear_back(c->dev, &a))
        error_memory(&c->err, name_of(&l->w), 0);
}

static bool recording(const Ctx *c, const Tensor *x, const Linear *l)
{
    return c->record && (wants(x) || l->w.grad || l->b.grad);
}

Tensor *linear(Ctx *c, Tensor *x, const Linear *l)
{
    Tensor *y = x ? product(c, x, l, ACT_NONE, NULL) : NULL;
    if (!y || !recording(c, x, l))
        return y;
    return record(c, (Node){.back = linear_back, .out = y, .in = {x}, .u.linear = l});
}

static void head_back(Ctx *c, const Node *n)
{
    LinearArgs a = {.x = n->in[0], .w = n->u.table, .y = n->out, .role = ROLE_ENCODE};
    if (!c->dev->k->linear_back(c->dev, &a))
        error_memory(&c->err, name_of(a.w), 0);
}

Tensor *head(Ctx *c, Tensor *x, const Param *w)
{
    Role role = c->record ? ROLE_ENCODE : ROLE_DECODE;
    Tensor *y = x ? run(c, (LinearArgs){.x = x, .w = w, .role = role}) : NULL;
    if (!y || !c->record || !(wants(x) || w->grad))
        return y;
    return record(c, (Node){.back = head_back, .out = y, .in = {x}, .u.table = w});
}

/* The fused forms are recorded as their parts: the backward needs what lies between them. The
 * backend promises the same bits either way. */
Tensor *linear_act(Ctx *c, Tensor *x, const Linear *l, Act act)
{
    if (!x || !recording(c, x, l))
        return x ? product(c, x, l, act, NULL) : NULL;
    return activate(c, linear(c, x, l), act);
}

Tensor *linear_add(Ctx *c, Tensor *x, const Linear *l, Tensor *residual)
{
    if (!x || !residual)
        return NULL;
    if (residual->rows != x->rows || residual->cols != l->w.rows)
        return ctx_fail(c, ERR_BAD_MODEL, "%s: expected a residual of %dx%d, got %dx%d",
                        name_of(&l->w), x->rows, l->w.rows, residual->rows, residual->cols);
    if (!recording(c, x, l) && !(c->record && wants(residual)))
        return product(c, x, l, ACT_NONE, residual);
    return add(c, linear(c, x, l), residual);
}
