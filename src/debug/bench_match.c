/* debug/bench_match.c: the stages of matching models: pictures and texts beside each other. */
#include "debug/bench.h"

#include "task/match.h"
#include "task/reading.h"
#include "tensor/profile.h"

/* The Q-Former over n texts, each behind the picture's queries, and the matching head. */
static bool read_pairs(Bench *b, int n, double *ms)
{
    const Blip2 *m = bench_net(b);
    Ctx *c = &bench_engine(b)->text;
    int queries = m->config.qformer.queries;
    Reading r = {.n = 0};
    for (int i = 0; i < n; i++)
        reading_add(&r, b->seen, b->text[i], BENCH_TEXT);
    double start = now_ms();
    ProfileStage before = profile_enter(c->on, STAGE_READING);
    ctx_begin(c, ROLE_ENCODE);
    Tensor *seen = reading_heads(c, &m->qformer, &r, reading_run(c, &m->qformer, &r), queries);
    heads_match(c, &m->heads, seen, queries);
    profile_leave(c->on, before);
    bool ok = bench_took(b, c, start, ms);
    *ms /= n;
    return ok;
}

bool bench_itm(Bench *b, double *ms)
{
    return read_pairs(b, 1, ms);
}

/* Different texts of one picture, in one pass. */
bool bench_itm_batch(Bench *b, double *ms)
{
    return read_pairs(b, BENCH_TEXTS, ms);
}

/* The features of a text and of a picture that the Q-Former has seen. */
bool bench_itc(Bench *b, double *ms)
{
    const Blip2 *m = bench_net(b);
    Ctx *c = &bench_engine(b)->text;
    Reading r = {.n = 0};
    reading_add(&r, NULL, b->text[0], BENCH_TEXT);
    double start = now_ms();
    ProfileStage before = profile_enter(c->on, STAGE_READING);
    ctx_begin(c, ROLE_ENCODE);
    Tensor *first = reading_heads(c, &m->qformer, &r, reading_run(c, &m->qformer, &r), 1);
    heads_text(c, &m->heads, first);
    heads_image(c, &m->heads, tensor_of(c, &b->seen->part[ENCODED_QUERIES]));
    profile_leave(c->on, before);
    return bench_took(b, c, start, ms);
}

bool bench_match(Bench *b, double *ms)
{
    MatchJob job = {
        .image = {.picture = &b->picture->picture}, .ids = b->text[0], .n_ids = BENCH_TEXT};
    double start = now_ms();
    engine_match(bench_engine(b), &job, 1);
    *ms = now_ms() - start;
    return !job.error.code || error_set(&b->e, job.error.code, "%s", job.error.message);
}

/* Features of a picture, of a text and of both, which share the tower's pass as they do when one picture is asked
 * for all of them. */
bool bench_features(Bench *b, double *ms)
{
    static const FeatureKind KINDS[] = {FEATURE_IMAGE, FEATURE_TEXT, FEATURE_BOTH};
    enum { N = sizeof KINDS / sizeof *KINDS };
    static const unsigned PARTS = 1u << ENCODED_VISION | 1u << ENCODED_QUERIES;
    EncodeJob image = {.picture = &b->picture->picture, .parts = PARTS};
    FeatureJob job[N];
    bool ok = true;
    image.serial = UINT64_MAX - b->runs++; /* never seen before */
    for (int i = 0; i < N; i++)
        job[i] =
            (FeatureJob){.kind = KINDS[i], .image = image, .ids = b->text[0], .n_ids = BENCH_TEXT};
    double start = now_ms();
    engine_features(bench_engine(b), job, N);
    *ms = now_ms() - start;
    for (int i = 0; i < N; i++) {
        ok = ok && (!job[i].error.code ||
                    error_set(&b->e, job[i].error.code, "%s", job[i].error.message));
        mem_free(job[i].values);
    }
    return ok;
}
