/* Pictures and ids in, ids out, on the tiny golden model: items that join and leave at any time, each
 * getting what it gets alone; errors that stay with their item; memory; and a device whose memory the
 * host cannot touch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"

#include "dice.h"
#include "fenced.h"
#include "task/engine.h"

/* The sanitizers make it twenty times slower: fewer items there. */
#ifdef __SANITIZE_ADDRESS__
enum { TOTAL = 150 };
#else
enum { TOTAL = 1000 };
#endif
enum { RUNNING = 40, IDS = 12, PICTURES = 6, AREA = 3 * PIXELS * PIXELS };

/* --- pictures --------------------------------------------------------------------------------------- */

/* The goldens' two, mixtures of them with noise, and one with a pixel that is no number. */
static float pictures[PICTURES][AREA];

static int setup(void **state)
{
    if (golden_setup(state))
        return 1;
    for (int p = 0; p < PICTURES; p++)
        for (int i = 0; i < AREA; i++) {
            float noise = (float)rng_normal((uint64_t)p, (uint64_t)i) * 0.5f;
            pictures[p][i] = golden_pixels((size_t)p % 2)[i] + (p < 2 ? 0 : noise);
        }
    pictures[PICTURES - 1][AREA / 2] = NAN;
    return 0;
}

/* --- an engine -------------------------------------------------------------------------------------- */

typedef struct Side {
    Tiny t;
    Engine en;
} Side;

static void side_open_as(Side *s, Device *dev, int keep, bool quantise)
{
    Error e = {0};
    s->t = tiny_open_as(dev, NULL, 1, quantise); /* the model is too small to share its work */
    if (!engine_init(&s->en, s->t.m, NULL, s->t.on, keep, &e))
        fail_msg("%s", e.message);
}

static void side_open(Side *s, Device *dev, int keep)
{
    side_open_as(s, dev, keep, false);
}

static void side_close(Side *s)
{
    engine_free(&s->en);
    tiny_close(&s->t);
}

/* --- random items ----------------------------------------------------------------------------------- */

typedef struct Job {
    int picture, n_ids, ids[IDS], banned[BANNED];
    GenOptions o;
    EngineItem *item; /* NULL: not there */
} Job;

static EngineRequest request_of(const Job *j)
{
    EngineRequest r = {.image = {.pixels = pictures[j->picture], .height = PIXELS, .width = PIXELS},
                       .ids = j->ids,
                       .n_ids = j->n_ids,
                       .options = j->o};
    r.options.banned = j->banned;
    return r;
}

/* One in twenty cannot be done: no numbers in the picture, or no such id. */
static void choose_job(Dice *d, Job *j)
{
    *j = (Job){.picture = below(d, PICTURES - 1), .n_ids = below(d, IDS), .o = GEN_NEUTRAL};
    for (int i = 0; i < j->n_ids; i++)
        j->ids[i] = below(d, GOLDEN_VOCAB);
    j->o.library = (Library)below(d, 2);
    choose_options(d, &j->o, NQ + j->n_ids, GOLDEN_VOCAB, j->banned);
    if (chance(d, 0.025))
        j->picture = PICTURES - 1;
    if (j->n_ids && chance(d, 0.025))
        j->ids[0] = chance(d, 0.5) ? -1 : GOLDEN_VOCAB;
}

static void check_same(const EngineItem *got, const EngineItem *want)
{
    int n, m;
    const GenSequence *a = engine_sequences(got, &n), *b = engine_sequences(want, &m);
    assert_int_equal(engine_error(got)->code, engine_error(want)->code);
    assert_string_equal(engine_error(got)->message, engine_error(want)->message);
    assert_true(!a == !b && n == m && !a == (engine_error(got)->code != ERR_NONE));
    for (int i = 0; a && i < n; i++) {
        assert_int_equal(a[i].n, b[i].n);
        assert_memory_equal(a[i].ids, b[i].ids, (size_t)a[i].n * sizeof(int));
        assert_memory_equal(&a[i].score, &b[i].score, sizeof a[i].score);
    }
}

/* --- a crowd ---------------------------------------------------------------------------------------- */

typedef struct Crowd {
    Side busy, quiet;
    Dice d;
    Job *job; /* [TOTAL] */
    int joined, here, ended, failed, left;
} Crowd;

