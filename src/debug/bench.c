/* debug/bench.c: how long each stage takes here. Every stage runs `repeat` times on the same inputs,
 * the median counts; shares refer to the measured peak of the instruction that the kernel uses, and
 * to the bandwidth measured on the kind of pages a mapped file has. */
#include "debug/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REPEAT_MAX = 64 };

#define PARTS_ENCODED (PART_VISION | PART_TEXT)

static const Stage PICTURE[] = {{"preprocess", bench_preprocess, NULL, PART_VISION},
                                {"gemm", bench_gemm, work_gemm, PART_VISION},
                                {"encode", bench_encode, work_encode, PART_VISION},
                                {"qformer", bench_qformer, work_qformer, PART_VISION},
                                {0}};

static const Stage TEXT[] = {{"prefill", bench_prefill, work_prefill, 0},
                             {"decode", bench_decode, work_decode, 0},
                             {"decode_beam5", bench_decode_beams, work_decode, 0},
                             {"caption", bench_caption, NULL, 0},
                             {0}};

static const Stage ENCODER[] = {{"encoder", bench_encoder, work_encoder, 0}, {0}};

static const Stage MATCH[] = {
    {"itm", bench_itm, work_itm, PARTS_ENCODED | PART_MATCH},
    {"itm_batch8", bench_itm_batch, work_itm_batch, PARTS_ENCODED | PART_MATCH},
    {"itc", bench_itc, work_itc, PARTS_ENCODED | PART_IMAGE_FEATURE | PART_TEXT_FEATURE},
    {"match", bench_match, NULL, PARTS_RETRIEVAL},
    {"features", bench_features, NULL, PARTS_ENCODED | PART_IMAGE_FEATURE | PART_TEXT_FEATURE},
    {0}};

/* --- figures ------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* What the machine gives at a moment. */
typedef struct Beside {
    double gops, gbs;
} Beside;

/* A card is not measured. */
static Beside look_beside(Bench *b, const Work *work, const char *kernel)
{
    if (api_on_card(b->s->on->dev))
        return (Beside){0};
    return (Beside){.gops = work->ops > 0 ? cpu_meter_gops(b->meter, kernel) : 0,
                    .gbs = work->bytes > 0 ? cpu_meter_read(b->meter, false) : 0};
}

/* The name of the kernel that a product with such weights runs on. */
static const char *kernel_of(const Stream *on, const Work *work)
{
    if (!work->w)
        return NULL;
    if (!api_on_card(on->dev))
        return cpu_kernel_name(on, work->w->dtype, work->role);
    return on->precision == PREC_F32 || work->w->dtype == F32 ? "f32" : "tensor";
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* The runs of a stage: of each its time, and its shares of what the machine gave right before and after it: other
 * programs come and go. */
typedef struct Runs {
    double ms[REPEAT_MAX], of_peak[REPEAT_MAX], of_bandwidth[REPEAT_MAX];
} Runs;

static void add_figures(blip2_stage *st, const Work *work, const char *kernel, Runs *r, int n)
{
    st->ms = median(r->ms, n);
    if (!work->w)
        return;
    st->kernel = kernel;
    st->gops = work->ops / st->ms * 1e-6;
    st->gbs = work->bytes / st->ms * 1e-6;
    st->of_peak = median(r->of_peak, n);
    st->of_bandwidth = median(r->of_bandwidth, n);
    st->peak_gops = share(st->gops, st->of_peak);
    st->peak_gbs = share(st->gbs, st->of_bandwidth);
}

/* --- inputs -------------------------------------------------------------------------------------- */

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
    const ModelConfig *k = &bench_net(b)->config;
    EncodeJob job = {.pixels = b->px, .height = k->pixels, .width = k->pixels};
    double unused;
    if (!(k->parts & PART_LANGUAGE))
        job.parts = 1u << ENCODED_VISION | 1u << ENCODED_QUERIES;
    if (!bench_preprocess(b, &unused))
        return false;
    encoder_encode(&bench_engine(b)->encoder, &job, 1);
    b->seen = job.encoded;
    return b->seen || error_set(&b->e, job.error.code, "%s", job.error.message);
}

/* All different; what they say does not matter to the time. */
static void make_texts(Bench *b)
{
    for (int t = 0; t < BENCH_TEXTS; t++)
        for (int i = 0; i < BENCH_TEXT; i++)
            b->text[t][i] = i ? 4 + i + t * BENCH_TEXT : bench_net(b)->config.bos;
}

