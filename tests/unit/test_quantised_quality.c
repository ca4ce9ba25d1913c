/* What quantised weights change in what the embedded model says: the divergence of its distributions, and the ids that it
 * chooses. The model as it is stored leads: its own ids are what the others are given, so that one slip does not count
 * again in every step behind it. The figures of docs/QUANTIZATION.md are printed here. */
#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "models/facts.h"
#include "task/engine.h"
#include "text/tokenizer.h"

#define SCENES SOURCE_DIR "/models/scenes"
enum { SAMPLES = 12, VARIANTS = 8, PROMPTS = 2, SIDE = 96, PIXELS = 3 * SIDE * SIDE };
enum { RUNS = PROMPTS * SAMPLES * VARIANTS, STEPS = 14, VOCAB_MAX = 600, IDS_MAX = 32, END = 202 };

static Device *dev;
static Stream *on;
static float pixels[SAMPLES][PIXELS];

typedef struct Prompt {
    int ids[IDS_MAX], n;
} Prompt;
static Prompt prompt[PROMPTS];

/* --- what the model is shown ------------------------------------------------------------------------- */

static void load_pictures(void)
{
    PrepareSpec spec = prepare_default(SIDE);
    for (int i = 0; i < SAMPLES; i++) {
        Error e = {0};
        Picture p;
        char path[512];
        snprintf(path, sizeof path, SCENES "/samples/scene%03d.png", i);
        if (!picture_load(&p, path, &e) || !picture_prepare(pixels[i], &p, ROUTE_OWN, &spec, &e))
            fail_msg("%s", e.message);
        picture_free(&p);
    }
}

/* More pictures of one: mirrored, and moved, what leaves on one side coming back on the other. */
static void variant(float *out, const float *px, int v)
{
    const int right = v / 2 * 3, down = v / 2 * 5;
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int from = ((v % 2 ? SIDE - 1 - x : x) + right) % SIDE;
                out[(c * SIDE + y) * SIDE + x] = px[(c * SIDE + (y + down) % SIDE) * SIDE + from];
            }
}

static void load_prompts(void)
{
    static const char *const TEXTS[PROMPTS] = {"", "Question: what is in the picture? Answer:"};
    Error e = {0};
    Tokenizer *t = tokenizer_load(SCENES, &e);
    if (!t)
        fail_msg("%s", e.message);
    for (int i = 0; i < PROMPTS; i++) {
        Ids ids = {0};
        assert_true(tokenizer_encode(t, TEXTS[i], strlen(TEXTS[i]), true, false, &ids, &e));
        assert_true(ids.n > 0 && ids.n <= IDS_MAX);
        memcpy(prompt[i].ids, ids.id, ids.n * sizeof *ids.id);
        prompt[i].n = (int)ids.n;
        ids_free(&ids);
    }
    tokenizer_free(t);
}

/* --- what it says ------------------------------------------------------------------------------------ */

typedef struct Said {
    float logits[STEPS][VOCAB_MAX];
    int ids[STEPS], n;
} Said;

static int vocab;

static int best(const float *logits)
{
    int at = 0;
    for (int i = 1; i < vocab; i++)
        at = logits[i] > logits[at] ? i : at;
    return at;
}

/* Run r of the model; lead: whose ids it is given instead of its own, as long as they last. */
static void say(const Blip2 *m, int r, Said *s, const Said *lead)
{
    static float px[PIXELS];
    Error e = {0};
    Encoder en;
    Ctx c;
    int row, next;
    const Prompt *p = &prompt[r / (SAMPLES * VARIANTS)];
    variant(px, pixels[r / VARIANTS % SAMPLES], r % VARIANTS);
    encoder_init(&en, on, m, 1);
    ctx_init(&c, on);
    Lm *lm = lm_new(&c, m, &e);
    EncodeJob job = {.pixels = px, .height = SIDE, .width = SIDE};
    encoder_encode(&en, &job, 1);
    assert_true(lm && job.encoded);
    LmPrompt ask = {.image_embeds = &job.encoded->part[ENCODED_EMBEDS],
                    .ids = p->ids,
                    .n = p->n,
                    .rows = 1,
                    .steps = STEPS};
    const Tensor *t = lm->prefill(lm, &ask, 1, &row, &e);
    for (s->n = 0;;) {
        if (!t)
            fail_msg("%s", e.message);
        assert_true(tensor_download(&c, s->logits[s->n], t));
        s->ids[s->n] = best(s->logits[s->n]);
        int id = lead ? lead->ids[s->n] : s->ids[s->n];
        s->n++;
        if (s->n == (lead ? lead->n : STEPS) || (!lead && id == END))
            break;
        t = lm->advance(lm, 1, &row, &id, &next, &e);
        lm->drop(lm, &row, 1);
        row = next;
    }
    lm->drop(lm, &row, 1);
    encoder_release(&en, job.encoded);
    lm->free(lm);
    ctx_free(&c);
    encoder_free(&en);
}