static void join_some(Crowd *c)
{
    Job *j = &c->job[c->joined];
    EngineRequest r[13];
    EngineItem *item[13];
    int n = below(&c->d, 13);
    Error e = {0};
    n = n < TOTAL - c->joined ? n : TOTAL - c->joined;
    for (int i = 0; i < n; i++) {
        choose_job(&c->d, &j[i]);
        r[i] = request_of(&j[i]);
    }
    if (!engine_join(&c->busy.en, r, n, item, &e))
        fail_msg("%s", e.message);
    for (int i = 0; i < n; i++)
        j[i].item = item[i];
    c->joined += n;
    c->here += n;
}

static void check_ended(Crowd *c, const Job *j)
{
    EngineRequest r = request_of(j);
    EngineItem *alone;
    Error e = {0};
    assert_true(engine_run(&c->quiet.en, &r, 1, &alone, &e));
    check_same(j->item, alone);
    engine_leave(&c->quiet.en, alone);
    c->ended++;
    c->failed += engine_error(j->item)->code != ERR_NONE;
}

static void leave_some(Crowd *c)
{
    for (int i = 0; i < c->joined; i++) {
        Job *j = &c->job[i];
        bool running = j->item && engine_running(j->item);
        if (!j->item || !chance(&c->d, running ? 0.01 : 0.5))
            continue;
        if (!running)
            check_ended(c, j);
        c->left += running;
        engine_leave(&c->busy.en, j->item);
        j->item = NULL;
        c->here--;
    }
}

static void test_crowd(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    Crowd c = {.d = {11, 0}};
    c.job = calloc(TOTAL, sizeof *c.job);
    side_open(&c.busy, cpu_device(NULL), 2);
    side_open(&c.quiet, cpu_device(NULL), 0);
    while (c.joined < TOTAL || c.here > 0) {
        if (c.joined < TOTAL && c.here < RUNNING && chance(&c.d, 0.6))
            join_some(&c);
        assert_true(engine_step(&c.busy.en) <= c.here);
        leave_some(&c);
    }
    printf("%d items: %d ended, %d of them with an error, %d left before\n", TOTAL, c.ended,
           c.failed, c.left);
    assert_int_equal(c.ended + c.left, TOTAL);
    assert_true(c.failed > 0 && c.failed < c.ended / 4);
    side_close(&c.busy);
    side_close(&c.quiet);
    free(c.job);
    assert_int_equal(mem_in_use(), before);
}

/* --- errors ----------------------------------------------------------------------------------------- */

static void expect_error(Engine *en, const Job *j, ErrorCode code, const char *message)
{
    Job good = {.o = GEN_NEUTRAL, .n_ids = 1, .ids = {2}};
    EngineRequest r[3] = {request_of(&good), request_of(j), request_of(&good)}, one = r[0];
    EngineItem *item[3], *alone;
    Error e = {0};
    assert_true(engine_run(en, r, 3, item, &e));
    assert_true(engine_run(en, &one, 1, &alone, &e));
    assert_int_equal(engine_error(item[1])->code, code);
    if (!strstr(engine_error(item[1])->message, message))
        fail_msg("expected \"%s\" in: %s", message, engine_error(item[1])->message);
    check_same(item[0], alone);
    check_same(item[2], alone);
    for (int i = 0; i < 3; i++)
        engine_leave(en, item[i]);
    engine_leave(en, alone);
}

static void test_errors(void **state)
{
    (void)state;
    Side s;
    side_open(&s, cpu_device(NULL), 0);
    Job j = {.o = GEN_NEUTRAL, .n_ids = 2, .ids = {2, GOLDEN_VOCAB}};
    expect_error(&s.en, &j, ERR_FAILED, "256");
    j.ids[1] = 7;
    j.picture = PICTURES - 1;
    expect_error(&s.en, &j, ERR_FAILED, "logits: step 1: id 0: expected a number");
    j.picture = 0;
    j.o.num_beams = 0;
    expect_error(&s.en, &j, ERR_USAGE, "beams");
    side_close(&s);
}

