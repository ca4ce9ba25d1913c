/* Memory that runs out, at every single allocation in turn: no crash, the right code for those that it
 * concerns and the right text for the others, everything given back, and a session that goes on. */
#include "base/mem.h"
#include "tiny_dirs.h"

static const char *dir; /* of a model so small that it can be run a thousand times */
static size_t before;   /* bytes in use around each run */

/* --- what is done with it -------------------------------------------------------------------------- */

/* Two pictures, and what is asked about them: captions with beams, a question without. */
typedef struct Work {
    blip2_image *image[2];
    blip2_options options[2];
    blip2_item item[2];
} Work;

static blip2_result *right; /* without failures */

static void open_work(Work *w, blip2_error *err)
{
    w->image[0] = blip2_image_from_file(SCENES "/samples/scene002.png", err);
    w->image[1] = small_picture(1, err);
    w->options[0] = blip2_options_default(NULL, BLIP2_CAPTION, BLIP2_LAVIS);
    w->options[0].num_beams = 3;
    w->options[0].num_captions = 2;
    w->options[0].max_new_tokens = 6;
    w->options[1] = blip2_options_default(NULL, BLIP2_ASK, BLIP2_HF);
    w->options[1].max_new_tokens = 8;
    w->options[1].no_repeat_ngram = 2;
    for (int i = 0; i < 2; i++)
        w->item[i] = ITEM(.image = w->image[i], .options = &w->options[i]);
    w->item[1].task = BLIP2_ASK;
    w->item[1].text = "is there a phone in the picture?";
}

static void close_work(Work *w)
{
    blip2_image_free(w->image[0]);
    blip2_image_free(w->image[1]);
}

