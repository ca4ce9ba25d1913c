/* Structs that callers of other versions make: smaller, larger, of no size, mixed. They lie in blocks
 * of exactly their size, so that a sanitizer sees a read beyond. */
#include "test_api.h"

static Sample sample[SAMPLES];
static blip2_model *model;
static blip2_session *session;

static int setup(void **state)
{
    open_samples(sample);
    model = open_model(SCENES, BLIP2_AUTO);
    session = open_session(model, 1, NULL);
    return 0;
}

static int teardown(void **state)
{
    blip2_session_free(session);
    blip2_model_free(model);
    close_samples(sample);
    return 0;
}

/* --- items --------------------------------------------------------------------------------------- */

/* n items in one block, each `size` bytes. */
static blip2_item *resized_items(const blip2_item *items, size_t n, size_t size)
{
    return resized_all(items, sizeof *items, n, size);
}

static void check_items(size_t size)
{
    blip2_item items[3];
    for (int i = 0; i < 3; i++)
        items[i] = ITEM(.image = sample[i].image, .task = BLIP2_ASK, .text = sample[i].question[0]);
    blip2_item *theirs = resized_items(items, 3, size);
    blip2_result *r = must_generate(session, theirs, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(blip2_result_text(r, i), sample[i].answer[0]);
    assert_true(blip2_check(session, theirs, NULL));
    blip2_result_free(r);
    blip2_batch *b = blip2_batch_new(session, NULL);
    size_t ticket[3];
    assert_true(blip2_batch_join(b, theirs, 3, ticket, NULL));
    while (blip2_batch_step(b) > 0) {
    }
    r = blip2_batch_leave(b, ticket[2], NULL);
    assert_string_equal(blip2_result_text(r, 0), sample[2].answer[0]);
    blip2_result_free(r);
    blip2_batch_free(b);
    free(theirs);
}

static void test_other_items(void **state)
{
    check_items(offsetof(blip2_item, prompt)); /* ends with `text` */
    check_items(offsetof(blip2_item, turns));
    check_items(sizeof(blip2_item));
    check_items(sizeof(blip2_item) + 8);
    check_items(4096);
}

/* What an old item lacks is the default: a caption, with LAVIS' options. */
static void test_shortest_item(void **state)
{
    blip2_item item = ITEM(.image = sample[0].image);
    blip2_item *theirs = resized_items(&item, 1, offsetof(blip2_item, task));
    blip2_result *r = must_generate(session, theirs, 1);
    assert_string_equal(blip2_result_text(r, 0), sample[0].caption);
    blip2_result_free(r);
    free(theirs);
    theirs = resized_items(&item, 1, sizeof(size_t));
    r = must_generate(session, theirs, 1);
    assert_string_equal(blip2_result_error(r, 0)->message, "picture: expected one, got NULL");
    blip2_result_free(r);
    free(theirs);
}

static void expect_usage(const blip2_error *e, const char *part)
{
    if (e->code != BLIP2_USAGE || !strstr(e->message, part))
        fail_msg("expected a usage error with \"%s\", got %d \"%s\"", part, e->code, e->message);
}

/* Fields that this version does not know are not passed over, wherever the item stands. */
static void test_newer_items(void **state)
{
    const size_t size = sizeof(blip2_item) + 24;
    blip2_item items[3];
    for (int i = 0; i < 3; i++)
        items[i] = ITEM(.image = sample[i].image);
    for (size_t at = 0; at < 3; at++) {
        blip2_error err = {0};
        blip2_item *theirs = resized_items(items, 3, size);
        ((char *)theirs)[at * size + size - 1] = 1;
        blip2_result *r = must_generate(session, theirs, 3);
        for (size_t i = 0; i < 3; i++)
            if (i == at)
                expect_usage(blip2_result_error(r, i), "newer");
            else
                assert_string_equal(blip2_result_text(r, i), sample[i].caption);
        assert_int_equal(blip2_check(session, theirs, &err), at != 0);
        if (at == 0)
            expect_usage(&err, "newer");
        blip2_result_free(r);
        free(theirs);
    }
}

/* One of another size than the first: its error, and no byte beyond the array is read. */
static void test_mixed_items(void **state)
{
    const size_t wrong[] = {0, sizeof(size_t), sizeof(blip2_item) + 8, 4096, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        blip2_item items[] = {ITEM(.image = sample[0].image), ITEM(.image = sample[1].image)};
        items[1].size = wrong[i];
        blip2_item *theirs = malloc(sizeof items);
        memcpy(theirs, items, sizeof items);
        blip2_result *r = must_generate(session, theirs, 2);
        assert_string_equal(blip2_result_text(r, 0), sample[0].caption);
        expect_usage(blip2_result_error(r, 1), "size");
        blip2_result_free(r);
        free(theirs);
    }
}

static void test_items_of_no_size(void **state)
{
    for (int i = 0; i < NO_SIZES; i++) {
        blip2_error err = {0}, checked = {0};
        blip2_item item = ITEM(.image = sample[0].image);
        item.size = NO_SIZE[i];
        assert_null(blip2_generate(session, &item, 1, &err));
        expect_usage(&err, "size");
        assert_false(blip2_check(session, &item, &checked));
        expect_usage(&checked, "size");
    }
    blip2_error err = {0};
    blip2_item item = blip2_item_default();
    assert_null(blip2_generate(session, &item, SIZE_MAX, &err));
    expect_usage(&err, "at most");
}

/* --- options ------------------------------------------------------------------------------------- */

/* Options of every size are begun by the library to their end and no further, and mean the same. */
static void check_options(blip2_task task, blip2_library library, size_t size, bool generate)
{
    blip2_options whole = blip2_options_default(model, task, library);
    blip2_options *theirs = malloc(size);
    memset(theirs, 0x55, size);
    memcpy(theirs, &size, sizeof size);
    blip2_options_init(theirs, model, task, library);
    blip2_item a = ITEM(.image = sample[4].image, .task = task, .options = &whole);
    blip2_item b = ITEM(.image = sample[4].image, .task = task, .options = theirs);
    a.text = b.text = task == BLIP2_CAPTION ? NULL : "what is in the picture?";
    assert_true(blip2_check(session, &b, NULL));
    if (generate) {
        blip2_result *r = must_generate(session, (blip2_item[]){a, b}, 2);
        assert_same(r, 0, r, 1);
        assert_int_equal(blip2_result_error(r, 0)->code, BLIP2_OK);
        blip2_result_free(r);
    }
    free(theirs);
}

static void test_other_options(void **state)
{
    for (size_t size = sizeof(size_t); size <= sizeof(blip2_options) + 32; size += 4)
        check_options(BLIP2_CAPTION, BLIP2_LAVIS, size, false);
    const size_t sizes[] = {
        offsetof(blip2_options, num_beams),      offsetof(blip2_options, max_length),
        offsetof(blip2_options, length_penalty), offsetof(blip2_options, sample),
        offsetof(blip2_options, banned),         sizeof(blip2_options) + 16};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_options(BLIP2_CAPTION, BLIP2_LAVIS, sizes[i], true);
        check_options(BLIP2_CAPTION, BLIP2_HF, sizes[i], true);
        check_options(BLIP2_ASK, BLIP2_LAVIS, sizes[i], true);
    }
}

