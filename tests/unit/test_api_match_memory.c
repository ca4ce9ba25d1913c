/* Memory that runs out in blip2_match, blip2_embed and blip2_rank, at every single allocation in turn: no crash, the
 * right code for those that it concerns and the right values for the others, everything given back, and a session
 * that goes on with the same bits. */
#include "base/mem.h"
#include "test_api_match.h"

enum { PICTURES = 2, MOST = 32 };

static const char *const TEXTS[] = {"a cat", "red dogs on the left of a blue car"};
static const char *const CHOICES[] = {"a dog", "a dog and a cat", "cat"};

static blip2_image *picture[PICTURES];

static int setup(void **state)
{
    for (int i = 0; i < PICTURES; i++)
        if (!(picture[i] = small_picture(i, NULL)))
            return -1;
    return tiny_dirs_make();
}

static int teardown(void **state)
{
    for (int i = 0; i < PICTURES; i++)
        blip2_image_free(picture[i]);
    return tiny_dirs_remove();
}

/* --- a call, whatever it does ------------------------------------------------------------------------ */

typedef struct Call Call;
struct Call {
    const char *model;
    /* The result, NULL with an error of memory in err. */
    void *(*run)(const Call *c, blip2_session *s, blip2_error *err);
    /* Element i's error; where there is none the element is, to the last bit, that of c->right. */
    const blip2_error *(*check)(const Call *c, const void *result, size_t i);
    void (*free)(void *result);
    size_t n;
    void *right; /* without failures */
    union {
        blip2_pair pair[MOST];
        blip2_embed_item item[MOST];
        blip2_item ask[MOST];
    };
};

static void *run_match(const Call *c, blip2_session *s, blip2_error *err)
{
    return blip2_match(s, c->pair, c->n, err);
}

static const blip2_error *check_match(const Call *c, const void *result, size_t i)
{
    const blip2_error *e = blip2_scores_error(result, i);
    if (!e->code)
        assert_same_score(result, i, c->right, i);
    else
        assert_null(blip2_scores_at(result, i));
    return e;
}

static void free_match(void *result)
{
    blip2_scores_free(result);
}

static void *run_embed(const Call *c, blip2_session *s, blip2_error *err)
{
    return blip2_embed(s, c->item, c->n, err);
}

static const blip2_error *check_embed(const Call *c, const void *result, size_t i)
{
    const blip2_error *e = blip2_features_error(result, i);
    if (!e->code)
        assert_same_feature(result, i, c->right, i);
    else
        assert_null(blip2_features_at(result, i));
    return e;
}

static void free_embed(void *result)
{
    blip2_features_free(result);
}

static void *run_rank(const Call *c, blip2_session *s, blip2_error *err)
{
    return blip2_rank(s, c->ask, c->n, CHOICES, 3, err);
}

static const blip2_error *check_rank(const Call *c, const void *result, size_t i)
{
    const blip2_error *e = blip2_result_error(result, i);
    if (!e->code)
        assert_same_ranks(result, i, c->right, i);
    else
        assert_int_equal(blip2_result_count(result, i), 0);
    return e;
}

static void free_rank(void *result)
{
    blip2_result_free(result);
}

static Call matching(void)
{
    Call c = {.model = "itm",
              .run = run_match,
              .check = check_match,
              .free = free_match,
              .n = PICTURES * PICTURES};
    for (size_t i = 0; i < c.n; i++)
        c.pair[i] =
            pair_of(picture[i / PICTURES], TEXTS[i % PICTURES], i % 3 ? BLIP2_LAVIS : BLIP2_HF);
    return c;
}

/* Both pictures and texts of these kinds, with another pool each time. */
static Call features(const char *model, const blip2_feature_kind *kind, size_t kinds)
{
    Call c = {.model = model,
              .run = run_embed,
              .check = check_embed,
              .free = free_embed,
              .n = kinds * PICTURES};
    for (size_t i = 0; i < c.n; i++)
        c.item[i] = embed_of(kind[i / PICTURES], picture[i % PICTURES], TEXTS[i % PICTURES],
                             (blip2_pool)(i % 4));
    return c;
}

