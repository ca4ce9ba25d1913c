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

enum { REPEAT_MAX = 64, PROMPT = 9, CAPTION_IDS = 12, BEAMS = 5, DECODE_STEPS = 4, AGAIN = 20 };

/* What the stages share: the session and inputs made once. */
typedef struct Bench {
    blip2_session *s;
    blip2_machine *machine;
    blip2_image *picture;
    float *px;       /* the picture as the tower takes it */
    float *activity; /* [tokens][widest] something to multiply */
    Encoded *embeds; /* the picture, encoded */
    int prompt[PROMPT];
    Tensor *image; /* vision output, for the Q-Former stage; lives in the encoder's arena */
    Error e;
} Bench;

/* One run of a stage; ms receives what counts of it. false: b->e says why. */
typedef bool StageFn(Bench *b, double *ms);

static Engine *engine_of(Bench *b)
{
    return &b->s->engine;
}

static const Blip2 *net_of(const Bench *b)
{
    return b->s->model->net;
}

/* Ends a measurement: the pass is done when its last kernel is. */
static bool took(Bench *b, Ctx *c, double start, double *ms)
{
    bool ok = ctx_sync(c);
    *ms = now_ms() - start;
    return ok || error_set(&b->e, c->err.code, "%s", c->err.message);
}

/* --- stages -------------------------------------------------------------------------------------- */

static bool run_preprocess(Bench *b, double *ms)
{
    const ModelConfig *k = &net_of(b)->config;
    PrepareSpec spec = {.width = k->pixels, .height = k->pixels};
    memcpy(spec.mean, k->mean, sizeof spec.mean);
    memcpy(spec.std, k->std, sizeof spec.std);
    double start = now_ms();
    bool ok = picture_prepare(b->px, &b->picture->picture, ROUTE_OWN, &spec, &b->e);
    *ms = now_ms() - start;
    return ok;
}

static int vit_rows(const Bench *b)
{
    int size = net_of(b)->config.pixels;
    return vit_tokens(&net_of(b)->vit, size, size);
}

/* The four products of each ViT block, at the picture's number of tokens. */
static bool run_gemm(Bench *b, double *ms)
{
    const Vit *v = &net_of(b)->vit;
    Ctx *c = &engine_of(b)->encoder.c;
    ctx_begin(c, ROLE_ENCODE);
    Tensor *x = tensor_upload(c, b->activity, vit_rows(b), v->config.width);
    Tensor *h = tensor_upload(c, b->activity, vit_rows(b), v->config.mlp);
    double start = now_ms();
    for (int i = 0; x && h && i < v->config.layers; i++) {
        CtxMark mark = ctx_mark(c);
        const VitBlock *l = &v->block[i];
        linear(c, x, &l->qkv);
        linear(c, x, &l->proj);
        linear(c, x, &l->fc1);
        linear(c, h, &l->fc2);
        ctx_release(c, mark);
    }
    return took(b, c, start, ms);
}

static bool run_encode(Bench *b, double *ms)
{
    int size = net_of(b)->config.pixels;
    Ctx *c = &engine_of(b)->encoder.c;
    ctx_begin(c, ROLE_ENCODE);
    Tensor *px = tensor_upload(c, b->px, 1, 3 * size * size);
    double start = now_ms();
    b->image = px ? vit_forward(c, &net_of(b)->vit, px, size, size) : NULL;
    return took(b, c, start, ms);
}

/* Runs behind an encode, whose output is still in the arena. */
static bool run_qformer(Bench *b, double *ms)
{
    Ctx *c = &engine_of(b)->encoder.c;
    CtxMark mark = ctx_mark(c);
    double start = now_ms();
    model_project(c, net_of(b), qformer_forward(c, &net_of(b)->qformer, b->image, 1));
    bool ok = took(b, c, start, ms);
    ctx_release(c, mark);
    return ok;
}

