/* ops/block.c: the unit of memory and of recomputation (gradient checkpointing, Chen et al. 2016:
 * one layer per segment). */
#include "ops/tape.h"

/* A scope of the arenas in which a layer runs; what it changes in the context is put back. */
typedef struct Scope {
    CtxMark mark;
    bool record, recompute;
    Role role;
} Scope;

static Scope scope_open(Ctx *c, bool record, Role role)
{
    Scope s = {ctx_mark(c), c->record, c->recompute, c->role};
    c->record = record;
    c->recompute = false; /* within a block nothing is taped as a block */
    c->role = role;
    c->depth++;
    return s;
}

static void scope_close(Ctx *c, Scope s)
{
    c->record = s.record;
    c->recompute = s.recompute;
    c->role = s.role;
    c->depth--;
    ctx_release(c, s.mark);
}

/* Replays the layer on the tape, from its kept input, and runs that piece backwards. The gradients of
 * x and `with` lie outside of the scope: backward_to has given them before. */
static void block_back(Ctx *c, const Node *n)
{
    int base = c->n_tape;
    Scope s = scope_open(c, true, n->u.block.role);
    Tensor *y = n->u.block.fn(c, n->u.block.layer, n->in[0], n->u.block.aux);
    if (wants(y) && tensor_grad(c, y)) {
        c->on->k->accumulate(c->on, y->grad, y->ld, n->out->grad, n->out->ld, y->rows, y->cols, 1);
        backward_to(c, base);
    }
    c->n_tape = base;
    scope_close(c, s);
}

/* Runs the layer in an arena scope and keeps only its result, in `out`. */
static Tensor *run_scoped(Ctx *c, BlockFn *fn, const Block *layer, Tensor *x, void *aux,
                          Tensor *out)
{
    Scope s = scope_open(c, false, c->role);
    Tensor *y = fn(c, layer, x, aux);
    if (y && (y->rows != out->rows || y->cols != out->cols))
        y = ctx_fail(c, ERR_BAD_MODEL, "block: expected a result of %dx%d, got %dx%d", out->rows,
                     out->cols, y->rows, y->cols);
    if (y)
        c->on->k->copy(c->on, out, y);
    scope_close(c, s);
    return y ? out : NULL;
}

Tensor *block(Ctx *c, BlockFn *fn, const Block *layer, Tensor *x, Tensor *with, void *aux)
{
    if (!x)
        return NULL;
    bool taped = c->record && (layer->trainable || wants(x) || wants(with));
    if (taped && !c->recompute)
        return fn(c, layer, x, aux);
    /* What an outer scope still needs is not this one's to overwrite. */
    bool reuse = !taped && (x->flags & T_STREAM) && x->depth == c->depth;
    Tensor *out = reuse ? x : tensor_new(c, x->rows, x->cols);
    if (!out || !run_scoped(c, fn, layer, x, aux, out))
        return NULL;
    if (!taped) {
        out->flags |= T_STREAM;
        return out;
    }
    return record(c, (Node){.back = block_back,
                            .out = out,
                            .in = {x, with},
                            .u.block = {fn, layer, aux, c->role}});
}
