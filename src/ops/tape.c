/* ops/tape.c: nodes, and the gradients of the tensors they join. */
#include "ops/tape.h"

static bool grad_new(Ctx *c, Tensor *t)
{
    size_t bytes = sizeof(float) * (size_t)t->rows * (size_t)t->cols;
    if (t->depth != c->depth)
        BUG("a gradient asked for in a scope that its tensor does not belong to");
    t->grad = arena_alloc(&c->data, bytes);
    if (!t->grad)
        return error_memory(&c->err, "gradients", bytes);
    c->on->k->zero(c->on, t->grad, bytes);
    return true;
}

bool tensor_grad(Ctx *c, Tensor *t)
{
    if (!t->of)
        return t->grad || grad_new(c, t);
    if (!tensor_grad(c, t->of))
        return false;
    t->grad = t->of->grad + (f32(t) - f32(t->of));
    return true;
}

static void keep(Tensor *t)
{
    if (t)
        t->flags &= ~(unsigned)T_STREAM;
}

Tensor *record(Ctx *c, Node n)
{
    size_t need = (size_t)c->n_tape + 1;
    if (!MEM_GROW(c->tape, &c->cap_tape, need)) {
        error_memory(&c->err, "tape", sizeof *c->tape * need);
        return NULL;
    }
    for (int i = 0; i < NODE_IN; i++)
        keep(n.in[i]);
    for (int i = 0; i < n.n_part; i++)
        keep(n.part[i]);
    n.out->flags |= T_GRAD;
    c->tape[c->n_tape++] = n;
    return n.out;
}

static bool input_grads(Ctx *c, const Node *n)
{
    bool ok = true;
    for (int i = 0; i < NODE_IN; i++)
        ok = ok && (!wants(n->in[i]) || tensor_grad(c, n->in[i]));
    for (int i = 0; i < n->n_part; i++)
        ok = ok && (!wants(n->part[i]) || tensor_grad(c, n->part[i]));
    return ok;
}

bool backward_to(Ctx *c, int stop)
{
    while (c->n_tape > stop && !c->err.code) {
        Node n = c->tape[--c->n_tape]; /* a copy: the node may push new ones (block) */
        if (n.out->grad && input_grads(c, &n))
            n.back(c, &n);
    }
    return !c->err.code;
}
