/* ops/tape.h: what ops share to check and record themselves. Only ops include this.
 *
 * A node keeps pointers only to what lives in the arenas outside of any scope that ends before the
 * backward, to Params, and to plain numbers. Its `back` adds to the gradients of its inputs.
 *
 * Gradients have no memory during the forward: T_GRAD says who wants one. Before a node runs
 * backwards, those of its inputs that want a gradient get one; a node whose result has none by then
 * reaches no loss, and is skipped. */
#ifndef OPS_TAPE_H
#define OPS_TAPE_H

#include "ops/ops.h"
#include "tensor/host.h"

enum { NODE_IN = 4 }; /* attention: q, k, v and the bias */

struct Node {
    void (*back)(Ctx *c, const Node *n);
    Tensor *out, *in[NODE_IN];
    Tensor *const *part; /* concat: its inputs, n_part of them; else NULL */
    int n_part;
    const int *ids; /* device memory. embed: ids; gather_rows: from; softmax_loss: targets */
    union {
        const Linear *linear;
        const Norm *norm;
        const Param *param; /* embed: the table; head: the weight */
        Attn attn;
        Act act;
        struct {
            int n, h, w;
            bool corners;
        } grid;
        const Rms *rms;
        float factor; /* scale */
        int group;    /* mean_rows */
        struct {
            BlockFn *fn;
            const Block *layer;
            void *aux;
            Role role;
        } block;
    } u;
};

static inline bool wants(const Tensor *t)
{
    return t && (t->flags & T_GRAD);
}

/* Gives t its gradient, zeroed if nobody asked before; a view's is a window on that of the tensor it
 * looks at. false: out of memory, noted in the context. A tensor from outside the open block scope
 * must have its gradient already: the scope's memory does not last. */
bool tensor_grad(Ctx *c, Tensor *t);

/* Pushes a node. Ops call it only when recording and some input wants a gradient: so does the result
 * then. The inputs are kept: block() must not overwrite them. Returns n.out. */
Tensor *record(Ctx *c, Node n);

/* Runs the nodes above `stop`, last first. */
bool backward_to(Ctx *c, int stop);

/* Device memory of the pass. NULL: noted, `what` being what it was for. */
void *device_take(Ctx *c, const char *what, size_t bytes);
/* Copies to the device (0 bytes are fine) and, after all work before it, from there. false: noted is
 * what sync says, or that the copy failed. */
bool device_upload(Ctx *c, void *to, const void *from, size_t bytes);
bool device_download(Ctx *c, void *to, const void *from, size_t bytes);

/* Can the kernels read this Param? Each notes ERR_BAD_MODEL, naming it, and returns false if not. */
bool matrix_ok(
    Ctx *c, const Param *w); /* F32, F16, BF16, I8 with scale, I4 in panels; rows when recording */
bool table_ok(Ctx *c, const Param *table);     /* F32, F16, BF16; rows */
bool vector_ok(Ctx *c, const Param *v, int n); /* F32 [n] */

const char *param_name(const Param *p);

#endif
