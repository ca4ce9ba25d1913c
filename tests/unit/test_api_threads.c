/* One model, many sessions: each in a thread of its own, with the texts and scores of a session
 * that is alone. Each session computes on two more threads of its own. */
#include <pthread.h>

#include "test_api.h"

enum { THREADS = 4, CAPTIONS = 5 };

static Sample sample[SAMPLES];
static blip2_model *model;
static blip2_result *alone[SAMPLES];

static const blip2_item CAPTION = {.size = sizeof(blip2_item), .task = BLIP2_CAPTION};

static int setup(void **state)
{
    open_samples(sample);
    model = open_model(SCENES, BLIP2_AUTO);
    blip2_session *s = open_session(model, 1, NULL);
    for (int i = 0; i < SAMPLES; i++)
        alone[i] = ask_all(s, &sample[i].image, 1, &CAPTION);
    blip2_session_free(s);
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < SAMPLES; i++)
        blip2_result_free(alone[i]);
    blip2_model_free(model);
    close_samples(sample);
    return 0;
}

/* cmocka's checks belong to the main thread: a thread only collects. */
typedef struct Worker {
    pthread_t thread;
    int number;
    blip2_result *result[CAPTIONS];
    blip2_error err;
} Worker;

static int picture_of(const Worker *w, int i)
{
    return (3 * w->number + i) % SAMPLES; /* threads overlap in some pictures */
}

static void *work(void *user)
{
    Worker *w = user;
    blip2_session_options o = blip2_session_options_default();
    o.threads = 3;
    blip2_session *s = blip2_session_new(model, &o, &w->err);
    for (int i = 0; s && i < CAPTIONS; i++) {
        blip2_item item = CAPTION;
        item.image = sample[picture_of(w, i)].image;
        w->result[i] = blip2_generate(s, &item, 1, &w->err);
    }
    blip2_session_free(s);
    return NULL;
}

static void test_threads(void **state)
{
    Worker w[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        w[i].number = i;
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < CAPTIONS; j++) {
            if (!w[i].result[j])
                fail_msg("thread %d: %s", i, w[i].err.message);
            assert_same(w[i].result[j], 0, alone[picture_of(&w[i], j)], 0);
            blip2_result_free(w[i].result[j]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
