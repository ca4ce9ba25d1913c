/* ops/loss.c: cross-entropy over the vocabulary, and the start of every backward pass. */
#include "ops/tape.h"

static void softmax_loss_back(Ctx *c, const Node *n)
{
    c->dev->k->softmax_loss_back(c->dev, n->in[0], n->in[1], n->ids, n->out->grad[0]);
}

Tensor *softmax_loss(Ctx *c, Tensor *logits, const int *targets)
{
    if (!logits)
        return NULL;
    for (int i = 0; i < logits->rows; i++)
        if (targets[i] >= logits->cols)
            return ctx_fail(c, ERR_FAILED, "loss: target %d: expected one of 0..%d", targets[i],
                            logits->cols - 1);
    Tensor *loss = tensor_new(c, 1, 1), *probs = tensor_new(c, logits->rows, logits->cols);
    if (!loss || !probs)
        return NULL;
    f32(loss)[0] = c->dev->k->softmax_loss(c->dev, probs, logits, targets);
    if (!c->record || !wants(logits))
        return loss;
    const int *kept = keep_ids(c, targets, logits->rows);
    if (!kept)
        return NULL;
    return record(
        c, (Node){.back = softmax_loss_back, .out = loss, .in = {logits, probs}, .ids = kept});
}

bool backward(Ctx *c, Tensor *loss)
{
    if (!loss || !loss->grad)
        return error_set(&c->err, ERR_USAGE, "backward: nothing on the tape wants a gradient");
    loss->grad[0] = 1;
    return backward_to(c, 0);
}
