/* ops/ctx.h: the context in which a forward pass runs: stream, memory, tape, first error.
 *
 * Ops compute at once and return NULL after an error; NULL in gives NULL out, so layer text needs
 * no checks and the error is looked at once, at the end (c->err). A Ctx is used by one thread at a
 * time.
 *
 * Two arenas: structs and lists of a pass lie in host memory, tensor data in device memory. Above ops
 * nobody dereferences tensor data: tensor_upload and tensor_download are the ways in and out. */
#ifndef OPS_CTX_H
#define OPS_CTX_H

#include "base/mem.h"
#include "tensor/backend.h"

typedef struct Ctx Ctx;
typedef struct Node Node;

/* Called with every named activation, for dumps: name is "vision.layer0" and the like. */
typedef void TapFn(void *user, const char *name, const Tensor *t);

struct Ctx {
    Stream *on;
    Arena mem;      /* host: tensors' structs, lists, what a tape node captures */
    Arena data;     /* device: what tensors hold */
    Role role;      /* of the pass; set by ctx_begin */
    bool record;    /* put ops on the tape */
    bool recompute; /* gradient checkpointing: block() keeps only its input */
    int depth;      /* of block scopes now open; see Tensor.depth */
    Node *tape;
    int n_tape;
    size_t cap_tape;
    TapFn *tap;
    void *tap_user;
    Error err;
};

void ctx_init(Ctx *c, Stream *on); /* the stream stays the caller's */
void ctx_free(Ctx *c);

/* Begins a pass: arenas and tape are emptied, there is no error, and products are made for `role`. */
void ctx_begin(Ctx *c, Role role);

/* Waits for all work of the pass. false: c->err says what failed. */
bool ctx_sync(Ctx *c);

/* What was allocated since the mark is given back. */
typedef struct CtxMark {
    ArenaMark mem, data;
} CtxMark;
CtxMark ctx_mark(const Ctx *c);
void ctx_release(Ctx *c, CtxMark m);

/* Notes the first error of the pass. Always returns NULL. */
Tensor *ctx_fail(Ctx *c, ErrorCode code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

Tensor *tensor_new(Ctx *c, int rows, int cols); /* F32 in the device arena, not zeroed */
/* A tensor that holds a copy of `from`, [rows, cols] in host memory. */
Tensor *tensor_upload(Ctx *c, const float *from, int rows, int cols);
/* Waits for the pass and copies t to host memory, [rows, cols] without gaps. false: c->err. */
bool tensor_download(Ctx *c, float *to, const Tensor *t);
/* A view of device memory that somebody else owns, [rows, cols] without gaps. */
Tensor *tensor_at(Ctx *c, void *data, int rows, int cols);
/* A view of t, which lives longer than the pass. */
Tensor *tensor_of(Ctx *c, const Tensor *t);
/* A copy of n ints in the device arena; NULL after an error. */
const int *ints_upload(Ctx *c, const int *from, int n);

/* Hands t to c->tap under "fmt". Free when nobody listens. Returns t. */
Tensor *tap(Ctx *c, Tensor *t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