static void make_right(void)
{
    blip2_error err = {0};
    Work w;
    open_work(&w, &err);
    blip2_model *m = open_model(dir, BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    right = must_generate(s, w.item, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(blip2_result_error(right, i)->code, BLIP2_OK);
    blip2_session_free(s);
    blip2_model_free(m);
    close_work(&w);
}

static int setup(void **state)
{
    static char path[512];
    if (tiny_dirs_make() != 0)
        return -1;
    dir = strcpy(path, tiny_dir("opt"));
    make_right();
    return 0;
}

static int teardown(void **state)
{
    blip2_result_free(right);
    return tiny_dirs_remove();
}

/* Right, or out of memory. Adds to the number of those that failed. A notice may have come. */
static void check_item(const Work *w, const blip2_result *r, size_t i, int kind, size_t *failed)
{
    const blip2_error *e = blip2_result_error(r, i);
    if (e->code == BLIP2_OK) {
        assert_same_texts(r, i, right, (size_t)kind);
        return;
    }
    ++*failed;
    assert_null(blip2_result_text(r, i));
    if (e->code != (w->image[kind] ? BLIP2_MEMORY : BLIP2_FAILED))
        fail_msg("item %d: expected an error of memory, got %d \"%s\"", kind, e->code, e->message);
}

static void run_call(blip2_session *s, const Work *w, blip2_error *err, size_t *failed)
{
    blip2_result *r = blip2_generate(s, w->item, 2, err);
    for (int i = 0; r && i < 2; i++)
        check_item(w, r, (size_t)i, i, failed);
    blip2_result_free(r);
}

static void leave(blip2_batch *b, const Work *w, size_t ticket, int kind, blip2_error *err,
                  size_t *failed)
{
    blip2_result *r = blip2_batch_leave(b, ticket, err);
    if (r)
        check_item(w, r, 0, kind, failed);
    blip2_result_free(r);
}

/* The second item joins after a step of the first. */
static void run_batch(blip2_session *s, const Work *w, blip2_error *err, size_t *failed)
{
    size_t ticket[2];
    bool in[2];
    blip2_batch *b = blip2_batch_new(s, err);
    in[0] = blip2_batch_join(b, &w->item[0], 1, &ticket[0], err);
    blip2_batch_step(b);
    in[1] = blip2_batch_join(b, &w->item[1], 1, &ticket[1], err);
    while (blip2_batch_step(b) > 0) {
    }
    for (int i = 0; i < 2; i++)
        if (in[i])
            leave(b, w, ticket[i], i, err, failed);
    blip2_batch_free(b);
}

/* What failed once does not fail again. */
static void run_again(blip2_session *s, const Work *w)
{
    blip2_error err = {0};
    size_t failed = 0;
    if (!s || !w->image[0] || !w->image[1])
        return;
    run_call(s, w, &err, &failed);
    run_batch(s, w, &err, &failed);
    assert_int_equal(err.code, BLIP2_OK);
    assert_int_equal(failed, 0);
}

/* The n-th allocation behind this fails. */
static void end_failing(long n, const blip2_error *err, size_t failed, bool *hit)
{
    *hit = mem_fail_hit();
    blip2_debug_fail_alloc(0);
    if (err->code && (err->code != BLIP2_MEMORY || !*hit))
        fail_msg("allocation %ld: expected an error of memory, got %d \"%s\"", n, err->code,
                 err->message);
    assert_true(*hit || !failed);
}

/* --- from the beginning --------------------------------------------------------------------------- */

/* Load, session, pictures, items: as a program does it that looks at the error at the end. */
static void run_program(long n, bool *hit)
{
    blip2_session_options one = blip2_session_options_default();
    blip2_error err = {0};
    size_t failed = 0;
    Work w;
    one.threads = 1;
    blip2_debug_fail_alloc(n);
    blip2_model *m = blip2_model_load(dir, NULL, &err);
    blip2_session *s = blip2_session_new(m, &one, &err);
    open_work(&w, &err);
    if (!mem_fail_hit()) /* the rest is the next test's, which need not load each time */
        blip2_debug_fail_alloc(0);
    run_call(s, &w, &err, &failed);
    end_failing(n, &err, failed, hit);
    if (s && *hit)
        run_again(s, &w);
    close_work(&w);
    blip2_session_free(s);
    blip2_model_free(m);
    assert_int_equal(blip2_debug_bytes_in_use(), before);
}

static void test_program(void **state)
{
    bool hit = true;
    long n = 0;
    before = blip2_debug_bytes_in_use();
    while (hit)
        run_program(++n, &hit);
    print_message("  %ld allocations\n", n - 1);
    assert_true(n > 50);
}

/* --- items ---------------------------------------------------------------------------------------- */

typedef void Run(blip2_session *s, const Work *w, blip2_error *err, size_t *failed);

/* A new session each time, so that nothing is remembered and its own memory is asked for as well. */
static void check_run(Run *run)
{
    blip2_error none = {0};
    Work w;
    open_work(&w, &none);
    blip2_model *m = open_model(dir, BLIP2_AUTO);
    before = blip2_debug_bytes_in_use();
    long n = 0;
    for (bool hit = true; hit;) {
        blip2_error err = {0};
        size_t failed = 0;
        blip2_session *s = open_session(m, 1, NULL);
        blip2_debug_fail_alloc(++n);
        run(s, &w, &err, &failed);
        end_failing(n, &err, failed, &hit);
        run_again(s, &w);
        blip2_session_free(s);
        assert_int_equal(blip2_debug_bytes_in_use(), before);
    }
    print_message("  %ld allocations\n", n - 1);
    blip2_model_free(m);
    close_work(&w);
}

static void test_call(void **state)
{
    check_run(run_call);
}

static void test_batch(void **state)
{
    check_run(run_batch);
}

static bool stop_second(void *user, size_t number, int id, const char *text)
{
    return ++*(int *)user != 2;
}

/* Both are stopped. Then they have all that came, or say that it was memory. */
static void run_stopped(blip2_session *s, const Work *w, blip2_error *err, size_t *failed)
{
    blip2_item item[2] = {w->item[0], w->item[1]};
    int heard[2] = {0};
    for (int i = 0; i < 2; i++) {
        item[i].on_token = stop_second;
        item[i].user = &heard[i];
    }
    blip2_result *r = blip2_generate(s, item, 2, err);
    for (size_t i = 0; r && i < 2; i++) {
        bool stopped = blip2_result_error(r, i)->code == BLIP2_STOPPED;
        assert_true(stopped || blip2_result_error(r, i)->code == BLIP2_MEMORY);
        assert_int_equal(blip2_result_count(r, i), stopped ? w->options[i].num_captions : 0);
        *failed += !stopped;
    }
    blip2_result_free(r);
}

static void test_stopped(void **state)
{
    check_run(run_stopped);
}

/* A join that fails as a whole leaves nothing in the batch. */
static void test_joins_that_fail(void **state)
{
    blip2_error none = {0};
    Work w;
    size_t ticket;
    long n = 0;
    open_work(&w, &none);
    blip2_model *m = open_model(dir, BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_batch *b = blip2_batch_new(s, &none);
    assert_true(blip2_batch_join(b, &w.item[1], 1, &ticket, &none));
    blip2_result_free(blip2_batch_leave(b, ticket, &none));
    size_t warm = blip2_debug_bytes_in_use();
    for (bool joined = false; !joined; n++) {
        blip2_error err = {0};
        blip2_debug_fail_alloc(n + 1);
        joined = blip2_batch_join(b, &w.item[1], 1, &ticket, &err);
        blip2_debug_fail_alloc(0);
        assert_int_equal(err.code, joined ? BLIP2_OK : BLIP2_MEMORY);
        assert_true(joined || blip2_debug_bytes_in_use() == warm);
    }
    assert_true(n > 2);
    blip2_batch_free(b);
    blip2_session_free(s);
    blip2_model_free(m);
    close_work(&w);
}

/* More items than are joined at a time, of which the first group ends at once: an item that there is no
 * memory for says so. */
static void test_left_out(void **state)
{
    enum { MANY = 9 };
    blip2_error none = {0};
    blip2_item item[MANY];
    Work w;
    long n = 0;
    open_work(&w, &none);
    blip2_model *m = open_model(dir, BLIP2_AUTO);
    for (int i = 0; i < MANY; i++) {
        item[i] = w.item[0];
        if (i < MANY - 1) {
            item[i].task = BLIP2_ASK;
            item[i].text = "\xff";
        }
    }
    for (bool hit = true; hit;) {
        blip2_error err = {0};
        size_t failed = 0;
        blip2_session *s = open_session(m, 1, NULL);
        blip2_debug_fail_alloc(++n);
        blip2_result *r = blip2_generate(s, item, MANY, &err);
        if (r)
            check_item(&w, r, MANY - 1, 0, &failed);
        end_failing(n, &err, failed, &hit);
        blip2_result_free(r);
        blip2_session_free(s);
    }
    assert_true(n > MANY);
    blip2_model_free(m);
    close_work(&w);
}

/* --- several alike -------------------------------------------------------------------------------- */

typedef struct Three {
    blip2_image *image[3];
    blip2_options options;
    blip2_item what;
    blip2_result *right;
} Three;

/* Three pictures at once: what fails together is done again one by one, and told once. */
static void run_three(blip2_model *m, Three *t, long n, bool *hit)
{
    static Heard h;
    blip2_error err = {0};
    blip2_session *s = open_session(m, 1, NULL);
    blip2_item *items = same_of(t->image, 3, &t->what);
    size_t failed = 0;
    h = (Heard){0};
    for (int i = 0; i < 3; i++)
        items[i].user = &h;
    blip2_debug_fail_alloc(n);
    blip2_result *r = blip2_generate(s, items, 3, &err);
    for (size_t i = 0; r && i < 3; i++) {
        if (blip2_result_error(r, i)->code == BLIP2_OK) {
            assert_heard(&h, r, i);
            assert_same_texts(r, i, t->right, i);
            const char *notice = blip2_result_notice(r, i);
            if (notice)
                assert_true(strncmp(notice, "batch: memory for ", 18) == 0);
        } else {
            assert_int_equal(blip2_result_error(r, i)->code, BLIP2_MEMORY);
            failed++;
        }
    }
    end_failing(n, &err, failed, hit);
    blip2_result_free(r);
    blip2_session_free(s);
    free(items);
    assert_int_equal(blip2_debug_bytes_in_use(), before);
}

static void check_three(int beams)
{
    blip2_error err = {0};
    Three t = {.options = blip2_options_default(NULL, BLIP2_CAPTION, BLIP2_HF)};
    t.options.num_beams = beams;
    t.options.max_new_tokens = 5;
    t.what = ITEM(.task = BLIP2_CAPTION, .options = &t.options);
    for (int i = 0; i < 3; i++) {
        t.image[i] = small_picture(i, &err);
        assert_non_null(t.image[i]);
    }
    blip2_model *m = open_model(dir, BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    t.right = ask_all(s, t.image, 3, &t.what);
    t.what.on_token = hear;
    blip2_session_free(s);
    before = blip2_debug_bytes_in_use();
    bool hit = true;
    for (long n = 1; hit; n++)
        run_three(m, &t, n, &hit);
    blip2_result_free(t.right);
    blip2_model_free(m);
    for (int i = 0; i < 3; i++)
        blip2_image_free(t.image[i]);
}

static void test_three_greedy(void **state)
{
    check_three(1);
}

static void test_three_beams(void **state)
{
    check_three(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program),         cmocka_unit_test(test_call),
        cmocka_unit_test(test_batch),           cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_joins_that_fail), cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_three_greedy),    cmocka_unit_test(test_three_beams),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
