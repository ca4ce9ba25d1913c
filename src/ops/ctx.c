#include "ops/ctx.h"

#include <stdarg.h>
#include <stdio.h>

#include "ops/tape.h"

void ctx_init(Ctx *c, Stream *dev)
{
    *c = (Ctx){.dev = dev};
}

void ctx_reset(Ctx *c)
{
    arena_release(&c->mem, (ArenaMark){0});
    c->n_tape = 0;
    c->err.code = ERR_NONE;
}

void ctx_free(Ctx *c)
{
    arena_free(&c->mem);
    mem_free(c->tape);
    *c = (Ctx){0};
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

static void *take(Ctx *c, size_t bytes)
{
    void *p = arena_alloc(&c->mem, bytes);
    if (!p)
        error_memory(&c->err, "activations", bytes);
    return p;
}

Tensor *tensor_new(Ctx *c, int n_rows, int n_cols)
{
    Tensor *t = take(c, sizeof *t);
    if (!t)
        return NULL;
    *t = (Tensor){.dtype = F32, .rows = n_rows, .cols = n_cols, .ld = n_cols};
    t->data = take(c, sizeof(float) * (size_t)n_rows * (size_t)n_cols);
    return t->data ? t : NULL;
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

bool tensor_want_grad(Ctx *c, Tensor *t)
{
    if (t->grad)
        return true;
    size_t bytes = sizeof(float) * (size_t)t->rows * (size_t)t->ld;
    t->grad = arena_calloc(&c->mem, bytes);
    if (!t->grad)
        return error_memory(&c->err, "gradients", bytes);
    t->flags |= T_GRAD;
    return true;
}

Tensor *record(Ctx *c, Node n)
{
    if (!n.out || !tensor_want_grad(c, n.out))
        return NULL;
    if (c->n_tape == c->cap_tape) {
        int cap = c->cap_tape * 2 + 64;
        Node *more = mem_realloc(c->tape, sizeof *more * (size_t)cap);
        if (!more) {
            error_memory(&c->err, "tape", sizeof *more * (size_t)cap);
            return NULL;
        }
        c->tape = more;
        c->cap_tape = cap;
    }
    c->tape[c->n_tape++] = n;
    return n.out;
}

bool backward_to(Ctx *c, int stop)
{
    while (c->n_tape > stop && !c->err.code) {
        Node n = c->tape[--c->n_tape]; /* a copy: the node may push new ones (block) */
        n.back(c, &n);
    }
    return !c->err.code;
}
