/* debug/bench.h: what the files of the bench share: the inputs, made once, the stages over them, and the
 * work that a stage cannot do without. */
#ifndef DEBUG_BENCH_H
#define DEBUG_BENCH_H

#include "blip2_debug.h"

#include "api/api.h"
#include "base/sys.h"
#include "cpu/cpu.h"

enum {
    BENCH_TEXT = 9,
    BENCH_BEAMS = 5,
    BENCH_TEXTS = 8
}; /* ids of a text; rows; texts in a batch */

/* What the stages share. */
typedef struct Bench {
    blip2_session *s;
    CpuMeter *meter;
    blip2_image *picture;
    float *px;                         /* the picture as the tower takes it */
    float *activity;                   /* [tokens][widest] something to multiply */
    Encoded *seen;                     /* the picture, encoded */
    int text[BENCH_TEXTS][BENCH_TEXT]; /* the first one is the prompt */
    Tensor *image; /* vision output, for the Q-Former stage; lives in the encoder's arena */
    uint64_t runs; /* of the features, each of a picture of its own */
    Error e;
} Bench;

/* One run of a stage; ms receives what counts of it. false: b->e says why. */
typedef bool StageFn(Bench *b, double *ms);

/* What a stage cannot do without: either operations or bytes of weights are its bound. */
typedef struct Work {
    double ops, bytes;
    const Param *w; /* one of its weights, whose kernel it runs on; NULL: no bound is counted */
    Role role;
} Work;

typedef Work WorkFn(const Blip2 *m);

typedef struct Stage {
    const char *name;
    StageFn *run;
    WorkFn *work;   /* NULL: none */
    unsigned parts; /* ModelPart: all that the model must have */
} Stage;

static inline Engine *bench_engine(Bench *b)
{
    return &b->s->engine;
}

static inline const Blip2 *bench_net(const Bench *b)
{
    return b->s->model->net;
}

/* Ends a measurement: the pass is done when its last kernel is. */
static inline bool bench_took(Bench *b, Ctx *c, double start, double *ms)
{
    bool ok = ctx_sync(c);
    *ms = now_ms() - start;
    return ok || error_set(&b->e, c->err.code, "%s", c->err.message);
}

/* bench_picture.c: preprocessing, the tower, the Q-Former */
StageFn bench_preprocess, bench_gemm, bench_encode, bench_qformer;
int bench_vit_rows(const Blip2 *m);

/* bench_text.c: what is said of a picture */
StageFn bench_encoder, bench_prefill, bench_decode, bench_decode_beams, bench_caption;

/* bench_match.c: pictures and texts beside each other */
StageFn bench_itm, bench_itm_batch, bench_itc, bench_match, bench_features;

/* bench_work.c */
WorkFn work_gemm, work_encode, work_qformer, work_encoder, work_prefill, work_decode, work_itm,
    work_itm_batch, work_itc;

#endif