static void expect_bad_options(const blip2_options *o, const char *part)
{
    blip2_item item = ITEM(.image = sample[0].image, .options = o);
    blip2_result *r = must_generate(session, &item, 1);
    expect_usage(blip2_result_error(r, 0), part);
    blip2_result_free(r);
}

static void test_bad_options(void **state)
{
    blip2_options whole = blip2_options_default(model, BLIP2_CAPTION, BLIP2_LAVIS);
    for (int i = 0; i < NO_SIZES; i++) {
        blip2_options o = whole;
        o.size = NO_SIZE[i];
        expect_bad_options(&o, "size");
    }
    char *newer = resized(&whole, sizeof whole, sizeof whole + 8);
    newer[sizeof whole] = 1;
    expect_bad_options((const blip2_options *)(const void *)newer, "newer");
    free(newer);
}

/* Nobody knows how much there is to fill: nothing is. */
static void test_init_of_no_size(void **state)
{
    blip2_options_init(NULL, model, BLIP2_CAPTION, BLIP2_LAVIS);
    for (int i = 0; i < NO_SIZES; i++) {
        blip2_options o, before;
        memset(&o, 0x55, sizeof o);
        o.size = NO_SIZE[i];
        memcpy(&before, &o, sizeof o);
        blip2_options_init(&o, model, BLIP2_CAPTION, BLIP2_LAVIS);
        assert_memory_equal(&o, &before, sizeof o);
    }
}

