/* debug/bench_work.c: the operations, and the bytes of weights, that a stage cannot do without. An operation is
 * a multiplication or an addition; of attention, the two products count. */
#include "debug/bench.h"

static double vit_weights(const VitConfig *k)
{
    double d = k->width;
    return (4 * d * d + 2 * d * k->mlp) * k->layers;
}

Work work_gemm(const Blip2 *m)
{
    return (Work){.ops = 2 * vit_weights(&m->config.vit) * bench_vit_rows(m),
                  .w = &m->vit.block[0].fc1.w};
}

Work work_encode(const Blip2 *m)
{
    const VitConfig *k = &m->config.vit;
    double tokens = bench_vit_rows(m);
    Work work = work_gemm(m);
    work.ops += 4 * tokens * tokens * k->width * k->layers;
    return work;
}

/* --- Q-Former ------------------------------------------------------------------------------------ */

/* n sequences of the picture's queries, or of none, and words behind them. */
static Work read_sequences(const Blip2 *m, int n, int queries, int words)
{
    const QformerConfig *k = &m->config.qformer;
    double d = k->width, rows = queries + words, tokens = queries ? bench_vit_rows(m) : 0;
    double self = rows * (8 * d * d + 4 * rows * d) + rows * 4 * d * k->mlp;
    double cross = queries * (4 * d * d + 4 * tokens * d);
    double keys = tokens * 4 * d * k->image_width; /* once for all that look at one picture */
    int looks = (k->layers + k->cross_every - 1) / k->cross_every;
    return (Work){.ops = n * (self * k->layers + cross * looks) + keys * looks,
                  .w = &m->qformer.layer[0].self.q.w};
}

Work work_qformer(const Blip2 *m)
{
    const ModelConfig *k = &m->config;
    int queries = k->qformer.queries;
    Work work = read_sequences(m, 1, queries, 0);
    if (k->parts & PART_LANGUAGE)
        work.ops += 2.0 * queries * k->qformer.width * config_language(k).width;
    return work;
}

Work work_itm(const Blip2 *m)
{
    return read_sequences(m, 1, m->config.qformer.queries, BENCH_TEXT);
}

Work work_itm_batch(const Blip2 *m)
{
    Work work = read_sequences(m, BENCH_TEXTS, m->config.qformer.queries, BENCH_TEXT);
    work.ops /= BENCH_TEXTS;
    return work;
}

Work work_itc(const Blip2 *m)
{
    const ModelConfig *k = &m->config;
    Work work = read_sequences(m, 1, 0, BENCH_TEXT);
    work.ops += 2.0 * (k->qformer.queries + 1) * k->qformer.width * k->feature;
    return work;
}

/* --- language models ------------------------------------------------------------------------------ */

/* Weights of what is read by a step: all layers, and the head; and the bytes of those layers, which need not all have
 * the same type. */
typedef struct StepWeights {
    double layers, head, bytes;
    const Param *layer_w, *head_w; /* layer_w: one of most of them */
} StepWeights;

static double t5_layer(const T5Config *k, int attentions)
{
    return (double)k->width * (attentions * 4.0 * k->heads * k->key_width + 3.0 * k->mlp);
}

/* What a step looks up of the encoder's has been multiplied when the prompt was read. */
static double t5_cross_keys(const T5Config *k)
{
    return 2.0 * k->width * k->heads * k->key_width * k->decoder_layers;
}

static double bytes_of(const Linear *const *l, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)param_bytes(&l[i]->w);
    return sum;
}

static double t5_bytes(const T5Stack *s)
{
    double sum = 0;
    for (int i = 0; i < s->layers; i++) {
        const T5Layer *l = &s->layer[i];
        const Linear *const read[] = {&l->self.q,    &l->self.k,  &l->self.v,
                                      &l->self.out,  &l->cross.q, &l->cross.out,
                                      &l->feed.gate, &l->feed.up, &l->feed.down};
        sum += bytes_of(read, sizeof read / sizeof *read);
    }
    return sum;
}

static double opt_bytes(const Opt *m)
{
    double sum = 0;
    for (int i = 0; i < m->config.layers; i++) {
        const OptLayer *l = &m->layer[i];
        const Linear *const read[] = {&l->q, &l->k, &l->v, &l->out, &l->fc1, &l->fc2};
        sum += bytes_of(read, sizeof read / sizeof *read);
    }
    return sum;
}

static StepWeights t5_step(const Blip2 *m)
{
    const T5Config *k = &m->config.t5;
    return (StepWeights){.layers = t5_layer(k, 2) * k->decoder_layers - t5_cross_keys(k),
                         .head = (double)k->width * k->vocab,
                         .bytes = t5_bytes(&m->t5.decoder),
                         .layer_w = &m->t5.decoder.layer[k->decoder_layers - 1].feed.up.w,
                         .head_w = t5_head(&m->t5)};
}

static StepWeights opt_step(const Blip2 *m)
{
    const OptConfig *k = &m->config.opt;
    double d = k->width;
    return (StepWeights){.layers = (4 * d * d + 2 * d * k->mlp) * k->layers,
                         .head = d * k->vocab,
                         .bytes = opt_bytes(&m->opt),
                         .layer_w = &m->opt.layer[k->layers - 1].fc1.w,
                         .head_w = opt_head(&m->opt)};
}

static StepWeights qformer_step(const Blip2 *m)
{
    const QformerConfig *k = &m->config.qformer;
    const Param *w = &m->qformer.layer[0].self.q.w;
    double d = k->width, layers = (4 * d * d + 2 * d * k->mlp) * k->layers + d * d;
    return (StepWeights){.layers = layers,
                         .head = d * k->vocab,
                         .bytes = (double)dtype_bytes(w->dtype, (size_t)layers),
                         .layer_w = w,
                         .head_w = &m->qformer.words};
}

static StepWeights step_of(const Blip2 *m)
{
    switch (m->config.kind) {
    case MODEL_T5: return t5_step(m);
    case MODEL_MATCHING: return qformer_step(m);
    default: return opt_step(m);
    }
}

Work work_decode(const Blip2 *m)
{
    StepWeights s = step_of(m);
    return (Work){.bytes = s.bytes + (double)dtype_bytes(s.head_w->dtype, (size_t)s.head),
                  .w = s.layer_w,
                  .role = ROLE_DECODE};
}

Work work_encoder(const Blip2 *m)
{
    const T5Config *k = &m->config.t5;
    double rows = m->config.qformer.queries + BENCH_TEXT;
    double attention = 4 * rows * k->heads * k->key_width;
    return (Work){.ops = rows * (2 * t5_layer(k, 1) + attention) * k->layers,
                  .w = &m->t5.encoder.layer[0].self.q.w};
}

/* Of the Q-Former and Flan-T5 the first word's step is part of it. */
Work work_prefill(const Blip2 *m)
{
    StepWeights s = step_of(m);
    double rows = m->config.qformer.queries + BENCH_TEXT, step = 2 * (s.layers + s.head);
    Work work = {.ops = 2 * s.layers * rows, .w = s.layer_w};
    if (m->config.kind == MODEL_T5)
        work.ops = work_encoder(m).ops + 2 * rows * t5_cross_keys(&m->config.t5) + step;
    if (m->config.kind == MODEL_MATCHING)
        work.ops = work_qformer(m).ops + step;
    return work;
}
