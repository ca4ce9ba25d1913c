/* What the tests of blip2_match, blip2_embed and blip2_rank share: calls that must give a result, equality to
 * the last bit, errors by code and words. */
#ifndef TEST_API_MATCH_H
#define TEST_API_MATCH_H

#include "tiny_dirs.h"

/* --- calls ---------------------------------------------------------------------------------------- */

static inline blip2_pair pair_of(blip2_image *image, const char *text, blip2_library library)
{
    blip2_pair p = blip2_pair_default();
    p.image = image;
    p.text = text;
    p.library = library;
    return p;
}

static inline blip2_embed_item embed_of(blip2_feature_kind kind, blip2_image *image,
                                        const char *text, blip2_pool pool)
{
    blip2_embed_item it = blip2_embed_item_default();
    it.kind = kind;
    it.pool = pool;
    it.library = BLIP2_HF;
    it.image = blip2_feature_has_image(kind) ? image : NULL;
    it.text = blip2_feature_has_text(kind) ? text : NULL;
    return it;
}

static inline blip2_scores *must_match(blip2_session *s, const blip2_pair *pairs, size_t n)
{
    blip2_error err = {0};
    blip2_scores *r = blip2_match(s, pairs, n, &err);
    if (!r)
        fail_msg("%s", err.message);
    assert_int_equal(err.code, BLIP2_OK);
    return r;
}

static inline blip2_features *must_embed(blip2_session *s, const blip2_embed_item *items, size_t n)
{
    blip2_error err = {0};
    blip2_features *r = blip2_embed(s, items, n, &err);
    if (!r)
        fail_msg("%s", err.message);
    assert_int_equal(err.code, BLIP2_OK);
    return r;
}

static inline blip2_result *must_rank(blip2_session *s, const blip2_item *items, size_t n,
                                      const char *const *choices, size_t n_choices)
{
    blip2_error err = {0};
    blip2_result *r = blip2_rank(s, items, n, choices, n_choices, &err);
    if (!r)
        fail_msg("%s", err.message);
    assert_int_equal(err.code, BLIP2_OK);
    return r;
}

/* --- equality ------------------------------------------------------------------------------------- */

static inline void assert_no_error(const blip2_error *e)
{
    if (e->code != BLIP2_OK)
        fail_msg("%d: %s", e->code, e->message);
}

/* Pair i of a is, to the last bit, pair k of b, which has scores. */
static inline void assert_same_score(const blip2_scores *a, size_t i, const blip2_scores *b,
                                     size_t k)
{
    assert_no_error(blip2_scores_error(a, i));
    assert_no_error(blip2_scores_error(b, k));
    const blip2_score *x = blip2_scores_at(a, i), *y = blip2_scores_at(b, k);
    assert_non_null(x);
    assert_non_null(y);
    assert_memory_equal(&x->itm, &y->itm, sizeof x->itm);
    assert_memory_equal(&x->itc, &y->itc, sizeof x->itc);
    assert_memory_equal(x->itm_logits, y->itm_logits, sizeof x->itm_logits);
    assert_text(blip2_scores_notice(a, i), blip2_scores_notice(b, k));
}

static inline void assert_same_feature(const blip2_features *a, size_t i, const blip2_features *b,
                                       size_t k)
{
    assert_no_error(blip2_features_error(a, i));
    assert_no_error(blip2_features_error(b, k));
    const blip2_feature *x = blip2_features_at(a, i), *y = blip2_features_at(b, k);
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(x->rows, y->rows);
    assert_int_equal(x->columns, y->columns);
    assert_memory_equal(x->values, y->values, x->rows * x->columns * sizeof *x->values);
    assert_text(blip2_features_notice(a, i), blip2_features_notice(b, k));
}

/* Item i of a is, to the last bit, item k of b: also what each choice is and how likely. */
static inline void assert_same_ranks(const blip2_result *a, size_t i, const blip2_result *b,
                                     size_t k)
{
    assert_no_error(blip2_result_error(b, k));
    assert_same(a, i, b, k);
    assert_true(blip2_result_count(a, i) > 0);
    for (size_t c = 0; c < blip2_result_count(a, i); c++) {
        const blip2_candidate *x = blip2_result_candidate(a, i, c);
        const blip2_candidate *y = blip2_result_candidate(b, k, c);
        assert_int_equal(x->choice, y->choice);
        assert_memory_equal(&x->probability, &y->probability, sizeof x->probability);
    }
}

/* --- errors --------------------------------------------------------------------------------------- */

static inline void expect_error(const blip2_error *e, blip2_error_code code, const char *message)
{
    if (e->code != code || strcmp(e->message, message) != 0)
        fail_msg("expected %d \"%s\", got %d \"%s\"", code, message, e->code, e->message);
}

/* Pair i has no score, for that reason. */
static inline void expect_no_score(const blip2_scores *r, size_t i, blip2_error_code code,
                                   const char *message)
{
    expect_error(blip2_scores_error(r, i), code, message);
    assert_null(blip2_scores_at(r, i));
}

static inline void expect_no_feature(const blip2_features *r, size_t i, blip2_error_code code,
                                     const char *message)
{
    expect_error(blip2_features_error(r, i), code, message);
    assert_null(blip2_features_at(r, i));
}

static inline void expect_no_rank(const blip2_result *r, size_t i, blip2_error_code code,
                                  const char *message)
{
    expect_error(blip2_result_error(r, i), code, message);
    assert_int_equal(blip2_result_count(r, i), 0);
    assert_null(blip2_result_text(r, i));
}

/* --- pictures ------------------------------------------------------------------------------------- */

/* One that is read, but not as it might be expected. */
#define GREY_NOTICE "grey of more than 8 bits is read as Pillow does: values beyond 255 are white"

static inline blip2_image *grey_picture(void)
{
    blip2_image *image =
        blip2_image_from_file(SOURCE_DIR "/tests/data/images/valid/p_g16.png", NULL);
    assert_non_null(image);
    return image;
}

/* So narrow and tall that it is read but cannot be prepared (image/image.h, picture_resize). */
enum { TALLEST = 178956970 / 56 + 1 };
#define TOO_TALL "picture: too tall, 1 x 3195661 pixels, the limit at a width of 56 is 3195660"

static inline blip2_image *tall_picture(void)
{
    blip2_error err = {0};
    uint8_t *pixels = calloc(TALLEST, 1);
    assert_non_null(pixels);
    blip2_image *image = blip2_image_from_pixels(pixels, 1, TALLEST, 1, &err);
    free(pixels);
    assert_non_null(image);
    return image;
}

#endif