/* A prompt longer than the positions says so, whatever the length limit. */
static void test_too_long(void **state)
{
    (void)state;
    enum { POSITIONS = 96 };
    int ids[POSITIONS];
    Side s;
    side_open(&s, cpu_device(NULL), 0);
    for (int i = 0; i < POSITIONS; i++)
        ids[i] = 5;
    for (int mode = 0; mode < 4; mode++) {
        Job j = {.o = GEN_NEUTRAL};
        EngineRequest r = request_of(&j);
        EngineItem *item;
        Error e = {0};
        r.options.library = (Library)(mode & 1);
        r.options.max_length = mode & 2 ? 300 : 0;
        r.ids = ids;
        r.n_ids = POSITIONS - NQ + 1;
        assert_false(engine_check(&s.en, &r, &e));
        assert_string_equal(e.message,
                            "prompt: expected at most 90 tokens beside the image, got 91");
        assert_true(engine_run(&s.en, &r, 1, &item, &e));
        assert_int_equal(engine_error(item)->code, ERR_FAILED);
        assert_string_equal(engine_error(item)->message, e.message);
        engine_leave(&s.en, item);
        r.n_ids--; /* fits: one id follows */
        assert_true(engine_run(&s.en, &r, 1, &item, &e));
        assert_int_equal(engine_error(item)->code, ERR_NONE);
        int n;
        assert_int_equal(engine_sequences(item, &n)->n, 1);
        engine_leave(&s.en, item);
    }
    side_close(&s);
}

/* --- memory ----------------------------------------------------------------------------------------- */

enum { FEW = 5 };

static void few_jobs(Job *j)
{
    Dice d = {21, 0};
    for (int i = 0; i < FEW; i++) {
        choose_job(&d, &j[i]);
        j[i].picture = i;
        j[i].o.max_new_tokens = 4;
        j[i].o.max_length = 0;
    }
}

/* The n-th allocation fails in a join of some, a step, a join of the others and all steps. */
static bool fail_one(Engine *en, EngineItem *const *want, long n)
{
    Job job[FEW];
    EngineRequest r[FEW];
    EngineItem *item[FEW] = {0};
    Error e = {0};
    int failed = 0;
    few_jobs(job);
    for (int i = 0; i < FEW; i++)
        r[i] = request_of(&job[i]);
    mem_fail_at(n);
    bool ok = engine_join(en, r, 3, item, &e);
    if (ok) {
        engine_step(en);
        ok = engine_join(en, r + 3, FEW - 3, item + 3, &e);
    }
    while (engine_step(en) > 0) {
    }
    bool hit = mem_fail_hit();
    mem_fail_at(0);
    assert_true(ok || (hit && e.code == ERR_MEMORY));
    assert_int_equal(en->encoder.n,
                     0); /* nobody holds a picture any more, and none is remembered */
    for (int i = 0; i < FEW; i++) {
        if (!ok && (i >= 3 || !item[i] || !en->items))
            continue;
        if (engine_error(item[i])->code == ERR_NONE)
            check_same(item[i], want[i]);
        else
            assert_int_equal(engine_error(item[i])->code, ERR_MEMORY);
        failed += engine_error(item[i])->code != ERR_NONE;
    }
    assert_true(failed <= 3);
    while (en->items)
        engine_leave(en, en->items);
    return hit;
}

static void test_memory(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    Job job[FEW];
    EngineRequest r[FEW];
    EngineItem *want[FEW];
    Side quiet, s;
    long n = 1;
    Error e = {0};
    few_jobs(job);
    for (int i = 0; i < FEW; i++)
        r[i] = request_of(&job[i]);
    side_open(&quiet, cpu_device(NULL), 0);
    assert_true(engine_run(&quiet.en, r, FEW, want, &e));
    for (bool hit = true; hit; n++) {
        side_open(&s, cpu_device(NULL), 0);
        hit = fail_one(&s.en, want, n);
        side_close(&s);
    }
    printf("%ld allocations\n", n - 2);
    assert_true(n > 100);
    side_close(&quiet);
    assert_int_equal(mem_in_use(), before);
}

/* --- more than there is memory for ------------------------------------------------------------------- */

static size_t none_left(Device *d)
{
    (void)d;
    return 0;
}

/* An engine with a tokenizer, so that it can be listened to; without end ids. */
typedef struct Loud {
    Tiny t;
    Tokenizer *words;
    Engine en;
} Loud;

