/* ops/ctx.c: the context of a pass: its memory, its first error, the ways in and out of the device. */
#include "ops/tape.h"

#include <stdarg.h>
#include <stdio.h>

static void *device_alloc(void *dev, size_t n)
{
    return ((Device *)dev)->alloc(dev, n);
}

static void device_free(void *dev, void *p)
{
    ((Device *)dev)->free(dev, p);
}

void ctx_init(Ctx *c, Stream *on)
{
    *c = (Ctx){.on = on, .data.source = {device_alloc, device_free, on->dev}};
}

void ctx_begin(Ctx *c, Role role)
{
    ctx_release(c, (CtxMark){0});
    c->role = role;
    c->depth = 0;
    c->n_tape = 0;
    c->err.code = ERR_NONE;
}

void ctx_free(Ctx *c)
{
    arena_free(&c->mem);
    arena_free(&c->data);
    mem_free(c->tape);
    *c = (Ctx){0};
}

bool ctx_sync(Ctx *c)
{
    return !c->err.code && c->on->k->sync(c->on, &c->err);
}

CtxMark ctx_mark(const Ctx *c)
{
    return (CtxMark){arena_mark(&c->mem), arena_mark(&c->data)};
}

void ctx_release(Ctx *c, CtxMark m)
{
    arena_release(&c->mem, m.mem);
    arena_release(&c->data, m.data);
}

Tensor *ctx_fail(Ctx *c, ErrorCode code, const char *fmt, ...)
{
    char text[sizeof c->err.message];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_set(&c->err, code, "%s", text);
    return NULL;
}

/* --- tensors ------------------------------------------------------------------------------------ */

Tensor *tensor_at(Ctx *c, void *data, int rows, int cols)
{
    Tensor *t = arena_alloc(&c->mem, sizeof *t);
    if (!t)
        return ctx_fail(c, ERR_MEMORY, "activations: out of memory");
    *t = (Tensor){
        .dtype = F32, .rows = rows, .cols = cols, .ld = cols, .depth = c->depth, .data = data};
    return t;
}

Tensor *tensor_of(Ctx *c, const Tensor *t)
{
    Tensor *view = tensor_at(c, t->data, t->rows, t->cols);
    if (view)
        view->ld = t->ld;
    return view;
}

void *device_take(Ctx *c, const char *what, size_t bytes)
{
    void *p = arena_alloc(&c->data, bytes);
    if (!p)
        error_memory(&c->err, what, bytes);
    return p;
}

Tensor *tensor_new(Ctx *c, int rows, int cols)
{
    void *data = device_take(c, "activations", sizeof(float) * (size_t)rows * (size_t)cols);
    return data ? tensor_at(c, data, rows, cols) : NULL;
}

/* Why a copy failed: the device says, or nobody knows. Always returns false. */
static bool copy_failed(Ctx *c, const char *what)
{
    if (c->on->k->sync(c->on, &c->err))
        error_set(&c->err, ERR_FAILED, "%s: %s failed", c->on->dev->name, what);
    return false;
}

bool device_upload(Ctx *c, void *to, const void *from, size_t bytes)
{
    return !bytes || c->on->k->upload(c->on, to, from, bytes) || copy_failed(c, "upload");
}

bool device_download(Ctx *c, void *to, const void *from, size_t bytes)
{
    return c->on->k->download(c->on, to, from, bytes) || copy_failed(c, "download");
}

Tensor *tensor_upload(Ctx *c, const float *from, int rows, int cols)
{
    Tensor *t = tensor_new(c, rows, cols);
    bool ok = t && device_upload(c, t->data, from, sizeof(float) * (size_t)rows * (size_t)cols);
    return ok ? t : NULL;
}

const int *ints_upload(Ctx *c, const int *from, int n)
{
    size_t bytes = sizeof *from * (size_t)n;
    int *to = device_take(c, "lists", bytes);
    return to && device_upload(c, to, from, bytes) ? to : NULL;
}

/* t, or a copy of it whose rows lie without gaps. */
static const Tensor *dense(Ctx *c, const Tensor *t)
{
    if (t->ld == t->cols)
        return t;
    Tensor *copy = tensor_new(c, t->rows, t->cols);
    if (copy)
        c->on->k->copy(c->on, copy, t);
    return copy;
}

bool tensor_download(Ctx *c, float *to, const Tensor *t)
{
    if (!t || c->err.code)
        return false;
    CtxMark mark = ctx_mark(c);
    const Tensor *from = dense(c, t);
    size_t bytes = sizeof(float) * (size_t)t->rows * (size_t)t->cols;
    bool ok = from && device_download(c, to, from->data, bytes);
    ctx_release(c, mark);
    return ok;
}

Tensor *tap(Ctx *c, Tensor *t, const char *fmt, ...)
{
    char name[64];
    if (!t || !c->tap)
        return t;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    c->tap(c->tap_user, name, t);
    return t;
}
