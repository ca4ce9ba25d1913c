/* debug/bench.c: how long each stage takes here. Every stage runs `repeat` times on the same inputs,
 * the median counts; shares refer to the measured peak of the instruction that the kernel uses, and
 * to the bandwidth measured on the kind of pages a mapped file has. */
#include "blip2_debug.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/sys.h"
#include "cpu/cpu.h"

enum { REPEAT_MAX = 64, PROMPT = 9, CAPTION_IDS = 12, BEAMS = 5, DECODE_STEPS = 4 };

/* What the stages share: the session and inputs made once. */
typedef struct Bench {
    blip2_session *s;
    const blip2_machine *machine;
    blip2_image *picture;
    float *px, *soft, *logits; /* logits [BEAMS][vocab] */
    int prompt[PROMPT];
    Tensor *image; /* vision output, for the Q-Former stage; lives in the arena */
    Error e;
} Bench;

/* One run of a stage; ms receives what counts of it. false: b->e says why. */
typedef bool StageFn(Bench *b, double *ms);

static bool ctx_failed(Bench *b)
{
    const Error *e = &b->s->ctx.err;
    return error_set(&b->e, e->code, "%s", e->message);
}

static const Blip2 *net_of(const Bench *b)
{
    return b->s->model->net;
}

/* --- stages -------------------------------------------------------------------------------------- */

static bool run_preprocess(Bench *b, double *ms)
{
    const ModelConfig *k = &net_of(b)->config;
    PrepareSpec spec = prepare_default(k->pixels);
    double start = now_ms();
    bool ok = picture_prepare(b->px, &b->picture->picture, ROUTE_OWN, &spec, &b->e);
    *ms = now_ms() - start;
    return ok;
}

/* The four products of each ViT block, at the picture's number of tokens. */
static bool run_gemm(Bench *b, double *ms)
{
    const Vit *v = &net_of(b)->vit;
    int tokens = vit_tokens(v, net_of(b)->config.pixels, net_of(b)->config.pixels);
    Ctx *c = &b->s->ctx;
    ctx_reset(c);
    c->role = ROLE_ENCODE;
    Tensor *x = tensor_new(c, tokens, v->config.width), *h = tensor_new(c, tokens, v->config.mlp);
    for (int i = 0; x && i < tokens * x->cols; i++)
        f32(x)[i] = (float)(i % 17 - 8) * 0.1f;
    for (int i = 0; h && i < tokens * h->cols; i++)
        f32(h)[i] = (float)(i % 13 - 6) * 0.1f;
    bool ok = x && h;
    double start = now_ms();
    for (int i = 0; ok && i < v->config.layers; i++) {
        ArenaMark mark = arena_mark(&c->mem);
        const VitBlock *l = &v->block[i];
        ok = linear(c, x, &l->qkv) && linear(c, x, &l->proj) && linear(c, x, &l->fc1) &&
             linear(c, h, &l->fc2);
        arena_release(&c->mem, mark);
    }
    *ms = now_ms() - start;
    return ok || ctx_failed(b);
}

static bool run_encode(Bench *b, double *ms)
{
    int size = net_of(b)->config.pixels;
    ctx_reset(&b->s->ctx);
    b->s->ctx.role = ROLE_ENCODE;
    double start = now_ms();
    b->image = vit_forward(&b->s->ctx, &net_of(b)->vit, b->px, 1, size, size);
    *ms = now_ms() - start;
    return b->image || ctx_failed(b);
}

/* Runs behind an encode, whose output is still in the arena. */
static bool run_qformer(Bench *b, double *ms)
{
    Ctx *c = &b->s->ctx;
    ArenaMark mark = arena_mark(&c->mem);
    double start = now_ms();
    Tensor *q = model_soft(c, net_of(b), qformer_forward(c, &net_of(b)->qformer, b->image, 1));
    *ms = now_ms() - start;
    if (q)
        memcpy(b->soft, q->data, sizeof(float) * (size_t)q->rows * (size_t)q->cols);
    arena_release(&c->mem, mark);
    return q || ctx_failed(b);
}

static bool start(Bench *b, int rows, int steps, double *ms)
{
    LmItem item = {b->soft, b->prompt, PROMPT};
    double from = now_ms();
    bool ok = opt_lm_start(&b->s->lm, &item, 1, rows, steps, b->logits, &b->e);
    *ms = now_ms() - from;
    return ok;
}