static void loud_open(Loud *l)
{
    Error e = {0};
    l->t = tiny_open(cpu_device(NULL), NULL, 1);
    l->t.m->config.gen.n_eos = 0;
    l->words = tokenizer_load(SOURCE_DIR "/models/scenes", &e);
    if (!l->words || !engine_init(&l->en, l->t.m, l->words, l->t.on, 0, &e))
        fail_msg("%s", e.message);
}

static void loud_close(Loud *l)
{
    engine_free(&l->en);
    tokenizer_free(l->words);
    tiny_close(&l->t);
}

static EngineRequest short_request(const Job *j, int new_ids)
{
    EngineRequest r = request_of(j);
    r.options.max_new_tokens = new_ids;
    return r;
}

/* The cache holds one item of so many new ids behind one, and can never grow again. */
static void limit_to(Engine *en, Device *dev, int new_ids)
{
    Job j = {.o = GEN_NEUTRAL, .n_ids = 1, .ids = {2}};
    EngineRequest r = short_request(&j, new_ids);
    EngineItem *item;
    Error e = {0};
    assert_true(engine_run(en, &r, 1, &item, &e));
    assert_int_equal(engine_error(item)->code, ERR_NONE);
    engine_leave(en, item);
    dev->available = none_left;
}

enum { WAITING = 12 };

static int order[WAITING], n_order;

/* user: where the item's own number is, -1 once it has been heard. */
static bool hear_first(void *user, int id, const char *text)
{
    int *number = user;
    (void)id;
    (void)text;
    if (*number >= 0)
        order[n_order++] = *number;
    *number = -1;
    return true;
}

/* Room for one: those that wait begin in the order in which they were given. */
static void test_waiting_order(void **state)
{
    (void)state;
    Job j = {.o = GEN_NEUTRAL, .n_ids = 1, .ids = {2}};
    EngineRequest r[WAITING];
    EngineItem *item[WAITING];
    int number[WAITING];
    Loud l;
    Error e = {0};
    loud_open(&l);
    limit_to(&l.en, l.t.dev, 3);
    for (int i = 0; i < WAITING; i++) {
        r[i] = short_request(&j, 3);
        number[i] = i;
        r[i].on_token = hear_first;
        r[i].user = &number[i];
    }
    n_order = 0;
    assert_true(engine_run(&l.en, r, WAITING, item, &e));
    assert_int_equal(n_order, WAITING);
    for (int i = 0; i < WAITING; i++) {
        assert_int_equal(order[i], i);
        assert_int_equal(engine_error(item[i])->code, ERR_NONE);
        assert_string_equal(engine_notice(item[i]), "batch: memory for 1 of 12 at once");
        check_same(item[i], item[0]);
    }
    loud_close(&l);
}

/* Two short ones at once, or a long one. Those that come out say how many there were at most; one that
 * fails, or that even alone has no room, says only that. */
static void test_waiting_notice(void **state)
{
    (void)state;
    enum { N = 5, SHORT = 3, LONG = 2 * SHORT + NQ + 1, FAILS = 1, TOO_LARGE = 3 };
    static const int NEW[N] = {SHORT, SHORT, SHORT, LONG + 1, LONG};
    EngineRequest r[N];
    EngineItem *item[N];
    Job j[N];
    Side s;
    Error e = {0};
    side_open(&s, cpu_device(NULL), 0);
    s.t.m->config.gen.n_eos = 0;
    limit_to(&s.en, s.t.dev, LONG);
    for (int i = 0; i < N; i++) {
        j[i] = (Job){.o = GEN_NEUTRAL, .n_ids = 1, .ids = {2}};
        j[i].picture = i == FAILS ? PICTURES - 1 : 0;
        r[i] = short_request(&j[i], NEW[i]);
    }
    assert_true(engine_run(&s.en, r, N, item, &e));
    for (int i = 0; i < N; i++) {
        bool good = i != FAILS && i != TOO_LARGE;
        ErrorCode code = good ? ERR_NONE : i == FAILS ? ERR_FAILED : ERR_MEMORY;
        assert_int_equal(engine_error(item[i])->code, code);
        assert_string_equal(engine_notice(item[i]), good ? "batch: memory for 2 of 5 at once" : "");
    }
    side_close(&s);
}

