/* ops/block.c: the unit of memory and of recomputation (gradient checkpointing, Chen et al. 2016:
 * one layer per segment). */
#include "ops/tape.h"

/* Replays the layer on the tape, from its kept input, and runs that piece backwards. */
static void block_back(Ctx *c, const Node *n)
{
    ArenaMark mark = arena_mark(&c->mem);
    int base = c->n_tape;
    bool record_before = c->record, recompute_before = c->recompute;
    c->record = true;
    c->recompute = false;
    Tensor *y = n->u.block.fn(c, n->u.block.layer, n->in[0], n->u.block.aux);
    if (y && tensor_want_grad(c, y)) {
        c->dev->k->accumulate(c->dev, y->grad, y->ld, n->out->grad, n->out->ld, y->rows, y->cols,
                              1);
        backward_to(c, base);
    }
    c->n_tape = base;
    c->record = record_before;
    c->recompute = recompute_before;
    arena_release(&c->mem, mark);
}

/* Runs the layer in an arena scope and keeps only its result, in `out`. */
static Tensor *run_scoped(Ctx *c, BlockFn *fn, const Block *layer, Tensor *x, void *aux,
                          Tensor *out)
{
    ArenaMark mark = arena_mark(&c->mem);
    bool record_before = c->record;
    c->record = false;
    Tensor *y = fn(c, layer, x, aux);
    if (y && (y->rows != out->rows || y->cols != out->cols))
        y = ctx_fail(c, ERR_BAD_MODEL, "block: expected a result of %dx%d, got %dx%d", out->rows,
                     out->cols, y->rows, y->cols);
    if (y)
        c->dev->k->copy(c->dev, out, y);
    c->record = record_before;
    arena_release(&c->mem, mark);
    return y ? out : NULL;
}

Tensor *block(Ctx *c, BlockFn *fn, const Block *layer, Tensor *x, void *aux)
{
    if (!x)
        return NULL;
    bool taped = c->record && (layer->trainable || wants(x));
    if (taped && !c->recompute)
        return fn(c, layer, x, aux);
    bool reuse = !taped && (x->flags & T_STREAM);
    Tensor *out = reuse ? x : tensor_new(c, x->rows, x->cols);
    if (!out || !run_scoped(c, fn, layer, x, aux, out))
        return NULL;
    if (!taped) {
        out->flags |= T_STREAM;
        return out;
    }
    return record(c,
                  (Node){.back = block_back, .out = out, .in = {x}, .u.block = {fn, layer, aux}});
}