static bool run_prefill(Bench *b, double *ms)
{
    return start(b, 1, DECODE_STEPS, ms);
}

/* One step of n rows, behind a prompt; the first step after a prefill is not counted. */
static bool run_steps(Bench *b, int n, double *ms)
{
    int parent[BEAMS] = {0}, ids[BEAMS];
    double unused, from = 0;
    if (!start(b, n, DECODE_STEPS + 1, &unused))
        return false;
    for (int step = 0; step <= DECODE_STEPS; step++) {
        for (int i = 0; i < n; i++) {
            parent[i] = step ? i : 0;
            ids[i] = 5 + i + step;
        }
        if (step == 1)
            from = now_ms();
        if (!b->s->lm.lm.advance(b->s->lm.lm.self, n, parent, ids, b->logits, &b->e))
            return false;
    }
    *ms = (now_ms() - from) / DECODE_STEPS;
    return true;
}

static bool run_decode(Bench *b, double *ms)
{
    return run_steps(b, 1, ms);
}

static bool run_decode_beams(Bench *b, double *ms)
{
    return run_steps(b, BEAMS, ms);
}

static bool run_caption(Bench *b, double *ms)
{
    double part[4] = {0};
    GenSequence seq = {0};
    blip2_options po = blip2_debug_options(BLIP2_LAVIS);
    po.num_beams = BEAMS;
    po.max_new_tokens = po.min_new_tokens = CAPTION_IDS;
    GenOptions o = api_gen_options(b->s->model, &po);
    GenItem item = {.history = &net_of(b)->config.gen.bos, .n_history = 1};
    bool ok = run_preprocess(b, &part[0]) && run_encode(b, &part[1]) && run_qformer(b, &part[2]) &&
              start(b, BEAMS, CAPTION_IDS, &part[3]);
    double from = now_ms();
    ok = ok && generate(&b->s->lm.lm, b->logits, &item, 1, &o, NULL, NULL, &seq, &b->e);
    *ms = part[0] + part[1] + part[2] + part[3] + now_ms() - from;
    generate_free(&seq, 1);
    return ok;
}

/* --- figures ------------------------------------------------------------------------------------- */

static double vit_products(const ModelConfig *k)
{
    double grid = (double)(k->pixels / k->vit.patch), tokens = grid * grid + 1;
    double d = k->vit.width, f = k->vit.mlp;
    return 2 * tokens * (4 * d * d + 2 * d * f) * k->vit.layers;
}

static double vit_attention(const ModelConfig *k)
{
    double grid = (double)(k->pixels / k->vit.patch), tokens = grid * grid + 1;
    return 4 * tokens * tokens * k->vit.width * k->vit.layers;
}

static double opt_weights(const ModelConfig *k, bool head)
{
    double d = k->opt.width;
    return (4 * d * d + 2 * d * k->opt.mlp) * k->opt.layers + (head ? d * k->opt.vocab : 0);
}

static double peak_of(const blip2_machine *m, const char *kernel)
{
    if (strcmp(kernel, "bf16") == 0)
        return m->gops_bf16;
    if (strcmp(kernel, "fp16") == 0)
        return m->gops_fp16;
    return m->gops_f32; /* f32, widened, and int8 as long as it is widened too */
}

static void as_products(const Bench *b, blip2_stage *st, const Param *w, double ops)
{
    st->kernel = cpu_kernel_name(b->s->dev, w->dtype);
    st->gops = ops / st->ms * 1e-6;
    double peak = peak_of(b->machine, st->kernel);
    st->of_peak = peak > 0 ? st->gops / peak : 0;
}

static void as_reading(const Bench *b, blip2_stage *st)
{
    const Opt *m = &net_of(b)->opt;
    double layers = opt_weights(&net_of(b)->config, false),
           all = opt_weights(&net_of(b)->config, true);
    double bytes = (double)(dtype_bytes(m->layer[0].q.w.dtype, (size_t)layers) +
                            dtype_bytes(opt_head(m)->dtype, (size_t)(all - layers)));
    st->kernel = cpu_kernel_name(b->s->dev, m->layer[0].q.w.dtype);
    st->gbs = bytes / st->ms * 1e-6;
    st->of_bandwidth = b->machine->gbs_mapped > 0 ? st->gbs / b->machine->gbs_mapped : 0;
}