/* Each of the model's end ids ends a text, whichever comes first. */
static void test_end_ids(void **state)
{
    (void)state;
    enum { ALL = 8, CUT = 5 };
    Job j = {.o = GEN_NEUTRAL, .n_ids = 1, .ids = {2}};
    EngineRequest r = short_request(&j, ALL);
    EngineItem *whole, *cut;
    Side s;
    Error e = {0};
    int n;
    side_open(&s, cpu_device(NULL), 0);
    GenOptions *gen = &s.t.m->config.gen;
    r.options.no_repeat_ngram = 1; /* no id twice */
    gen->n_eos = 0;
    assert_true(engine_run(&s.en, &r, 1, &whole, &e));
    const GenSequence *want = engine_sequences(whole, &n);
    assert_int_equal(want->n, ALL);
    gen->n_eos = 2;
    for (int way = 0; way < 2; way++) {
        gen->eos[way] = want->ids[CUT - 1];
        gen->eos[!way] = want->ids[ALL - 1];
        assert_true(engine_run(&s.en, &r, 1, &cut, &e));
        const GenSequence *got = engine_sequences(cut, &n);
        assert_int_equal(got->n, CUT);
        assert_memory_equal(got->ids, want->ids, CUT * sizeof(int));
    }
    side_close(&s);
}

/* --- pictures that are remembered -------------------------------------------------------------------- */

/* Questions about a picture that is known do not add up. */
static void test_known_picture(void **state)
{
    (void)state;
    enum { EDGE = 20 };
    uint8_t rgb[EDGE * EDGE * 3];
    Job j = {.o = GEN_NEUTRAL, .n_ids = 1, .ids = {2}};
    EngineRequest r = request_of(&j);
    EngineItem *item;
    Picture picture = {.width = EDGE, .height = EDGE, .channels = 3, .orientation = 1, .data = rgb};
    Side s;
    size_t after_first = 0;
    Error e = {0};
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)rng_u64(3, i);
    r.image = (EncodeJob){.picture = &picture, .serial = 77};
    side_open(&s, cpu_device(NULL), 1);
    for (int i = 0; i < 2000; i++) {
        assert_true(engine_join(&s.en, &r, 1, &item, &e));
        assert_int_equal(engine_error(item)->code, ERR_NONE);
        engine_leave(&s.en, item);
        if (i == 10)
            after_first = s.en.encoder.c.mem.used + s.en.encoder.c.data.used;
    }
    assert_int_equal(s.en.encoder.c.mem.used + s.en.encoder.c.data.used, after_first);
    side_close(&s);
}

/* Two pictures whose n-th copy on the device fails, which it says late; then both again. Returns whether
 * it failed. */
static bool lose_copy(const Picture *picture, int pictures_n, long n, float *out)
{
    enum { EMBEDS = NQ * 64 };
    Side s;
    side_open(&s, fenced_device(NULL), 2);
    Encoder *en = &s.en.encoder;
    int width = en->net->config.opt.width;
    assert_true(width <= 64);
    fenced_fail_copy(s.t.dev, n);
    for (int round = 0; round < 2; round++) {
        EncodeJob job[2] = {{.picture = &picture[0], .serial = 1},
                            {.picture = &picture[1], .serial = 2}};
        encoder_encode(en, job, pictures_n);
        assert_int_equal(fenced_copy_told(s.t.dev), fenced_copy_failed(s.t.dev));
        for (int i = 0; i < pictures_n; i++) {
            float got[EMBEDS];
            if (!job[i].encoded) {
                assert_true(round == 0 && pictures_n == 1);
                assert_string_equal(job[i].error.message, "fenced device: copy failed on purpose");
                continue;
            }
            ctx_begin(&en->c, ROLE_ENCODE);
            assert_true(tensor_download(
                &en->c, got,
                tensor_at(&en->c, job[i].encoded->part[ENCODED_EMBEDS].data, NQ, width)));
            if (n == 0)
                memcpy(out + i * EMBEDS, got, sizeof(float) * (size_t)(NQ * width));
            assert_memory_equal(out + i * EMBEDS, got, sizeof(float) * (size_t)(NQ * width));
            encoder_release(en, job[i].encoded);
        }
    }
    bool failed = fenced_copy_failed(s.t.dev);
    side_close(&s);
    return failed;
}