/* The prompt read by the language model; *row is its live row until end_prompt. */
static bool start_prompt(Bench *b, LmPrompt *p, int *row, double *ms)
{
    Lm *lm = engine_of(b)->lm;
    Tensor embeds = b->embeds->part[ENCODED_EMBEDS];
    double from = now_ms();
    p->ids = b->prompt;
    p->n = PROMPT;
    p->image_embeds = &embeds;
    return lm->prefill(lm, p, 1, row, &b->e) != NULL && took(b, lm->c, from, ms);
}

static void end_prompt(Bench *b, const LmPrompt *p, const int *row, int n)
{
    Lm *lm = engine_of(b)->lm;
    lm->drop(lm, row, n);
    lm->release(lm, p);
}

static bool run_prefill(Bench *b, double *ms)
{
    LmPrompt p = {.rows = 1, .steps = DECODE_STEPS};
    int row;
    if (!start_prompt(b, &p, &row, ms))
        return false;
    end_prompt(b, &p, &row, 1);
    return true;
}

/* One step of n rows; the new ones take the place of the old. */
static bool take_step(Bench *b, int n, int *row, int step, double *ms)
{
    Lm *lm = engine_of(b)->lm;
    int ids[BEAMS], made[BEAMS];
    for (int i = 0; i < n; i++)
        ids[i] = 5 + i + step;
    double from = now_ms();
    if (!lm->advance(lm, n, row, ids, made, &b->e) || !took(b, lm->c, from, ms))
        return false;
    if (step > 0) /* before, all are the prompt's row, which end_prompt drops */
        lm->drop(lm, row, n);
    memcpy(row, made, sizeof made);
    return true;
}

/* DECODE_STEPS + 1 steps of n rows; the first, which follows a prefill, is not counted. */
static bool run_steps(Bench *b, int n, double *ms)
{
    Lm *lm = engine_of(b)->lm;
    LmPrompt p = {.rows = n, .steps = DECODE_STEPS + 1};
    double unused, each, sum = 0;
    int first, row[BEAMS];
    if (!start_prompt(b, &p, &first, &unused))
        return false;
    for (int i = 0; i < n; i++)
        row[i] = first;
    int step = 0;
    for (; step <= DECODE_STEPS && take_step(b, n, row, step, &each); step++)
        sum += step ? each : 0;
    if (step > 0)
        lm->drop(lm, row, n);
    end_prompt(b, &p, &first, 1);
    *ms = sum / DECODE_STEPS;
    return step > DECODE_STEPS;
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
    EngineRequest r = {.image = {.picture = &b->picture->picture},
                       .ids = b->prompt,
                       .n_ids = PROMPT,
                       .options = GEN_NEUTRAL};
    EngineItem *it;
    r.options.library = LIB_LAVIS;
    r.options.num_beams = BEAMS;
    r.options.max_new_tokens = r.options.min_new_tokens = CAPTION_IDS;
    double from = now_ms();
    bool ok = engine_run(engine_of(b), &r, 1, &it, &b->e);
    *ms = now_ms() - from;
    if (!ok)
        return false;
    ok = !engine_error(it)->code ||
         error_set(&b->e, engine_error(it)->code, "%s", engine_error(it)->message);
    engine_leave(engine_of(b), it);
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
    return m->gops_f32; /* f32, widened, and int8 as long as it is widened too */
}

static void as_products(const Bench *b, blip2_stage *st, const Param *w, double ops)
{
    st->kernel = cpu_kernel_name(b->s->on, w->dtype);
    st->gops = ops / st->ms * 1e-6;
}

