/* ops/select.c: log-probabilities and the best ids of a row. Decoding only: nothing is recorded. */
#include "ops/ops.h"

Tensor *log_softmax(Ctx *c, Tensor *x)
{
    Tensor *y = x ? tensor_new(c, x->rows, x->cols) : NULL;
    if (!y)
        return NULL;
    if (!c->on->k->log_softmax(c->on, y, x))
        return ctx_fail(c, ERR_MEMORY, "log_softmax: out of scratch memory");
    return y;
}

/* Device memory for the pass; from NULL: not filled. NULL after an error. */
static void *device_copy(Ctx *c, const void *from, size_t bytes)
{
    void *to = arena_alloc(&c->data, bytes);
    if (to && (!from || c->on->k->upload(c->on, to, from, bytes)))
        return to;
    error_memory(&c->err, "selection", bytes);
    return NULL;
}

static bool bring(Ctx *c, const TopKArgs *a, int rows, TopEntry *out, int *found)
{
    const Backend *k = c->on->k;
    size_t n = (size_t)rows;
    if (k->download(c->on, found, a->found, n * sizeof *found) &&
        (!a->stride || k->download(c->on, out, a->out, n * (size_t)a->stride * sizeof *out)))
        return true;
    return k->sync(c->on, &c->err) && error_set(&c->err, ERR_FAILED, "selection: copy failed");
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
                  .out = device_copy(c, NULL, rows * (size_t)stride * sizeof *out),
                  .found = device_copy(c, NULL, rows * sizeof *found)};
    if (!a.row || !a.ids || !a.out || !a.found)
        return false;
    if (!c->on->k->top_k(c->on, &a))
        return error_memory(&c->err, "selection", rows * (size_t)stride * sizeof(TopEntry));
    return bring(c, &a, logits->rows, out, found);
}