/* Pictures without a serial are not each other's, and a job's results are all its own. */
static void test_no_serial(void **state)
{
    (void)state;
    static const uint8_t rgb[2][3] = {{0, 0, 0}, {255, 200, 100}};
    float got[2][NQ * 64];
    Picture picture[2];
    EncodeJob job[2];
    Side s;
    side_open(&s, cpu_device(NULL), 2);
    Encoder *en = &s.en.encoder;
    int width = en->net->config.opt.width;
    for (int i = 0; i < 2; i++) {
        picture[i] = (Picture){.width = 1,
                               .height = 1,
                               .channels = 3,
                               .orientation = 1,
                               .data = (uint8_t *)(uintptr_t)rgb[i]};
        job[i] = (EncodeJob){
            .picture = &picture[i], .times = {1e9, 1e9, 1e9}, .error = {ERR_FAILED, "of before"}};
    }
    for (int way = 0; way < 2; way++) { /* in one group; one while the other is there */
        encoder_encode(en, job, 2 - way);
        if (way)
            encoder_encode(en, job + 1, 1);
        for (int i = 0; i < 2; i++) {
            assert_non_null(job[i].encoded);
            assert_int_equal(job[i].error.code, ERR_NONE);
            assert_true(job[i].times.encode > 0 && job[i].times.encode < 1e9);
            ctx_begin(&en->c, ROLE_ENCODE);
            assert_true(tensor_download(
                &en->c, got[i],
                tensor_at(&en->c, job[i].encoded->part[ENCODED_EMBEDS].data, NQ, width)));
        }
        if (!way) /* the two share the time of their pass */
            assert_true(job[0].times.encode == job[1].times.encode);
        assert_memory_not_equal(got[0], got[1], sizeof(float) * (size_t)(NQ * width));
        for (int i = 0; i < 2; i++)
            encoder_release(en, job[i].encoded);
    }
    side_close(&s);
}

/* What is remembered is there: not lost, and not on its way to be. */
static void test_lost_copies(void **state)
{
    (void)state;
    enum { EDGE = 20 };
    static uint8_t rgb[2][EDGE * EDGE * 3];
    static float right[2 * NQ * 64];
    Picture picture[2];
    for (uint64_t i = 0; i < 2; i++) {
        for (uint64_t at = 0; at < sizeof rgb[i]; at++)
            rgb[i][at] = (uint8_t)rng_u64(i, at);
        picture[i] = (Picture){
            .width = EDGE, .height = EDGE, .channels = 3, .orientation = 1, .data = rgb[i]};
    }
    lose_copy(picture, 2, 0, right);
    for (int n_pictures = 1; n_pictures <= 2; n_pictures++) {
        long n = 1;
        while (lose_copy(picture, n_pictures, n, right))
            n++;
        assert_true(n > 2); /* each picture's own, and those of the blocks */
    }
}

/* --- a device that the host cannot read -------------------------------------------------------------- */

/* What a run has said: activations, ids, scores. */
typedef struct Record {
    unsigned char *bytes;
    size_t n, cap;
    Ctx *c;
} Record;

static void note(Record *r, const void *from, size_t bytes)
{
    while (r->n + bytes > r->cap) {
        r->cap = 2 * r->cap + 4096;
        r->bytes = realloc(r->bytes, r->cap);
    }
    if (bytes)
        memcpy(r->bytes + r->n, from, bytes);
    r->n += bytes;
}

static void note_item(Record *r, const EngineItem *it)
{
    int n;
    const GenSequence *s = engine_sequences(it, &n);
    if (!s)
        fail_msg("%s", engine_error(it)->message);
    for (int i = 0; i < n; i++) {
        note(r, &s[i].n, sizeof s[i].n);
        note(r, s[i].ids, (size_t)s[i].n * sizeof(int));
        note(r, &s[i].score, sizeof s[i].score);
    }
}

static void note_tensor(void *user, const char *name, const Tensor *t)
{
    Record *r = user;
    size_t bytes = (size_t)t->rows * (size_t)t->cols * sizeof(float);
    float *x = malloc(bytes);
    note(r, name, strlen(name));
    assert_true(tensor_download(r->c, x, t));
    note(r, x, bytes);
    free(x);
}

static void tap_to(Ctx *c, Record *r)
{
    c->tap = note_tensor;
    c->tap_user = r;
    r->c = c;
}

