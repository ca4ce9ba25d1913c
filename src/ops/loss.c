/* ops/loss.c: cross-entropy over the vocabulary, and the start of every backward pass. */
#include "ops/tape.h"

static void softmax_loss_back(Ctx *c, const Node *n)
{
    c->on->k->softmax_loss_back(c->on, n->out, n->in[0], n->in[1], n->ids);
}

static bool targets_ok(Ctx *c, const Tensor *logits, const int *targets)
{
    for (int i = 0; i < logits->rows; i++)
        if (targets[i] >= logits->cols)
            return error_set(&c->err, ERR_FAILED, "loss: target %d: expected one of 0..%d",
                             targets[i], logits->cols - 1);
    return true;
}

Tensor *softmax_loss(Ctx *c, Tensor *logits, const int *targets)
{
    if (!logits || !targets_ok(c, logits, targets))
        return NULL;
    Tensor *loss = tensor_new(c, 1, 1), *probs = tensor_new(c, logits->rows, logits->cols);
    const int *there = loss && probs ? ints_upload(c, targets, logits->rows) : NULL;
    if (!there)
        return NULL;
    c->on->k->softmax_loss(c->on, loss, probs, logits, there);
    if (!c->record || !wants(logits))
        return loss;
    return record(
        c, (Node){.back = softmax_loss_back, .out = loss, .in = {logits, probs}, .ids = there});
}

bool backward(Ctx *c, Tensor *loss)
{
    static const float ONE = 1;
    if (!loss || !wants(loss))
        return error_set(&c->err, ERR_USAGE, "backward: nothing on the tape wants a gradient");
    if (!tensor_grad(c, loss))
        return false;
    return device_upload(c, loss->grad, &ONE, sizeof ONE) && backward_to(c, 0);
}