static double log_sum(const float *logits, double *top)
{
    double sum = 0;
    *top = (double)logits[best(logits)];
    for (int i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - *top);
    return log(sum);
}

/* Kullback and Leibler's divergence of q from p, in nats, of the distributions that the logits give. */
static double divergence(const float *p, const float *q)
{
    double tp, tq, lp = log_sum(p, &tp), lq = log_sum(q, &tq), sum = 0;
    for (int i = 0; i < vocab; i++) {
        double a = (double)p[i] - tp - lp, b = (double)q[i] - tq - lq;
        sum += exp(a) * (a - b);
    }
    return sum;
}

typedef struct Quality {
    double mean, most; /* divergence */
    int ids, same_ids, texts, same_texts;
} Quality;

static Said lead[RUNS];

static Quality quality_of(Preset preset)
{
    static Said s;
    Error e = {0};
    Quality q = {0};
    Blip2 *m = model_open(dev, SCENES, preset, &e);
    if (!m)
        fail_msg("%s", e.message);
    for (int r = 0; r < RUNS; r++) {
        bool same = true;
        say(m, r, &s, &lead[r]);
        for (int i = 0; i < s.n; i++) {
            double d = divergence(lead[r].logits[i], s.logits[i]);
            q.mean += d;
            q.most = fmax(q.most, d);
            q.ids++;
            q.same_ids += s.ids[i] == lead[r].ids[i];
            same &= s.ids[i] == lead[r].ids[i];
        }
        q.texts++;
        q.same_texts += same;
    }
    q.mean /= q.ids;
    model_close(m);
    print_message("%-6s divergence %.1e, at most %.3f; ids %d of %d, texts %d of %d\n",
                  preset ? preset_name(preset) : "stored", q.mean, q.most, q.same_ids, q.ids,
                  q.same_texts, q.texts);
    return q;
}

/* The bounds are about three times what is published. */
static void quality(void **state)
{
    Quality stored = quality_of(PRESET_NONE);
    assert_true(stored.ids > 1000 && stored.same_ids == stored.ids && stored.mean < 1e-12);
    Quality int8 = quality_of(PRESET_INT8), int4 = quality_of(PRESET_INT4),
            mixed = quality_of(PRESET_MIXED);
    assert_true(int8.mean > 1e-8 && int8.mean < 2e-5 && int8.same_ids >= int8.ids - 2);
    assert_true(int4.mean > 1e-5 && int4.mean < 4e-4 && int4.same_ids >= int4.ids - 5);
    assert_true(mixed.mean < 0.75 * int4.mean && mixed.same_ids >= mixed.ids - 3);
}

static int setup(void **state)
{
    Error e = {0};
    dev = cpu_device(&e);
    on = dev ? dev->stream(dev, &(StreamOptions){.threads = 1}, &e) : NULL;
    Blip2 *m = on ? model_open(dev, SCENES, PRESET_NONE, &e) : NULL;
    if (!m)
        return -1;
    vocab = config_language(&m->config).vocab;
    assert_true(vocab <= VOCAB_MAX);
    load_pictures();
    load_prompts();
    for (int r = 0; r < RUNS; r++)
        say(m, r, &lead[r], NULL);
    model_close(m);
    return 0;
}

static int teardown(void **state)
{
    on->close(on);
    dev->close(dev);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(quality)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