static void add_figures(const Bench *b, blip2_stage *st)
{
    const ModelConfig *k = &net_of(b)->config;
    const Blip2 *net = net_of(b);
    if (strcmp(st->name, "gemm") == 0)
        as_products(b, st, &net->vit.block[0].fc1.w, vit_products(k));
    else if (strcmp(st->name, "encode") == 0)
        as_products(b, st, &net->vit.block[0].fc1.w, vit_products(k) + vit_attention(k));
    else if (strcmp(st->name, "prefill") == 0)
        as_products(b, st, &net->opt.layer[0].fc1.w,
                    2 * opt_weights(k, false) * (k->qformer.queries + PROMPT));
    else if (strcmp(st->name, "decode") == 0 || strcmp(st->name, "decode_beam5") == 0)
        as_reading(b, st);
}

/* --- the run ------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool median(Bench *b, StageFn *fn, int repeat, double *ms)
{
    double all[REPEAT_MAX];
    for (int i = 0; i < repeat; i++)
        if (!fn(b, &all[i]))
            return false;
    qsort(all, (size_t)repeat, sizeof *all, by_value);
    *ms = repeat % 2 ? all[repeat / 2] : (all[repeat / 2 - 1] + all[repeat / 2]) / 2;
    return true;
}

/* A photo-sized picture with some structure. */
static bool make_inputs(Bench *b)
{
    enum { W = 1024, H = 768 };
    const ModelConfig *k = &net_of(b)->config;
    blip2_error err = {0};
    uint8_t *rgb = mem_alloc(3 * W * H);
    for (int i = 0; rgb && i < 3 * W * H; i++)
        rgb[i] = (uint8_t)(i / 3 % W / 4 + i / 3 / W / 3 + i % 3 * 40);
    b->picture = rgb ? blip2_image_from_pixels(rgb, W, H, 3, &err) : NULL;
    b->px = mem_alloc(sizeof(float) * 3 * (size_t)k->pixels * (size_t)k->pixels);
    b->soft = mem_alloc(sizeof(float) * (size_t)k->qformer.queries * (size_t)k->opt.width);
    b->logits = mem_alloc(sizeof(float) * BEAMS * (size_t)k->opt.vocab);
    mem_free(rgb);
    for (int i = 0; i < PROMPT; i++)
        b->prompt[i] = i ? 4 + i : k->gen.bos;
    return (b->picture && b->px && b->soft && b->logits) || error_memory(&b->e, "bench", 3 * W * H);
}

static void free_inputs(Bench *b)
{
    blip2_image_free(b->picture);
    mem_free(b->px);
    mem_free(b->soft);
    mem_free(b->logits);
}

static const struct {
    const char *name;
    StageFn *fn;
} STAGES[] = {
    {"preprocess", run_preprocess},     {"gemm", run_gemm},       {"encode", run_encode},
    {"qformer", run_qformer},           {"prefill", run_prefill}, {"decode", run_decode},
    {"decode_beam5", run_decode_beams}, {"caption", run_caption},
};

static bool run_stages(Bench *b, int repeat, void (*on_stage)(void *, const char *), void *user,
                       blip2_bench *out)
{
    for (size_t i = 0; i < sizeof STAGES / sizeof *STAGES; i++) {
        blip2_stage *st = &out->stages[out->stage_count];
        *st = (blip2_stage){.name = STAGES[i].name};
        if (on_stage)
            on_stage(user, st->name);
        if (!median(b, STAGES[i].fn, repeat, &st->ms))
            return false;
        add_figures(b, st);
        out->stage_count++;
    }
    return true;
}

bool blip2_debug_bench(blip2_session *session, const blip2_machine *m, int repeat,
                       void (*on_stage)(void *user, const char *name), void *user, blip2_bench *out,
                       blip2_error *err)
{
    Bench b = {.s = session, .machine = m};
    repeat = repeat < 1 ? 1 : repeat > REPEAT_MAX ? REPEAT_MAX : repeat;
    *out = (blip2_bench){.dtype = dtype_name(session->model->net->vit.block[0].fc1.w.dtype),
                         .weights_bytes = session->model->info.weight_bytes};
    bool ok = make_inputs(&b) && run_stages(&b, repeat, on_stage, user, out);
    free_inputs(&b);
    return ok || api_error(err, &b.e);
}
