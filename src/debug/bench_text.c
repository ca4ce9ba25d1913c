/* debug/bench_text.c: the stages of a text: what a language model, or the Q-Former, says of a picture. */
#include "debug/bench.h"

#include <string.h>

#include "tensor/profile.h"

enum { CAPTION_IDS = 12, DECODE_STEPS = 4 };

/* The Q-Former captions without a prompt. */
static bool has_prompt(const Bench *b)
{
    return bench_net(b)->config.kind != MODEL_MATCHING;
}

static LmPrompt prompt_of(Bench *b, Tensor *picture, int rows, int steps)
{
    *picture = b->seen->part[has_prompt(b) ? ENCODED_EMBEDS : ENCODED_VISION];
    return (LmPrompt){.image_embeds = picture,
                      .ids = b->text[0],
                      .n = has_prompt(b) ? BENCH_TEXT : 0,
                      .rows = rows,
                      .steps = steps};
}

/* Flan-T5's encoder over picture and prompt. */
bool bench_encoder(Bench *b, double *ms)
{
    const Blip2 *m = bench_net(b);
    Ctx *c = bench_engine(b)->lm->c;
    Tensor picture;
    LmPrompt p = prompt_of(b, &picture, 1, 0);
    ctx_begin(c, ROLE_ENCODE);
    double start = now_ms();
    ProfileStage before = profile_enter(c->on, STAGE_PREFILL);
    Tensor *x = lm_embed(c, &m->t5.tokens, &p, 1, m->config.qformer.queries);
    AttnSpan all = {.nq = x ? x->rows : 0, .nk = x ? x->rows : 0};
    Spans spans = spans_upload(c, &all, 1);
    if (x && spans.there)
        t5_encode(c, &m->t5, x, &spans);
    profile_leave(c->on, before);
    return bench_took(b, c, start, ms);
}

/* The prompt read by the language model; *row is its live row until end_prompt. */
static bool start_prompt(Bench *b, const LmPrompt *p, int *row, double *ms)
{
    Lm *lm = bench_engine(b)->lm;
    double from = now_ms();
    return lm_prefill(lm, p, 1, row, &b->e) != NULL && bench_took(b, lm->c, from, ms);
}

static void end_prompt(Bench *b, const LmPrompt *p, const int *row, int n)
{
    Lm *lm = bench_engine(b)->lm;
    lm->drop(lm, row, n);
    lm->release(lm, p);
}

bool bench_prefill(Bench *b, double *ms)
{
    Tensor picture;
    LmPrompt p = prompt_of(b, &picture, 1, DECODE_STEPS);
    int row;
    if (!start_prompt(b, &p, &row, ms))
        return false;
    end_prompt(b, &p, &row, 1);
    return true;
}

/* One step of n rows; the new ones take the place of the old. */
static bool take_step(Bench *b, int n, int *row, int step, double *ms)
{
    Lm *lm = bench_engine(b)->lm;
    int ids[BENCH_BEAMS], made[BENCH_BEAMS];
    for (int i = 0; i < n; i++)
        ids[i] = 5 + i + step;
    double from = now_ms();
    if (!lm_advance(lm, n, row, ids, made, &b->e) || !bench_took(b, lm->c, from, ms))
        return false;
    if (step > 0) /* before, all are the prompt's row, which end_prompt drops */
        lm->drop(lm, row, n);
    memcpy(row, made, sizeof *row * (size_t)n);
    return true;
}

/* DECODE_STEPS + 1 steps of n rows; the first, which follows a prefill, is not counted. */
static bool run_steps(Bench *b, int n, double *ms)
{
    Lm *lm = bench_engine(b)->lm;
    Tensor picture;
    LmPrompt p = prompt_of(b, &picture, n, DECODE_STEPS + 1);
    double unused, each, sum = 0;
    int first, row[BENCH_BEAMS];
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

bool bench_decode(Bench *b, double *ms)
{
    return run_steps(b, 1, ms);
}

bool bench_decode_beams(Bench *b, double *ms)
{
    return run_steps(b, BENCH_BEAMS, ms);
}

bool bench_caption(Bench *b, double *ms)
{
    Engine *en = bench_engine(b);
    EngineRequest r = {.image = {.picture = &b->picture->picture}, .options = GEN_NEUTRAL};
    EngineItem *it;
    if (has_prompt(b)) {
        r.ids = b->text[0];
        r.n_ids = BENCH_TEXT;
    }
    r.options.library = LIB_LAVIS;
    r.options.num_beams = BENCH_BEAMS;
    r.options.max_new_tokens = r.options.min_new_tokens = CAPTION_IDS;
    double from = now_ms();
    bool ok = engine_run(en, &r, 1, &it, &b->e);
    *ms = now_ms() - from;
    if (!ok)
        return false;
    ok = !engine_error(it)->code ||
         error_set(&b->e, engine_error(it)->code, "%s", engine_error(it)->message);
    engine_leave(en, it);
    return ok;
}
