/* Items of all kinds in one call, or coming and going in a batch: each gets, to the last bit, what it
 * gets in a call of its own. */
#include "test_api.h"

enum {
    GREEDY,
    BEAMS,
    SAMPLES_OF, /* three samples of one seed */
    ASK,
    CHAT,
    HF_BEAMS,
    STOPPED,
    NO_PICTURE,
    TOO_LONG,
    KINDS
};

enum { LONG_TEXT = 4000 };

static Sample sample[SAMPLES];
static blip2_model *model;
static blip2_session *session;
static blip2_options options[KINDS];
static blip2_item item[KINDS];
static blip2_result *alone[KINDS];
static Heard heard[KINDS];
static char too_long[LONG_TEXT + 1];
static const int banned[] = {300, 301};
static const blip2_turn turns[] = {{"is there a dog in the picture?", "no"},
                                   {"what color is the background?", "blue"}};

static blip2_item make_item(int kind)
{
    bool hf = kind == HF_BEAMS || kind == TOO_LONG || kind == GREEDY;
    blip2_item it = blip2_item_default();
    it.task = kind == ASK || kind == TOO_LONG ? BLIP2_ASK
              : kind == CHAT                  ? BLIP2_CHAT
                                              : BLIP2_CAPTION;
    options[kind] = blip2_options_default(model, it.task, hf ? BLIP2_HF : BLIP2_LAVIS);
    it.image = kind == NO_PICTURE ? NULL : sample[(kind * 5) % SAMPLES].image;
    it.options = &options[kind];
    it.on_token = hear;
    it.user = &heard[kind];
    return it;
}

static void make_items(void)
{
    memset(too_long, 'a', LONG_TEXT);
    for (int i = 0; i < KINDS; i++)
        item[i] = make_item(i);
    options[BEAMS].num_captions = 3;
    options[BEAMS].banned = banned;
    options[BEAMS].banned_count = 2;
    options[SAMPLES_OF].sample = true;
    options[SAMPLES_OF].num_beams = 1;
    options[SAMPLES_OF].num_captions = 3;
    options[SAMPLES_OF].seed = 11;
    options[SAMPLES_OF].temperature = 2;
    item[ASK].text = sample[(ASK * 5) % SAMPLES].question[0];
    item[CHAT].text = "what is on the left?";
    item[CHAT].turns = turns;
    item[CHAT].turn_count = 2;
    options[HF_BEAMS].num_beams = 4;
    options[HF_BEAMS].num_captions = 2;
    options[HF_BEAMS].repetition_penalty = 1.5;
    options[STOPPED].num_beams = 1;
    item[TOO_LONG].text = too_long;
}

static void hear_anew(void)
{
    memset(heard, 0, sizeof heard);
    heard[STOPPED].stop_at = 2;
}

static void open_alone(int kind)
{
    blip2_session *own = open_session(model, 1, NULL);
    alone[kind] = must_generate(own, &item[kind], 1);
    if (kind != NO_PICTURE && kind != TOO_LONG)
        assert_heard(&heard[kind], alone[kind], 0);
    blip2_session_free(own);
}

static int setup(void **state)
{
    open_samples(sample);
    model = open_model(SCENES, BLIP2_AUTO);
    session = open_session(model, 1, NULL);
    make_items();
    hear_anew();
    for (int i = 0; i < KINDS; i++)
        open_alone(i);
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < KINDS; i++)
        blip2_result_free(alone[i]);
    blip2_session_free(session);
    blip2_model_free(model);
    close_samples(sample);
    return 0;
}

/* That the kinds are what they are meant to be. */
static void test_alone(void **state)
{
    for (int i = 0; i < KINDS; i++) {
        blip2_error_code code = i == STOPPED                       ? BLIP2_STOPPED
                                : i == NO_PICTURE || i == TOO_LONG ? BLIP2_FAILED
                                                                   : BLIP2_OK;
        size_t captions = code == BLIP2_FAILED ? 0 : (size_t)options[i].num_captions;
        assert_int_equal(blip2_result_error(alone[i], 0)->code, code);
        assert_int_equal(blip2_result_count(alone[i], 0), captions);
    }
    assert_string_equal(blip2_result_text(alone[GREEDY], 0), sample[0].caption);
    assert_string_equal(blip2_result_text(alone[ASK], 0), sample[(ASK * 5) % SAMPLES].answer[0]);
    assert_int_equal(blip2_result_candidate(alone[STOPPED], 0, 0)->id_count, 2);
    assert_non_null(strstr(blip2_result_error(alone[TOO_LONG], 0)->message, "tokens"));
}

static void expect_alone(const blip2_result *r, size_t i, int kind, size_t heard_as)
{
    assert_same(r, i, alone[kind], 0);
    if (blip2_result_count(r, i))
        assert_heard_as(&heard[kind], heard_as, r, i);
    else
        assert_int_equal(heard[kind].calls, 0);
}

