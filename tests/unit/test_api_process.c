/* The library in a process that forks, loads and unloads it, or has no room for threads. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_api.h"

static Sample sample[SAMPLES];

static int setup(void **state)
{
    open_samples(sample);
    return 0;
}

static int teardown(void **state)
{
    close_samples(sample);
    return 0;
}

/* Without cmocka, for a child: whether the caption of sample i is right. */
static bool captions(blip2_session *s, int i)
{
    blip2_error err = {0};
    blip2_item item = blip2_item_default();
    item.task = BLIP2_CAPTION;
    item.image = sample[i].image;
    blip2_result *r = blip2_generate(s, &item, 1, &err);
    const char *text = blip2_result_text(r, 0);
    bool ok = text && !strcmp(text, sample[i].caption);
    blip2_result_free(r);
    return ok;
}

typedef bool (*ChildFn)(blip2_model *, blip2_session *);

static int in_child(ChildFn f, blip2_model *m, blip2_session *s)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(120);
        _exit(f(m, s) ? 0 : 1);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static bool goes_on(blip2_model *m, blip2_session *s)
{
    bool ok = captions(s, 1) && captions(s, 2);
    blip2_session_free(s);
    blip2_model_free(m);
    return ok;
}

static bool opens_another(blip2_model *m, blip2_session *s)
{
    blip2_session_options o = blip2_session_options_default();
    o.threads = 2;
    blip2_session *mine = blip2_session_new(m, &o, NULL);
    bool ok = captions(mine, 3);
    blip2_session_free(s);
    blip2_session_free(mine);
    blip2_model_free(m);
    return ok;
}

static void test_fork(void **state)
{
    blip2_model *m = open_model(SCENES, BLIP2_AUTO);
    blip2_session *s = open_session(m, 2, NULL);
    assert_true(captions(s, 0));
    assert_int_equal(in_child(goes_on, m, s), 0);
    assert_int_equal(in_child(opens_another, m, s), 0);
    assert_true(captions(s, 1));
    blip2_session_free(s);
    blip2_model_free(m);
}

/* Less than 64 stacks of the system's usual size: with the threads that fit, or none, the call goes well. */
static bool with_little_room(blip2_model *m, blip2_session *s)
{
    struct rlimit room = {400 << 20, 400 << 20};
    (void)m;
    return setrlimit(RLIMIT_AS, &room) == 0 && captions(s, 4);
}

static void test_little_room(void **state)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* these reserve terabytes */
    blip2_model *m = open_model(SCENES, BLIP2_AUTO);
    blip2_session *s = open_session(m, 64, NULL);
    assert_int_equal(in_child(with_little_room, m, s), 0);
    blip2_session_free(s);
    blip2_model_free(m);
#else
    (void)with_little_room;
#endif
}

/* --- loading and unloading ---------------------------------------------------------------------- */

/* clang-format off */
#define LIBRARY(X)                                                                             \
    X(model_load)                                                                              \
    X(model_free)                                                                              \
    X(session_new) X(session_free) X(image_from_file) X(image_free) X(generate) X(result_text) \
        X(result_free)

/* clang-format on */

typedef struct Library {
    void *handle;
#define FIELD(name) typeof(blip2_##name) *name;
    LIBRARY(FIELD)
} Library;

static Library open_library(void)
{
    Library l = {.handle = dlopen(SHARED_LIBRARY, RTLD_NOW | RTLD_LOCAL)};
    if (!l.handle)
        fail_msg("%s", dlerror());
#define FIND(name)                                       \
    *(void **)&l.name = dlsym(l.handle, "blip2_" #name); \
    assert_non_null(l.name);
    LIBRARY(FIND)
    return l;
}

static void test_unload(void **state)
{
    for (int round = 0; round < 30; round++) {
        Library l = open_library();
        blip2_error err = {0};
        blip2_session_options o = blip2_session_options_default();
        o.threads = 4;
        blip2_model *m = l.model_load(SCENES, NULL, &err);
        blip2_session *s = l.session_new(m, &o, &err);
        blip2_item item = blip2_item_default();
        item.task = BLIP2_CAPTION;
        item.image = l.image_from_file(SCENES "/samples/scene002.png", &err);
        blip2_result *r = l.generate(s, &item, 1, &err);
        if (!r)
            fail_msg("%s", err.message);
        assert_string_equal(l.result_text(r, 0), "a rabbit on a blue background");
        l.result_free(r);
        l.image_free(item.image);
        l.session_free(s);
        l.model_free(m);
        assert_int_equal(dlclose(l.handle), 0);
        usleep(2000); /* a thread that was left would run into nothing now */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fork),
                                       cmocka_unit_test(test_little_room),
                                       cmocka_unit_test(test_unload)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
