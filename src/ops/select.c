/* ops/select.c: log-probabilities and the best ids of a row. Decoding only: nothing is recorded. */
#include "ops/tape.h"

Tensor *log_softmax(Ctx *c, Tensor *x)
{
    Tensor *y = x ? tensor_new(c, x->rows, x->cols) : NULL;
    if (y)
        c->on->k->log_softmax(c->on, y, x);
    return y;
}

static void *device_copy(Ctx *c, const void *from, size_t bytes)
{
    void *to = device_take(c, "selection", bytes);
    return to && device_upload(c, to, from, bytes) ? to : NULL;
}

bool top_k(Ctx *c, Tensor *logits, Tensor *logprobs, const TopKRow *row, const int *ids, int n_ids,
           int stride, TopEntry *out, int *found)
{
    if (!logits || !logprobs)
        return false;
    size_t rows = (size_t)logits->rows;
    TopKArgs a = {.logits = logits,
                  .logprobs = logprobs,
                  .stride = stride,
                  .row = device_copy(c, row, rows * sizeof *row),
                  .ids = device_copy(c, ids, (size_t)n_ids * sizeof *ids),
                  .out = device_take(c, "selection", rows * (size_t)stride * sizeof *out),
                  .found = device_take(c, "selection", rows * sizeof *found)};
    if (!a.row || !a.ids || !a.out || !a.found)
        return false;
    if (!c->on->k->top_k(c->on, &a))
        return error_memory(&c->err, "selection", rows * (size_t)stride * sizeof(TopEntry));
    return device_download(c, found, a.found, rows * sizeof *found) &&
           (!stride || device_download(c, out, a.out, rows * (size_t)stride * sizeof *out));
}