static void test_one_call(void **state)
{
    hear_anew();
    blip2_result *r = must_generate(session, item, KINDS);
    for (size_t i = 0; i < KINDS; i++)
        expect_alone(r, i, (int)i, i);
    assert_true(blip2_result_timings(r, BEAMS)->encode > 0);
    assert_true(blip2_result_timings(r, BEAMS)->decode > 0);
    assert_true(blip2_result_timings(r, NO_PICTURE)->total == 0);
    blip2_result_free(r);
}

static bool stop_after_two(void *user, size_t number, int id, const char *text)
{
    return ++*(size_t *)user != 2;
}

/* Twice, mixed, and nobody listens but where it matters. */
static void test_other_order(void **state)
{
    enum { N = 2 * KINDS };
    blip2_item list[N];
    hear_anew();
    for (int i = 0; i < N; i++) {
        int kind = (i * 4 + 3) % KINDS;
        list[i] = item[kind];
        list[i].on_token = kind == STOPPED ? stop_after_two : NULL;
        list[i].user = &heard[i / KINDS].calls;
    }
    blip2_result *r = must_generate(session, list, N);
    for (int i = 0; i < N; i++)
        assert_same(r, (size_t)i, alone[(i * 4 + 3) % KINDS], 0);
    blip2_result_free(r);
}

/* blip2_check says what the call says, but for the picture. */
static void test_check(void **state)
{
    for (int i = 0; i < KINDS; i++) {
        blip2_error err = {0};
        blip2_item it = item[i];
        it.image = NULL;
        bool ok = blip2_check(session, &it, &err);
        assert_int_equal(ok, i != TOO_LONG);
        if (i == TOO_LONG)
            assert_string_equal(err.message, blip2_result_error(alone[i], 0)->message);
        else
            assert_int_equal(err.code, BLIP2_OK);
    }
}

/* --- batches -------------------------------------------------------------------------------------- */

static blip2_batch *open_batch(blip2_session *s)
{
    blip2_error err = {0};
    blip2_batch *b = blip2_batch_new(s, &err);
    if (!b)
        fail_msg("%s", err.message);
    return b;
}

/* Joins with a copy of everything that the item points to, which is gone afterwards. */
static size_t join_copy(blip2_batch *b, int kind)
{
    blip2_error err = {0};
    size_t ticket = 0;
    blip2_item it = item[kind];
    blip2_options *o = malloc(sizeof *o);
    int *ids = malloc(sizeof banned);
    char *text = it.text ? strdup(it.text) : NULL;
    blip2_turn *rounds = malloc(sizeof turns);
    assert_true(o && ids && rounds);
    *o = options[kind];
    memcpy(ids, banned, sizeof banned);
    memcpy(rounds, turns, sizeof turns);
    o->banned = o->banned_count ? ids : NULL;
    it.options = o;
    it.text = text;
    it.turns = it.turn_count ? rounds : NULL;
    if (!blip2_batch_join(b, &it, 1, &ticket, &err))
        fail_msg("%s", err.message);
    free(o);
    free(ids);
    free(text);
    free(rounds);
    return ticket;
}

static void leave_as_alone(blip2_batch *b, size_t ticket, int kind)
{
    blip2_error err = {0};
    assert_false(blip2_batch_running(b, ticket));
    blip2_result *r = blip2_batch_leave(b, ticket, &err);
    assert_non_null(r);
    expect_alone(r, 0, kind, ticket);
    blip2_result_free(r);
}

/* One that runs ends as stopped, without text; one that has ended has what it has. */
static void leave_early(blip2_batch *b, size_t ticket, int kind)
{
    if (!blip2_batch_running(b, ticket)) {
        leave_as_alone(b, ticket, kind);
        return;
    }
    blip2_result *r = blip2_batch_leave(b, ticket, NULL);
    assert_int_equal(blip2_result_error(r, 0)->code, BLIP2_STOPPED);
    assert_null(blip2_result_text(r, 0));
    assert_int_equal(blip2_result_count(r, 0), 0);
    blip2_result_free(r);
}

/* `late` joins after three steps, `early` leaves after one. */
static void check_batch(int late, int early)
{
    size_t ticket[KINDS];
    blip2_batch *b = open_batch(session);
    hear_anew();
    for (int i = 0; i < KINDS; i++)
        if (i != late)
            ticket[i] = join_copy(b, i);
    assert_true(blip2_batch_step(b) > 0);
    leave_early(b, ticket[early], early);
    assert_false(blip2_batch_running(b, ticket[early]));
    assert_true(blip2_batch_step(b) > 0);
    assert_true(blip2_batch_step(b) > 0);
    ticket[late] = join_copy(b, late);
    while (blip2_batch_step(b) > 0) {
    }
    for (int i = 0; i < KINDS; i++)
        if (i != early)
            leave_as_alone(b, ticket[i], i);
    blip2_batch_free(b);
}

static void test_batch(void **state)
{
    for (int late = 0; late < KINDS; late++)
        check_batch(late, (late + 2) % KINDS);
}

