/* api/session.c: what one thread needs to run a model, and the pictures it has encoded. */
#include <string.h>

#include "api/api.h"
#include "base/sys.h"
#include "cpu/cpu.h"

/* A slip of the keyboard must not start a million threads. */
enum { THREADS_MAX = 1024 };

static blip2_session *session_open(blip2_model *model, const CpuOptions *cpu, Error *e)
{
    blip2_session *s = mem_calloc(1, sizeof *s);
    if (!s) {
        error_memory(e, "session", sizeof *s);
        return NULL;
    }
    s->model = model;
    s->dev = cpu_open(cpu, e);
    if (!s->dev) {
        mem_free(s);
        return NULL;
    }
    ctx_init(&s->ctx, s->dev);
    opt_lm_init(&s->lm, &s->ctx, model->net);
    return s;
}

blip2_session *blip2_session_new(blip2_model *model, const blip2_session_options *options,
                                 blip2_error *err)
{
    Error e = {0};
    blip2_session *s = NULL;
    int threads = options ? options->threads : 0;
    if (!model) {
        error_set(&e, ERR_USAGE, "model: expected one, got NULL");
    } else if (threads < 0 || threads > THREADS_MAX) {
        error_set(&e, ERR_USAGE, "threads: expected 0 to %d, got %d", THREADS_MAX, threads);
    } else {
        CpuOptions cpu = {.threads = threads,
                          .isa = options ? options->isa : NULL,
                          .precision = api_precision(model)};
        s = session_open(model, &cpu, &e);
    }
    if (!s)
        api_error(err, &e);
    return s;
}

void blip2_session_free(blip2_session *s)
{
    if (!s)
        return;
    for (int i = 0; i < ENCODED_KEPT; i++)
        mem_free(s->encoded[i].soft);
    opt_lm_free(&s->lm);
    ctx_free(&s->ctx);
    s->dev->close(s->dev);
    mem_free(s);
}

/* --- encoding ----------------------------------------------------------------------------------- */

static Encoded *find_encoded(blip2_session *s, uint64_t serial)
{
    for (int i = 0; i < ENCODED_KEPT; i++)
        if (s->encoded[i].soft && s->encoded[i].serial == serial)
            return &s->encoded[i];
    return NULL;
}

/* The place of the picture that was not asked about for longest. */
static Encoded *oldest(blip2_session *s)
{
    Encoded *best = &s->encoded[0];
    for (int i = 1; i < ENCODED_KEPT; i++)
        if (s->encoded[i].last_use < best->last_use)
            best = &s->encoded[i];
    return best;
}

static float *soft_place(blip2_session *s, uint64_t serial, Error *e)
{
    const ModelConfig *k = &s->model->net->config;
    size_t bytes = sizeof(float) * (size_t)k->qformer.queries * (size_t)k->opt.width;
    Encoded *slot = oldest(s);
    if (!slot->soft)
        slot->soft = mem_alloc(bytes);
    if (!slot->soft) {
        error_memory(e, "picture", bytes);
        return NULL;
    }
    slot->serial = serial;
    slot->last_use = ++s->clock;
    return slot->soft;
}

static PrepareSpec prepare_spec(const ModelConfig *k)
{
    PrepareSpec p = {.width = k->pixels, .height = k->pixels};
    memcpy(p.mean, k->mean, sizeof p.mean);
    memcpy(p.std, k->std, sizeof p.std);
    return p;
}

/* Runs the networks on n prepared pictures; the result stays in the context's arena. */
static Tensor *run_encoder(blip2_session *s, const float *px, int n, double *encode_ms,
                           double *qformer_ms)
{
    const Blip2 *net = s->model->net;
    int size = net->config.pixels;
    double start = now_ms();
    s->ctx.role = ROLE_ENCODE;
    Tensor *image = vit_forward(&s->ctx, &net->vit, px, n, size, size);
    double middle = now_ms();
    Tensor *soft = model_soft(&s->ctx, net, qformer_forward(&s->ctx, &net->qformer, image, n));
    *encode_ms = (middle - start) / n;
    *qformer_ms = (now_ms() - middle) / n;
    return soft;
}

static bool encode_batch(blip2_session *s, blip2_image **images, blip2_timings **timings, int n,
                         Error *e)
{
    const ModelConfig *k = &s->model->net->config;
    PrepareSpec spec = prepare_spec(k);
    size_t one = 3 * (size_t)k->pixels * (size_t)k->pixels;
    size_t soft_size = (size_t)k->qformer.queries * (size_t)k->opt.width;
    float *px = mem_alloc(sizeof *px * one * (size_t)n);
    bool ok = px || error_memory(e, "pixels", sizeof *px * one * (size_t)n);
    for (int i = 0; ok && i < n; i++) {
        double start = now_ms();
        ok = picture_prepare(px + one * (size_t)i, &images[i]->picture, ROUTE_OWN, &spec, e);
        timings[i]->preprocess += now_ms() - start;
    }
    double encode_ms, qformer_ms;
    ctx_reset(&s->ctx);
    Tensor *soft = ok ? run_encoder(s, px, n, &encode_ms, &qformer_ms) : NULL;
    if (ok && !soft) {
        error_set(e, s->ctx.err.code, "%s", s->ctx.err.message);
        ok = false;
    }
    for (int i = 0; ok && i < n; i++) {
        float *place = soft_place(s, images[i]->serial, e);
        ok = place != NULL;
        if (ok)
            memcpy(place, row_f32(soft, i * k->qformer.queries), sizeof *place * soft_size);
        timings[i]->encode += encode_ms;
        timings[i]->qformer += qformer_ms;
    }
    mem_free(px);
    return ok;
}

/* True when an earlier picture of this call is the same one. */
static bool seen(blip2_image *const *images, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (images[j]->serial == images[i]->serial)
            return true;
    return false;
}

bool api_encode(blip2_session *s, blip2_image *const *images, size_t count, const float **soft,
                blip2_timings *timings, Error *e)
{
    blip2_image *todo[BATCH_MAX];
    blip2_timings *times[BATCH_MAX];
    int n = 0;
    if (count > BATCH_MAX)
        BUG("more pictures than one batch holds");
    for (size_t i = 0; i < count; i++) {
        Encoded *known = find_encoded(s, images[i]->serial);
        if (known) {
            known->last_use = ++s->clock;
        } else if (!seen(images, i)) {
            todo[n] = images[i];
            times[n++] = &timings[i];
        }
    }
    if (n && !encode_batch(s, todo, times, n, e))
        return false;
    for (size_t i = 0; i < count; i++)
        soft[i] = find_encoded(s, images[i]->serial)->soft;
    return true;
}
