/* Calls out of a token callback to the session it belongs to: refused or put off, and the answer that is
 * being generated is what it would have been. */
#include "test_api.h"

static blip2_model *model;
static Sample sample[SAMPLES];

typedef struct Nest {
    blip2_session *session;
    blip2_batch *batch;
    size_t ticket, calls, refused;
    void (*call)(struct Nest *n);
} Nest;

static void expect_usage(Nest *n, bool done, const blip2_error *err)
{
    assert_false(done);
    assert_int_equal(err->code, BLIP2_USAGE);
    assert_non_null(strstr(err->message, "token callback"));
    n->refused++;
}

/* Everything that can say no. */
static void call_all(Nest *n)
{
    blip2_item item = ITEM(.image = sample[1].image);
    blip2_error err[6] = {{0}};
    size_t ticket = 0;
    blip2_options o = blip2_debug_options(BLIP2_HF);
    blip2_debug_run run = {.image = sample[1].image, .generate = true, .options = &o};
    blip2_debug_output out;
    expect_usage(n, blip2_generate(n->session, &item, 1, &err[0]), &err[0]);
    expect_usage(n, blip2_check(n->session, &item, &err[1]), &err[1]);
    expect_usage(n, blip2_batch_new(n->session, &err[2]), &err[2]);
    expect_usage(n, blip2_debug_forward(n->session, &run, &out, &err[3]), &err[3]);
    if (!n->batch)
        return;
    expect_usage(n, blip2_batch_join(n->batch, &item, 1, &ticket, &err[4]), &err[4]);
    expect_usage(n, blip2_batch_leave(n->batch, n->ticket, &err[5]), &err[5]);
    assert_int_equal(blip2_batch_step(n->batch), 0);
    assert_true(blip2_batch_running(n->batch, n->ticket));
}

static void free_batch(Nest *n)
{
    blip2_batch_free(n->batch);
    n->batch = NULL;
}

static void free_session(Nest *n)
{
    blip2_session_free(n->session);
    n->session = NULL;
}

static void free_both(Nest *n)
{
    free_session(n);
    free_batch(n);
}

/* At the second id. */
static bool nest(void *user, size_t item, int id, const char *text)
{
    Nest *n = user;
    if (n->calls++ == 1)
        n->call(n);
    return true;
}

static blip2_result *alone(const blip2_options *o)
{
    blip2_session *s = open_session(model, 1, NULL);
    blip2_item item = ITEM(.image = sample[0].image, .options = o);
    blip2_result *r = must_generate(s, &item, 1);
    blip2_session_free(s);
    return r;
}

static blip2_options options(int beams)
{
    blip2_options o = blip2_options_default(model, BLIP2_CAPTION, BLIP2_LAVIS);
    o.num_beams = beams;
    return o;
}

static blip2_item nesting(Nest *n, const blip2_options *o)
{
    return ITEM(.image = sample[0].image, .options = o, .on_token = nest, .user = n);
}

static void test_call(void **state)
{
    for (int beams = 1; beams <= 3; beams += 2) {
        Nest n = {.session = open_session(model, 1, NULL), .call = call_all};
        blip2_options o = options(beams);
        blip2_item item = nesting(&n, &o);
        blip2_result *a = alone(&o), *r = must_generate(n.session, &item, 1);
        assert_int_equal(n.refused, 4);
        assert_same(r, 0, a, 0);
        blip2_result_free(r);
        r = must_generate(n.session, &item, 1); /* and the session goes on */
        assert_same(r, 0, a, 0);
        blip2_result_free(r);
        blip2_result_free(a);
        blip2_session_free(n.session);
    }
}

static size_t joined(Nest *n, const blip2_item *item)
{
    blip2_error err = {0};
    n->batch = blip2_batch_new(n->session, &err);
    assert_non_null(n->batch);
    assert_true(blip2_batch_join(n->batch, item, 1, &n->ticket, &err));
    return n->ticket;
}

static void test_batch(void **state)
{
    Nest n = {.session = open_session(model, 1, NULL), .call = call_all};
    blip2_options o = options(1);
    blip2_item item = nesting(&n, &o);
    blip2_result *a = alone(&o);
    joined(&n, &item);
    while (blip2_batch_step(n.batch) > 0) {
    }
    assert_int_equal(n.refused, 6);
    blip2_result *r = blip2_batch_leave(n.batch, n.ticket, NULL);
    assert_same(r, 0, a, 0);
    blip2_result_free(r);
    blip2_result_free(a);
    blip2_batch_free(n.batch);
    blip2_session_free(n.session);
}

/* The call ends as ever; then the session goes, and its model with it. */
static void test_free_session(void **state)
{
    size_t before = blip2_debug_bytes_in_use();
    blip2_model *own = open_model(SCENES, BLIP2_AUTO);
    Nest n = {.session = open_session(own, 1, NULL), .call = free_session};
    blip2_options o = options(1);
    blip2_item item = nesting(&n, &o);
    blip2_model_free(own);
    blip2_result *a = alone(&o), *r = must_generate(n.session, &item, 1);
    assert_null(n.session);
    assert_same(r, 0, a, 0);
    blip2_result_free(r);
    blip2_result_free(a);
    assert_int_equal(blip2_debug_bytes_in_use(), before);
}

/* A batch that its item frees: no more of it is heard. */
static void test_free_batch(void **state)
{
    void (*const ways[])(Nest *) = {free_batch, free_both};
    size_t before = blip2_debug_bytes_in_use();
    for (int i = 0; i < 4; i++) {
        Nest n = {.session = open_session(model, 1, NULL), .call = ways[i % 2]};
        blip2_options o = options(1);
        blip2_item item = nesting(&n, &o);
        blip2_session *s = n.session;
        joined(&n, &item);
        if (i < 2) {
            while (n.batch && blip2_batch_step(n.batch) > 0) {
            }
        } else { /* stepped by another call */
            blip2_item other = ITEM(.image = sample[1].image, .options = &o);
            blip2_result *r = must_generate(s, &other, 1);
            assert_string_equal(blip2_result_text(r, 0), sample[1].caption);
            blip2_result_free(r);
        }
        assert_int_equal(n.calls, 2);
        assert_null(n.batch);
        if (n.session) {
            blip2_batch *b = blip2_batch_new(s, NULL); /* there is room for another */
            assert_non_null(b);
            blip2_session_free(s);
            blip2_batch_free(b);
        }
    }
    assert_int_equal(blip2_debug_bytes_in_use(), before);
}

static int open_all(void **state)
{
    open_samples(sample);
    model = open_model(SCENES, BLIP2_AUTO);
    return 0;
}

static int close_all(void **state)
{
    blip2_model_free(model);
    close_samples(sample);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_free_session),
        cmocka_unit_test(test_free_batch),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
