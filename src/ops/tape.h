/* ops/tape.h: what ops share to record themselves. Only ops include this.
 *
 * A node keeps pointers only to what lives in the arena outside of any scope that ends before the
 * backward, to Params, and to plain numbers. Its backward adds to the gradients of its inputs. */
#ifndef OPS_TAPE_H
#define OPS_TAPE_H

#include "ops/ops.h"

struct Node {
    void (*back)(Ctx *c, const Node *n);
    Tensor *out, *in[3];
    union {
        const Linear *linear;
        const Norm *norm;
        const Param *table;
        Attn attn;
        Act act;
        struct {
            BlockFn *fn;
            const Block *layer;
            void *aux;
        } block;
    } u;
    const int *ids; /* embed: ids; splice: from; softmax_loss: targets */
};

static inline bool wants(const Tensor *t)
{
    return t && (t->flags & T_GRAD);
}

/* Gives t a zeroed gradient in the arena. false: out of memory, noted in the context. */
bool tensor_want_grad(Ctx *c, Tensor *t);

/* Pushes a node; its output gets a gradient. Ops call it only when recording and some input wants
 * one. Returns n.out. */
Tensor *record(Ctx *c, Node n);

/* Runs the nodes above `stop`, last first. */
bool backward_to(Ctx *c, int stop);

/* A copy of ids in the arena, for nodes whose caller's array may be gone by then. */
const int *keep_ids(Ctx *c, const int *ids, int n);

#endif