static Call ranks(const char *model)
{
    bool caption = strcmp(model, "caption") == 0;
    Call c = {
        .model = model, .run = run_rank, .check = check_rank, .free = free_rank, .n = PICTURES};
    for (size_t i = 0; i < c.n; i++)
        c.ask[i] = ITEM(.image = picture[i], .task = caption ? BLIP2_CAPTION : BLIP2_ASK,
                        .text = caption ? NULL : "what is it");
    return c;
}

/* --- failures ---------------------------------------------------------------------------------------- */

/* Returns how many elements failed, all for want of memory; without a result all of them. */
static size_t count_failed(const Call *c, blip2_session *s)
{
    blip2_error err = {0};
    size_t failed = 0;
    void *r = c->run(c, s, &err);
    for (size_t i = 0; r && i < c->n; i++) {
        const blip2_error *e = c->check(c, r, i);
        if (e->code && (e->code != BLIP2_MEMORY || !strstr(e->message, "memory")))
            fail_msg("element %zu: expected an error of memory, got %d \"%s\"", i, e->code,
                     e->message);
        failed += e->code != BLIP2_OK;
    }
    if (r ? err.code != BLIP2_OK : err.code != BLIP2_MEMORY)
        fail_msg("got %d \"%s\"", err.code, err.message);
    c->free(r);
    return r ? failed : c->n;
}

/* The n-th allocation of a call fails, on a session that has done nothing or the same already. */
static bool fail_one(const Call *c, blip2_model *m, long n, bool again, size_t *failed)
{
    size_t before = blip2_debug_bytes_in_use();
    blip2_session *s = open_session(m, 1, NULL);
    if (again)
        assert_int_equal(count_failed(c, s), 0);
    blip2_debug_fail_alloc(n);
    size_t of_this = count_failed(c, s);
    bool hit = mem_fail_hit();
    blip2_debug_fail_alloc(0);
    assert_true(hit || of_this == 0);
    *failed += of_this;
    assert_int_equal(count_failed(c, s), 0);
    blip2_session_free(s);
    assert_int_equal(blip2_debug_bytes_in_use(), before);
    return hit;
}

static void check_call(Call *c)
{
    blip2_error err = {0};
    blip2_model *m = open_model(tiny_dir(c->model), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    c->right = c->run(c, s, &err);
    assert_non_null(c->right);
    blip2_session_free(s);
    for (int again = 0; again < 2; again++) {
        size_t failed = 0;
        long n = 1;
        while (fail_one(c, m, n, again, &failed))
            n++;
        print_message("  %s%s: %ld allocations, %zu elements failed\n", c->model,
                      again ? ", again" : "", n - 1, failed);
        assert_true(n > 6 && failed > 0);
    }
    c->free(c->right);
    blip2_model_free(m);
}

static void test_match(void **state)
{
    Call c = matching();
    check_call(&c);
}

/* Each kind alone, and all that a model has in one call. */
static void check_kinds(const char *model, const blip2_feature_kind *kind, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        Call c = features(model, &kind[i], 1);
        check_call(&c);
    }
    Call c = features(model, kind, n);
    check_call(&c);
}

static void test_embed(void **state)
{
    static const blip2_feature_kind MATCHING[] = {
        BLIP2_VISION,      BLIP2_IMAGE_EMBEDS,     BLIP2_IMAGE_EMBEDS_PROJ,
        BLIP2_TEXT_EMBEDS, BLIP2_TEXT_EMBEDS_PROJ, BLIP2_MULTIMODAL_EMBEDS};
    static const blip2_feature_kind GENERATING[] = {BLIP2_VISION, BLIP2_IMAGE_EMBEDS,
                                                    BLIP2_LANGUAGE_EMBEDS};
    check_kinds("itm", MATCHING, 6);
    check_kinds("opt", GENERATING, 3);
    check_kinds("t5", GENERATING, 3);
}

static void test_rank(void **state)
{
    static const char *const MODELS[] = {"opt", "t5", "caption"};
    for (int i = 0; i < 3; i++) {
        Call c = ranks(MODELS[i]);
        check_call(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_match), cmocka_unit_test(test_embed),
                                       cmocka_unit_test(test_rank)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
