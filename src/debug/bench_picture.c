/* debug/bench_picture.c: the stages of a picture. */
#include "debug/bench.h"

#include <string.h>

#include "tensor/profile.h"

bool bench_preprocess(Bench *b, double *ms)
{
    const ModelConfig *k = &bench_net(b)->config;
    PrepareSpec spec = {.width = k->pixels, .height = k->pixels};
    memcpy(spec.mean, k->mean, sizeof spec.mean);
    memcpy(spec.std, k->std, sizeof spec.std);
    double start = now_ms();
    ProfileStage before = profile_enter(b->s->on, STAGE_PREPROCESS);
    bool ok = picture_prepare(b->px, &b->picture->picture, ROUTE_OWN, &spec, &b->e);
    profile_leave(b->s->on, before);
    *ms = now_ms() - start;
    return ok;
}

int bench_vit_rows(const Blip2 *m)
{
    return vit_tokens(&m->vit, m->config.pixels, m->config.pixels);
}

/* The four products of each ViT block, at the picture's number of tokens. */
bool bench_gemm(Bench *b, double *ms)
{
    const Vit *v = &bench_net(b)->vit;
    Ctx *c = &bench_engine(b)->encoder.c;
    int rows = bench_vit_rows(bench_net(b));
    ctx_begin(c, ROLE_ENCODE);
    Tensor *x = tensor_upload(c, b->activity, rows, v->config.width);
    Tensor *h = tensor_upload(c, b->activity, rows, v->config.mlp);
    double start = now_ms();
    ProfileStage before = profile_enter(b->s->on, STAGE_VISION);
    for (int i = 0; x && h && i < v->config.layers; i++) {
        CtxMark mark = ctx_mark(c);
        const VitBlock *l = &v->block[i];
        linear(c, x, &l->qkv);
        linear(c, x, &l->proj);
        linear(c, x, &l->fc1);
        linear(c, h, &l->fc2);
        ctx_release(c, mark);
    }
    profile_leave(b->s->on, before);
    return bench_took(b, c, start, ms);
}

bool bench_encode(Bench *b, double *ms)
{
    int size = bench_net(b)->config.pixels;
    Ctx *c = &bench_engine(b)->encoder.c;
    ctx_begin(c, ROLE_ENCODE);
    Tensor *px = tensor_upload(c, b->px, 1, 3 * size * size);
    double start = now_ms();
    ProfileStage before = profile_enter(b->s->on, STAGE_VISION);
    b->image = px ? vit_forward(c, &bench_net(b)->vit, px, size, size) : NULL;
    profile_leave(b->s->on, before);
    return bench_took(b, c, start, ms);
}

/* Runs behind an encode, whose output is still in the arena. */
bool bench_qformer(Bench *b, double *ms)
{
    const Blip2 *m = bench_net(b);
    Ctx *c = &bench_engine(b)->encoder.c;
    CtxMark mark = ctx_mark(c);
    double start = now_ms();
    ProfileStage before = profile_enter(b->s->on, STAGE_QFORMER);
    Tensor *queries = qformer_forward(c, &m->qformer, b->image, 1);
    profile_leave(b->s->on, before);
    before = profile_enter(b->s->on, STAGE_PROJECTION);
    if (m->config.parts & PART_LANGUAGE)
        model_project(c, m, queries);
    profile_leave(b->s->on, before);
    bool ok = bench_took(b, c, start, ms);
    ctx_release(c, mark);
    return ok;
}
