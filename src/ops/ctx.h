/* ops/ctx.h: the context in which a forward pass runs: device, arena, tape, first error.
 *
 * Ops compute at once and return NULL after an error; NULL in gives NULL out, so layer text needs
 * no checks and the error is looked at once, at the end (c->err). A Ctx is used by one thread at a
 * time. */
#ifndef OPS_CTX_H
#define OPS_CTX_H

#include "base/mem.h"
#include "tensor/backend.h"

typedef struct Ctx Ctx;
typedef struct Node Node;

/* Called with every named activation, for dumps: name is "vision.layer0" and the like. */
typedef void TapFn(void *user, const char *name, const Tensor *t);

struct Ctx {
    Stream *dev;
    Arena mem;
    Role role;      /* what the products of this pass are for */
    bool record;    /* put ops on the tape */
    bool recompute; /* gradient checkpointing: block() keeps only its input */
    Node *tape;
    int n_tape, cap_tape;
    TapFn *tap;
    void *tap_user;
    Error err;
};

void ctx_init(Ctx *c, Stream *dev); /* the device stays the caller's */
void ctx_free(Ctx *c);
void ctx_reset(Ctx *c); /* empty arena and tape, no error */

/* Notes the first error of the pass. Always returns NULL. */
Tensor *ctx_fail(Ctx *c, ErrorCode code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

Tensor *tensor_new(Ctx *c, int rows, int cols); /* F32 in the arena, not zeroed */

/* Hands t to c->tap under "fmt". Free when nobody listens. Returns t. */
Tensor *tap(Ctx *c, Tensor *t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