static void dump(Engine *en, Record *r)
{
    int ids[64];
    Error e = {0};
    EncodeJob job = {.pixels = golden_pixels(0), .height = PIXELS, .width = PIXELS};
    tap_to(&en->encoder.c, r);
    encoder_encode(&en->encoder, &job, 1);
    en->encoder.c.tap = NULL;
    assert_non_null(job.encoded);
    LmPrompt p = {.image_embeds = tensor_at(&en->encoder.c, job.encoded->part[ENCODED_EMBEDS].data,
                                            NQ, en->net->config.opt.width),
                  .ids = ids,
                  .n = prompt_of(0, ids)};
    tap_to(&en->text, r);
    assert_non_null(en->lm->forward(en->lm, &p, &e));
    en->text.tap = NULL;
    encoder_release(&en->encoder, job.encoded);
}

static void run_one(Engine *en, Record *r, const GenOptions *o)
{
    Job j = {.o = *o, .picture = 1};
    EngineItem *item;
    Error e = {0};
    j.n_ids = 3;
    memcpy(j.ids, (int[]){2, 30, 41}, 3 * sizeof(int));
    EngineRequest q = request_of(&j);
    assert_true(engine_run(en, &q, 1, &item, &e));
    note_item(r, item);
    engine_leave(en, item);
}

static void run_searches(Engine *en, Record *r)
{
    GenOptions greedy = GEN_NEUTRAL, beams = GEN_NEUTRAL, sample = GEN_NEUTRAL;
    greedy.max_new_tokens = beams.max_new_tokens = sample.max_new_tokens = 12;
    beams.num_beams = 5;
    beams.num_captions = sample.num_captions = 3;
    beams.repetition_penalty = 1.3;
    beams.no_repeat_ngram = 2;
    sample.sample = true;
    sample.seed = 9;
    run_one(en, r, &greedy);
    run_one(en, r, &beams);
    run_one(en, r, &sample);
    beams.sample = true;
    run_one(en, r, &beams);
}

/* Different items, a few more at every third step. */
static void run_batch(Engine *en, Record *r)
{
    enum { ALL = 12, EACH = 3 };
    Job job[ALL];
    EngineItem *item[ALL];
    Dice d = {31, 0};
    int joined = 0, step = 0;
    Error e = {0};
    for (int i = 0; i < ALL; i++) {
        choose_job(&d, &job[i]);
        job[i].picture = i % (PICTURES - 1);
        job[i].o.max_length = 0;
        job[i].o.n_banned = 0;
        job[i].n_ids =
            job[i].n_ids && (job[i].ids[0] < 0 || job[i].ids[0] >= GOLDEN_VOCAB) ? 0 : job[i].n_ids;
    }
    for (int running = 1; running || joined < ALL; step++) {
        EngineRequest q[EACH];
        for (int i = 0; i < EACH && joined < ALL; i++)
            q[i] = request_of(&job[joined + i]);
        if (step % 3 == 0 && joined < ALL) {
            assert_true(engine_join(en, q, EACH, item + joined, &e));
            joined += EACH;
        }
        running = engine_step(en);
    }
    for (int i = 0; i < ALL; i++) {
        note_item(r, item[i]);
        engine_leave(en, item[i]);
    }
}

static Record record(Device *dev, bool quantise)
{
    Record r = {.bytes = NULL};
    Side s;
    side_open_as(&s, dev, 1, quantise);
    dump(&s.en, &r);
    run_searches(&s.en, &r);
    run_batch(&s.en, &r);
    side_close(&s);
    return r;
}

static void test_fenced(void **state)
{
    (void)state;
    for (int quantise = 0; quantise < 2; quantise++) {
        Record plain = record(cpu_device(NULL), quantise);
        Record fenced = record(fenced_device(NULL), quantise);
        assert_true(plain.n > 10000);
        assert_int_equal(plain.n, fenced.n);
        assert_memory_equal(plain.bytes, fenced.bytes, plain.n);
        free(plain.bytes);
        free(fenced.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd),         cmocka_unit_test(test_errors),
        cmocka_unit_test(test_too_long),      cmocka_unit_test(test_memory),
        cmocka_unit_test(test_waiting_order), cmocka_unit_test(test_waiting_notice),
        cmocka_unit_test(test_end_ids),       cmocka_unit_test(test_known_picture),
        cmocka_unit_test(test_no_serial),     cmocka_unit_test(test_lost_copies),
        cmocka_unit_test(test_fenced),
    };
    return cmocka_run_group_tests(tests, setup, golden_teardown);
}