/* All in one join, whose tickets are in order; nobody leaves before the batch is freed but one. */
static void test_batch_of_all(void **state)
{
    size_t ticket[KINDS];
    blip2_error err = {0};
    blip2_batch *b = open_batch(session);
    hear_anew();
    assert_true(blip2_batch_join(b, item, KINDS, ticket, &err));
    for (int i = 0; i < KINDS; i++)
        for (int j = 0; j < i; j++)
            assert_int_not_equal(ticket[i], ticket[j]);
    assert_false(blip2_batch_running(b, ticket[NO_PICTURE]));
    assert_true(blip2_batch_running(b, ticket[BEAMS]));
    while (blip2_batch_step(b) > 0) {
    }
    assert_int_equal(blip2_batch_step(b), 0);
    leave_as_alone(b, ticket[BEAMS], BEAMS);
    blip2_batch_free(b);
}

/* blip2_generate in between: it and the batch both come out as ever. */
static void test_batch_and_call(void **state)
{
    hear_anew();
    blip2_batch *b = open_batch(session);
    size_t beams = join_copy(b, BEAMS), ask = join_copy(b, ASK);
    assert_int_equal(blip2_batch_step(b), 2);
    blip2_result *r = must_generate(session, &item[GREEDY], 1);
    expect_alone(r, 0, GREEDY, 0);
    blip2_result_free(r);
    while (blip2_batch_step(b) > 0) {
    }
    leave_as_alone(b, ask, ASK);
    leave_as_alone(b, beams, BEAMS);
    blip2_batch_free(b);
}

static void test_batch_misuse(void **state)
{
    size_t ticket = 77;
    blip2_error err = {0};
    hear_anew();
    blip2_batch *b = open_batch(session);
    assert_null(blip2_batch_new(session, &err));
    assert_int_equal(err.code, BLIP2_USAGE);
    assert_null(blip2_batch_new(NULL, NULL));
    assert_false(blip2_batch_join(NULL, item, 1, &ticket, NULL));
    assert_false(blip2_batch_join(b, NULL, 1, &ticket, NULL));
    assert_false(blip2_batch_join(b, item, 1, NULL, NULL));
    assert_false(blip2_batch_join(b, &(blip2_item){0}, 1, &ticket, NULL));
    assert_int_equal(ticket, 77);
    assert_true(blip2_batch_join(b, NULL, 0, NULL, NULL));
    assert_int_equal(blip2_batch_step(b), 0);
    assert_int_equal(blip2_batch_step(NULL), 0);
    assert_false(blip2_batch_running(b, 5));
    assert_false(blip2_batch_running(NULL, 0));
    err = (blip2_error){0};
    assert_null(blip2_batch_leave(b, 5, &err));
    assert_int_equal(err.code, BLIP2_USAGE);
    assert_null(blip2_batch_leave(NULL, 0, NULL));
    ticket = join_copy(b, GREEDY);
    blip2_result_free(blip2_batch_leave(b, ticket, NULL));
    assert_null(blip2_batch_leave(b, ticket, NULL)); /* gone */
    join_copy(b, BEAMS);
    blip2_batch_free(b); /* while it runs */
    blip2_batch_free(NULL);
    blip2_batch_free(open_batch(session)); /* the next one may come */
}

/* --- remembered pictures -------------------------------------------------------------------------- */

static void check_kept(int pictures, const bool *remembered)
{
    blip2_error err = {0};
    blip2_image *images[] = {sample[0].image, sample[1].image, sample[2].image};
    blip2_item what = blip2_item_default();
    blip2_session_options o = blip2_session_options_default();
    o.threads = 1;
    o.pictures = pictures;
    blip2_session *s = blip2_session_new(model, &o, &err);
    assert_non_null(s);
    blip2_result *a = ask_all(s, images, 3, &what), *b = ask_all(s, images, 3, &what);
    for (size_t i = 0; i < 3; i++) {
        assert_same(a, i, b, i);
        assert_string_equal(blip2_result_text(a, i), sample[i].caption);
        assert_true(blip2_result_timings(a, i)->encode > 0);
        assert_int_equal(blip2_result_timings(b, i)->encode == 0, remembered[i]);
        assert_int_equal(blip2_result_timings(b, i)->preprocess == 0, remembered[i]);
    }
    blip2_result_free(a);
    blip2_result_free(b);
    blip2_session_free(s);
}

static void test_pictures_kept(void **state)
{
    check_kept(-1, (bool[]){false, false, false});
    check_kept(1, (bool[]){false, false, true}); /* the one that was used last */
    check_kept(40, (bool[]){true, true, true});
    check_kept(0, (bool[]){true, true, true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),          cmocka_unit_test(test_one_call),
        cmocka_unit_test(test_other_order),    cmocka_unit_test(test_check),
        cmocka_unit_test(test_batch),          cmocka_unit_test(test_batch_of_all),
        cmocka_unit_test(test_batch_and_call), cmocka_unit_test(test_batch_misuse),
        cmocka_unit_test(test_pictures_kept),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