static void as_reading(const Bench *b, blip2_stage *st)
{
    const Opt *m = &net_of(b)->opt;
    double layers = opt_weights(&net_of(b)->config, false),
           all = opt_weights(&net_of(b)->config, true);
    double bytes = (double)(dtype_bytes(m->layer[0].q.w.dtype, (size_t)layers) +
                            dtype_bytes(opt_head(m)->dtype, (size_t)(all - layers)));
    st->kernel = cpu_kernel_name(b->s->on, m->layer[0].q.w.dtype);
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
static blip2_image *make_picture(void)
{
    enum { W = 1024, H = 768 };
    uint8_t *rgb = mem_alloc(3 * W * H);
    for (int i = 0; rgb && i < 3 * W * H; i++)
        rgb[i] = (uint8_t)(i / 3 % W / 4 + i / 3 / W / 3 + i % 3 * 40);
    blip2_image *picture = rgb ? blip2_image_from_pixels(rgb, W, H, 3, NULL) : NULL;
    mem_free(rgb);
    return picture;
}

static bool encode_picture(Bench *b)
{
    int size = net_of(b)->config.pixels;
    EncodeJob job = {.pixels = b->px, .height = size, .width = size};
    double unused;
    if (!run_preprocess(b, &unused))
        return false;
    encoder_encode(&engine_of(b)->encoder, &job, 1);
    b->embeds = job.encoded;
    return b->embeds || error_set(&b->e, job.error.code, "%s", job.error.message);
}

static bool make_inputs(Bench *b)
{
    const ModelConfig *k = &net_of(b)->config;
    size_t widest = (size_t)(k->vit.mlp > k->vit.width ? k->vit.mlp : k->vit.width);
    size_t n = (size_t)vit_rows(b) * widest;
    b->picture = make_picture();
    b->px = mem_alloc(sizeof(float) * 3 * (size_t)k->pixels * (size_t)k->pixels);
    b->activity = mem_alloc(sizeof(float) * n);
    for (size_t i = 0; b->activity && i < n; i++)
        b->activity[i] = (float)((int)(i % 17) - 8) * 0.1f;
    for (int i = 0; i < PROMPT; i++)
        b->prompt[i] = i ? 4 + i : k->bos;
    if (b->picture && b->px && b->activity)
        return encode_picture(b);
    return error_memory(&b->e, "bench", sizeof(float) * n);
}

static void free_inputs(Bench *b)
{
    encoder_release(&engine_of(b)->encoder, b->embeds);
    blip2_image_free(b->picture);
    mem_free(b->px);
    mem_free(b->activity);
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

static bool set_shares(const Bench *b, blip2_bench *out)
{
    bool possible = true;
    for (size_t i = 0; i < out->stage_count; i++) {
        blip2_stage *st = &out->stages[i];
        double peak = st->kernel && st->gops > 0 ? peak_of(b->machine, st->kernel) : 0;
        st->of_peak = peak > 0 ? st->gops / peak : 0;
        possible = possible && st->of_peak <= 1;
    }
    return possible;
}

/* More than the peak is a peak measured while something else ran. */
static void add_shares(const Bench *b, blip2_bench *out)
{
    blip2_machine *m = b->machine;
    for (int i = 0; !set_shares(b, out) && i < AGAIN; i++) {
        CpuProbe p;
        cpu_measure(&p, m->threads, false);
        m->gops_f32 = fmax(m->gops_f32, p.gops_f32);
        m->gops_bf16 = fmax(m->gops_bf16, p.gops_bf16);
        m->gops_fp16 = fmax(m->gops_fp16, p.gops_fp16);
        m->gops_int8 = fmax(m->gops_int8, p.gops_int8);
    }
}

bool blip2_debug_bench(blip2_session *session, blip2_machine *m, int repeat,
                       void (*on_stage)(void *user, const char *name), void *user, blip2_bench *out,
                       blip2_error *err)
{
    Bench b = {.s = session, .machine = m};
    repeat = repeat < 1 ? 1 : repeat > REPEAT_MAX ? REPEAT_MAX : repeat;
    *out = (blip2_bench){.dtype = dtype_name(session->model->net->vit.block[0].fc1.w.dtype),
                         .weights_bytes = session->model->info.weight_bytes};
    bool ok = make_inputs(&b) && run_stages(&b, repeat, on_stage, user, out);
    if (ok)
        add_shares(&b, out);
    free_inputs(&b);
    return ok || api_error(err, &b.e);
}