static void test_max_enums(void **state)
{
    blip2_options o = blip2_options_default(model, BLIP2_CAPTION, BLIP2_LAVIS);
    o.library = BLIP2_LIBRARY_MAX_ENUM;
    expect_bad_options(&o, "library");
    o = blip2_options_default(model, BLIP2_CAPTION, BLIP2_LAVIS);
    o.early_stopping = BLIP2_EARLY_MAX_ENUM;
    expect_bad_options(&o, "early_stopping");
    blip2_item item = ITEM(.image = sample[0].image, .task = BLIP2_TASK_MAX_ENUM);
    blip2_error err = {0};
    assert_false(blip2_check(session, &item, &err));
    expect_usage(&err, "task");
}

/* --- loading and sessions ------------------------------------------------------------------------ */

static void try_load(const void *options, const char *part)
{
    blip2_error err = {0};
    blip2_model *m = blip2_model_load(SCENES, options, &err);
    assert_int_equal(m != NULL, part == NULL);
    if (part)
        expect_usage(&err, part);
    blip2_model_free(m);
}

static void try_session(const void *options, const char *part)
{
    blip2_error err = {0};
    blip2_session *s = blip2_session_new(model, options, &err);
    assert_int_equal(s != NULL, part == NULL);
    if (part)
        expect_usage(&err, part);
    blip2_session_free(s);
}

static void try_sizes(const void *from, size_t whole, void try(const void *, const char *))
{
    const size_t good[] = {sizeof(size_t), sizeof(size_t) + 4, whole, whole + 8, 4096};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *p = resized(from, whole, good[i]);
        try(p, NULL);
        if (good[i] > whole) {
            p[good[i] - 1] = 1;
            try(p, "newer");
        }
        free(p);
    }
    for (int i = 0; i < NO_SIZES; i++) {
        char *p = resized(from, whole, whole);
        memcpy(p, &NO_SIZE[i], sizeof NO_SIZE[i]);
        try(p, "size");
        free(p);
    }
}

static void test_load_options(void **state)
{
    blip2_load_options o = blip2_load_options_default();
    assert_int_equal(o.dtype, BLIP2_AUTO);
    try_sizes(&o, sizeof o, try_load);
    o.dtype = BLIP2_DTYPE_MAX_ENUM;
    try_load(&o, "dtype");
    o = (blip2_load_options){.size = sizeof o, .reserved = -1};
    try_load(&o, "load options: expected the fields of this version, got newer ones");
}

static void test_session_options(void **state)
{
    blip2_session_options o = blip2_session_options_default();
    assert_true(o.threads == 0 && o.isa == NULL && o.pictures == 0);
    o.threads = 1;
    try_sizes(&o, sizeof o, try_session);
    o.reserved = 1;
    try_session(&o, "session options: expected the fields of this version, got newer ones");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_items),      cmocka_unit_test(test_shortest_item),
        cmocka_unit_test(test_newer_items),      cmocka_unit_test(test_mixed_items),
        cmocka_unit_test(test_items_of_no_size), cmocka_unit_test(test_other_options),
        cmocka_unit_test(test_bad_options),      cmocka_unit_test(test_load_options),
        cmocka_unit_test(test_session_options),  cmocka_unit_test(test_init_of_no_size),
        cmocka_unit_test(test_max_enums),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