static bool make_inputs(Bench *b)
{
    const ModelConfig *k = &bench_net(b)->config;
    make_texts(b);
    if (!(k->parts & PART_VISION))
        return error_set(&b->e, ERR_USAGE, "bench: expected a model with a vision tower");
    size_t widest = (size_t)(k->vit.mlp > k->vit.width ? k->vit.mlp : k->vit.width);
    size_t n = (size_t)bench_vit_rows(bench_net(b)) * widest;
    b->picture = make_picture();
    b->px = mem_alloc(sizeof(float) * 3 * (size_t)k->pixels * (size_t)k->pixels);
    b->activity = mem_alloc(sizeof(float) * n);
    for (size_t i = 0; b->activity && i < n; i++)
        b->activity[i] = (float)((int)(i % 17) - 8) * 0.1f;
    if (b->picture && b->px && b->activity)
        return encode_picture(b);
    return error_memory(&b->e, "bench", sizeof(float) * n);
}

static void free_inputs(Bench *b)
{
    encoder_release(&bench_engine(b)->encoder, b->seen);
    blip2_image_free(b->picture);
    mem_free(b->px);
    mem_free(b->activity);
}

/* --- the run ------------------------------------------------------------------------------------- */

typedef struct Progress {
    void (*on_stage)(void *user, const char *name);
    void *user;
} Progress;

/* The median of the runs; between them the machine is measured. */
static bool run_stage(Bench *b, const Stage *stage, int repeat, blip2_stage *st)
{
    const Work work = stage->work ? stage->work(bench_net(b)) : (Work){0};
    const char *kernel = kernel_of(b->s->on, &work);
    Beside before = look_beside(b, &work, kernel), after;
    Runs r;
    for (int i = 0; i < repeat; i++, before = after) {
        if (!stage->run(b, &r.ms[i]))
            return false;
        after = look_beside(b, &work, kernel);
        r.of_peak[i] = share(work.ops / r.ms[i] * 1e-6, (before.gops + after.gops) / 2);
        r.of_bandwidth[i] = share(work.bytes / r.ms[i] * 1e-6, (before.gbs + after.gbs) / 2);
    }
    add_figures(st, &work, kernel, &r, repeat);
    return true;
}

/* Those of the stages for which the model has what they need. */
static bool run_stages(Bench *b, const Stage *stage, int repeat, const Progress *p,
                       blip2_bench *out)
{
    for (; stage->name; stage++) {
        blip2_stage *st = &out->stages[out->stage_count];
        if (stage->parts & ~bench_net(b)->config.parts)
            continue;
        *st = (blip2_stage){.name = stage->name};
        if (p->on_stage)
            p->on_stage(p->user, st->name);
        if (!run_stage(b, stage, repeat, st))
            return false;
        out->stage_count++;
    }
    return true;
}

static bool run_all(Bench *b, int repeat, const Progress *p, blip2_bench *out)
{
    const ModelConfig *k = &bench_net(b)->config;
    bool says = k->parts & (PART_LANGUAGE | PART_WORD_HEAD);
    return run_stages(b, PICTURE, repeat, p, out) &&
           (k->kind != MODEL_MATCHING || run_stages(b, MATCH, repeat, p, out)) &&
           (k->kind != MODEL_T5 || run_stages(b, ENCODER, repeat, p, out)) &&
           (!says || run_stages(b, TEXT, repeat, p, out));
}

/* Of the language model's weights, or of the first part's. */
static const char *language_type(const blip2_info *info)
{
    for (size_t i = 0; i < info->part_count; i++)
        if (strcmp(info->parts[i].name, "language model") == 0)
            return info->parts[i].dtype;
    return info->parts[0].dtype;
}

bool blip2_debug_bench(blip2_session *session, int repeat,
                       void (*on_stage)(void *user, const char *name), void *user, blip2_bench *out,
                       blip2_error *err)
{
    Bench b = {.s = session, .meter = cpu_meter_new(session->on->threads)};
    Progress p = {on_stage, user};
    repeat = repeat < 1 ? 1 : repeat > REPEAT_MAX ? REPEAT_MAX : repeat;
    *out = (blip2_bench){.dtype = language_type(&session->model->info),
                         .weights_bytes = session->model->info.weight_bytes};
    bool ok = b.meter || error_memory(&b.e, "bench", 0);
    ok = ok && make_inputs(&b) && run_all(&b, repeat, &p, out);
    out->meter_bytes = b.meter ? cpu_meter_bytes(b.meter) : 0;
    free_inputs(&b);
    cpu_meter_free(b.meter);
    return ok || api_error(err, &b.e);
}
