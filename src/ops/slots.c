/* ops/slots.c: the memory of a cache's blocks. */
#include "ops/tape.h"

static Tensor as_tensor(void *data, int rows, int width)
{
    return (Tensor){.dtype = F32, .rows = rows, .cols = width, .ld = width, .data = data};
}

bool slots_resize(Stream *on, SlotBlock *b, int width, int kept, int capacity, Error *e)
{
    size_t bytes = dtype_size(b->dtype) * (size_t)capacity * (size_t)width;
    void *data = on->dev->alloc(on->dev, bytes);
    if (!data)
        return error_memory(e, "key/value cache", bytes);
    if (kept > 0) {
        Tensor from = as_tensor(b->data, kept, width), to = as_tensor(data, kept, width);
        on->k->copy(on, &to, &from);
        if (!on->k->sync(on, e)) { /* the old memory may only go when the new one holds it */
            on->dev->free(on->dev, data);
            return false;
        }
    }
    on->dev->free(on->dev, b->data);
    b->data = data;
    return true;
}

void slots_free(Stream *on, SlotBlock *b)
{
    on->dev->free(on->dev, b->data);
    b->data = NULL;
}

bool slots_store(Ctx *c, SlotBlock to, const Tensor *x, const int *slot)
{
    const int *there = x ? ints_upload(c, slot, x->rows) : NULL;
    if (there)
        c->on->k->store_slots(c->on, to, x, there);
    return there != NULL;
}
