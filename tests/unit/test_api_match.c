/* blip2_match and blip2_embed: values of the reference for picture files and texts (tests/golden/match), what a
 * result depends on and what it does not, and what makes no sense. */
#define GOLDEN SOURCE_DIR "/tests/golden/match"
#include "api/api.h"
#include "golden_values.h"
#include "test_api_match.h"

enum { PICTURES = 3, TEXTS = 4 }; /* of the goldens */
static const char *const FILES[] = {"scene000.png", "scene004.png", "scene007.png"};
static const char *const WORDS[] = {"a cat", "red dogs on the left of a blue car", "A Cat!", ""};

static blip2_image *picture[PICTURES];

static int setup(void **state)
{
    if (golden_setup(state) || tiny_dirs_make())
        return -1;
    for (int i = 0; i < PICTURES; i++) {
        char path[512];
        snprintf(path, sizeof path, SCENES "/samples/%s", FILES[i]);
        picture[i] = blip2_image_from_file(path, NULL);
        if (!picture[i])
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < PICTURES; i++)
        blip2_image_free(picture[i]);
    golden_teardown(state);
    return tiny_dirs_remove();
}

/* --- values of the reference ----------------------------------------------------------------------- */

static void near(const char *what, double got, double wanted, double limit)
{
    if (!(fabs(got - wanted) <= limit))
        fail_msg("%s: expected %.8g, got %.8g", what, wanted, got);
}

/* Pair i of r is the golden's pair `as`. */
static void check_score(const char *isa, const blip2_scores *r, size_t i, size_t as)
{
    size_t n;
    const blip2_score *s = blip2_scores_at(r, i);
    assert_no_error(blip2_scores_error(r, i));
    float logits[2] = {(float)s->itm_logits[0], (float)s->itm_logits[1]};
    const float *wanted = want_f32("itm_logits", as, &n);
    double no = exp((double)wanted[0]), yes = exp((double)wanted[1]);
    check_values(isa, "itm_logits", as, logits, 2, 5e-5);
    near("itm", s->itm, yes / (no + yes), 1e-5);
    near("itc", s->itc, (double)want_f32("itc", as, &n)[0], 5e-5);
}

/* As LAVIS reads it, "A Cat!" is "a cat". */
static void check_scores(blip2_session *s, const char *isa, blip2_library library)
{
    blip2_pair pair[PICTURES * TEXTS];
    for (int i = 0; i < PICTURES * TEXTS; i++)
        pair[i] = pair_of(picture[i / TEXTS], WORDS[i % TEXTS], library);
    blip2_scores *r = must_match(s, pair, PICTURES * TEXTS);
    for (size_t i = 0; i < PICTURES * TEXTS; i++)
        check_score(isa, r, i, library == BLIP2_LAVIS && i % TEXTS == 2 ? i - 2 : i);
    assert_null(blip2_scores_at(r, PICTURES * TEXTS));
    blip2_scores_free(r);
}

/* Row 0 of `pooled` is what `how` leaves of the golden's first n rows. */
static void check_pooled(const char *name, const float *golden, size_t n, size_t cols,
                         const blip2_feature *pooled, blip2_pool how)
{
    double top = 0;
    assert_int_equal(pooled->rows, 1);
    for (size_t i = 0; i < n * cols; i++)
        top = fmax(top, fabs((double)golden[i]));
    for (size_t k = 0; k < cols; k++) {
        double sum = 0, most = -INFINITY;
        for (size_t r = 0; r < n; r++) {
            sum += (double)golden[r * cols + k];
            most = fmax(most, (double)golden[r * cols + k]);
        }
        near(name, (double)pooled->values[k],
             how == BLIP2_POOL_FIRST  ? (double)golden[k]
             : how == BLIP2_POOL_MEAN ? sum / (double)n
                                      : most,
             5e-5 * top);
    }
}

/* Golden `name`, number `as`, of which `rows` rows count (0: all). */
static void check_feature(blip2_session *s, const char *isa, const blip2_embed_item *item,
                          const char *name, size_t as, size_t rows)
{
    blip2_embed_item all[4];
    size_t n, cols = (size_t)want(name)->shape[2];
    const float *golden = want_f32(name, as, &n);
    rows = rows ? rows : n / cols;
    for (int i = 0; i < 4; i++) {
        all[i] = *item;
        all[i].pool = (blip2_pool)i;
    }
    blip2_features *r = must_embed(s, all, 4);
    for (size_t i = 0; i < 4; i++) {
        const blip2_feature *f = blip2_features_at(r, i);
        assert_no_error(blip2_features_error(r, i));
        assert_int_equal(f->columns, cols);
        if (i)
            check_pooled(name, golden, rows, cols, f, (blip2_pool)i);
        else
            assert_int_equal(f->rows, rows);
    }
    check_values(isa, name, as, blip2_features_at(r, 0)->values, rows * cols, 5e-5);
    blip2_features_free(r);
}

static void check_features(blip2_session *s, const char *isa)
{
    static const struct {
        blip2_feature_kind kind;
        const char *name;
    } KINDS[] = {{BLIP2_VISION, "vision"},
                 {BLIP2_IMAGE_EMBEDS, "image_embeds"},
                 {BLIP2_IMAGE_EMBEDS_PROJ, "image_embeds_proj"},
                 {BLIP2_TEXT_EMBEDS, "text_embeds"},
                 {BLIP2_TEXT_EMBEDS_PROJ, "text_embeds_proj"},
                 {BLIP2_MULTIMODAL_EMBEDS, "multimodal_embeds"}};
    for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++)
        for (size_t i = 0; i < PICTURES * TEXTS; i++) {
            bool image = blip2_feature_has_image(KINDS[k].kind);
            bool text = blip2_feature_has_text(KINDS[k].kind);
            size_t p = i / TEXTS, t = i % TEXTS, rows = 0;
            if (text && !image)
                memcpy(&rows, (const char *)want("text_rows")->data + 8 * t, 8);
            blip2_embed_item item = embed_of(KINDS[k].kind, picture[p], WORDS[t], BLIP2_POOL_NONE);
            check_feature(s, isa, &item, KINDS[k].name, image && text ? i : image ? p : t, rows);
        }
}

static void test_values(void **state)
{
    for (const char *const *isa = cpu_isas(); *isa; isa++) {
        blip2_model *m = open_model(tiny_dir("itm"), BLIP2_F32);
        blip2_session *s = open_session(m, 2, *isa);
        check_scores(s, *isa, BLIP2_HF);
        check_scores(s, *isa, BLIP2_LAVIS);
        check_features(s, *isa);
        blip2_session_free(s);
        blip2_model_free(m);
    }
}

static void test_language_values(void **state)
{
    static const char *const MODELS[][2] = {{"opt", "language.opt"}, {"t5", "language.t5"}};
    for (size_t i = 0; i < 2; i++)
        for (const char *const *isa = cpu_isas(); *isa; isa++) {
            blip2_model *m = open_model(tiny_dir(MODELS[i][0]), BLIP2_F32);
            blip2_session *s = open_session(m, 2, *isa);
            for (size_t p = 0; p < PICTURES; p++) {
                blip2_embed_item item =
                    embed_of(BLIP2_LANGUAGE_EMBEDS, picture[p], NULL, BLIP2_POOL_NONE);
                check_feature(s, *isa, &item, MODELS[i][1], p, 0);
            }
            blip2_session_free(s);
            blip2_model_free(m);
        }
}

/* --- what a result does not depend on --------------------------------------------------------------- */

/* More pictures than go through the networks together, more pairs than are held together. */
enum { MANY = 11, LINES = 4, ALL = MANY * LINES };

static const char *const LINE[] = {"a cat", "what is it", "red dogs on the left of a blue car",
                                   "abcdefghijklmnopqrstuvwxyz"};

typedef struct Crowd {
    blip2_model *m;
    blip2_image *image[MANY];
    blip2_pair pair[ALL];
    blip2_scores *alone[ALL];
} Crowd;

static blip2_session *session_keeping(blip2_model *m, int threads, int pictures)
{
    blip2_error err = {0};
    blip2_session_options o = blip2_session_options_default();
    o.threads = threads;
    o.pictures = pictures;
    blip2_session *s = blip2_session_new(m, &o, &err);
    if (!s)
        fail_msg("%s", err.message);
    return s;
}

static void open_pictures(blip2_image *image[MANY])
{
    for (int i = 0; i < MANY; i++) {
        image[i] = small_picture(i, NULL);
        assert_non_null(image[i]);
    }
}

static void close_pictures(blip2_image *image[MANY])
{
    for (int i = 0; i < MANY; i++)
        blip2_image_free(image[i]);
}

static void open_crowd(Crowd *c)
{
    c->m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    open_pictures(c->image);
    for (int i = 0; i < ALL; i++) {
        blip2_session *own = session_keeping(c->m, 1, -1);
        c->pair[i] = pair_of(c->image[i / LINES], LINE[i % LINES], i % 3 ? BLIP2_LAVIS : BLIP2_HF);
        c->alone[i] = must_match(own, &c->pair[i], 1);
        blip2_session_free(own);
    }
}

static void close_crowd(Crowd *c)
{
    for (int i = 0; i < ALL; i++)
        blip2_scores_free(c->alone[i]);
    close_pictures(c->image);
    blip2_model_free(c->m);
}

/* Pair (i * step) % ALL stands at place i; once more on a session that has seen them. */
static void match_together(const Crowd *c, blip2_session *s, size_t step)
{
    blip2_pair list[ALL];
    for (size_t i = 0; i < ALL; i++)
        list[i] = c->pair[i * step % ALL];
    for (int again = 0; again < 2; again++) {
        blip2_scores *r = must_match(s, list, ALL);
        for (size_t i = 0; i < ALL; i++)
            assert_same_score(r, i, c->alone[i * step % ALL], 0);
        blip2_scores_free(r);
    }
}

static void test_pairs_together(void **state)
{
    static const int KEPT[] = {0, -1, 1, 9};
    static Crowd c;
    open_crowd(&c);
    for (int threads = 1; threads <= 3; threads++)
        for (size_t k = 0; k < sizeof KEPT / sizeof *KEPT; k++) {
            blip2_session *s = session_keeping(c.m, threads, KEPT[k]);
            match_together(&c, s, 1);
            match_together(&c, s, 7); /* no divisor of ALL: every pair comes */
            blip2_session_free(s);
        }
    close_crowd(&c);
}

enum { KINDS = 7, POOLS = 4, EACH = KINDS * POOLS };

typedef struct Mixed {
    blip2_model *m;
    blip2_image *image[MANY];
    blip2_embed_item item[MANY * EACH];
    blip2_features *alone[MANY * EACH];
    size_t n;
} Mixed;

/* Every kind that the model has with every pool, of every picture and of texts in turn. */
static void open_mixed(Mixed *x, const char *model)
{
    *x = (Mixed){.m = open_model(tiny_dir(model), BLIP2_AUTO)};
    open_pictures(x->image);
    blip2_session *any = open_session(x->m, 1, NULL);
    for (int i = 0; i < MANY * EACH; i++) {
        blip2_feature_kind kind = (blip2_feature_kind)(i % KINDS);
        if (!blip2_embed_check(any, kind, NULL))
            continue;
        x->item[x->n] =
            embed_of(kind, x->image[i / EACH], LINE[i % LINES], (blip2_pool)(i / KINDS % POOLS));
        x->item[x->n].library = i / EACH % 2 ? BLIP2_LAVIS : BLIP2_HF;
        blip2_session *own = session_keeping(x->m, 1, -1);
        x->alone[x->n] = must_embed(own, &x->item[x->n], 1);
        x->n++;
        blip2_session_free(own);
    }
    blip2_session_free(any);
}

static void close_mixed(Mixed *x)
{
    for (size_t i = 0; i < x->n; i++)
        blip2_features_free(x->alone[i]);
    close_pictures(x->image);
    blip2_model_free(x->m);
}

static void embed_together(const Mixed *x, blip2_session *s, size_t step)
{
    static blip2_embed_item list[MANY * EACH];
    for (size_t i = 0; i < x->n; i++)
        list[i] = x->item[i * step % x->n];
    blip2_features *r = must_embed(s, list, x->n);
    for (size_t i = 0; i < x->n; i++)
        assert_same_feature(r, i, x->alone[i * step % x->n], 0);
    blip2_features_free(r);
}

static void check_mixed(const char *model, size_t kinds)
{
    static const int KEPT[] = {0, -1, 2};
    static Mixed x;
    open_mixed(&x, model);
    assert_int_equal(x.n, MANY * POOLS * kinds);
    for (int threads = 1; threads <= 3; threads++)
        for (size_t k = 0; k < sizeof KEPT / sizeof *KEPT; k++) {
            blip2_session *s = session_keeping(x.m, threads, KEPT[k]);
            embed_together(&x, s, 1);
            embed_together(&x, s, 13);
            blip2_session_free(s);
        }
    close_mixed(&x);
}

static void test_features_together(void **state)
{
    check_mixed("itm", 6);
    check_mixed("opt", 3);
    check_mixed("t5", 3);
}

/* How long the vision tower took for jobs of kinds that all look at one picture. */
static double encoded_for(blip2_session *s, const FeatureKind *kind, int n)
{
    FeatureJob job[8];
    double took = 0;
    for (int i = 0; i < n; i++)
        job[i] = (FeatureJob){.kind = kind[i], .image = api_image_job(picture[0], BLIP2_LAVIS)};
    engine_features(&s->engine, job, n);
    for (int i = 0; i < n; i++) {
        assert_non_null(job[i].values);
        assert_true(i == 0 || job[i].image.times.encode == 0);
        took += job[i].image.times.encode;
        mem_free(job[i].values);
    }
    return took;
}

/* Several kinds of one picture: encoded once, in one call and one after another, until one asks for more. */
static void test_encoded_once(void **state)
{
    static const FeatureKind KIND[] = {FEATURE_QUERIES, FEATURE_VISION, FEATURE_IMAGE,
                                       FEATURE_QUERIES};
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    assert_true(encoded_for(s, KIND, 4) > 0);
    for (int i = 0; i < 4; i++)
        assert_true(encoded_for(s, &KIND[i], 1) == 0);
    blip2_session_free(s);
    s = open_session(m, 1, NULL);
    assert_true(encoded_for(s, &KIND[0], 1) > 0);
    assert_true(encoded_for(s, &KIND[1], 1) > 0); /* of which nothing was kept */
    assert_true(encoded_for(s, KIND, 4) == 0);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* Captions that are under way, scores and features in between: all come out as ever. */
static void test_amid_a_batch(void **state)
{
    enum { N = 2 };
    blip2_model *m = open_model(tiny_dir("caption"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 2, NULL), *fresh = open_session(m, 1, NULL);
    blip2_item item[N];
    size_t ticket[N];
    blip2_pair pair = pair_of(picture[0], "a cat", BLIP2_LAVIS);
    blip2_embed_item both = embed_of(BLIP2_MULTIMODAL_EMBEDS, picture[0], "a dog", BLIP2_POOL_NONE);
    for (int i = 0; i < N; i++)
        item[i] = ITEM(.image = picture[i]);
    blip2_result *texts = must_generate(fresh, item, N);
    blip2_scores *score = must_match(fresh, &pair, 1);
    blip2_features *feature = must_embed(fresh, &both, 1);
    blip2_batch *b = blip2_batch_new(s, NULL);
    assert_true(blip2_batch_join(b, item, N, ticket, NULL));
    while (blip2_batch_step(b) > 0) {
        blip2_scores *r = must_match(s, &pair, 1);
        blip2_features *f = must_embed(s, &both, 1);
        assert_same_score(r, 0, score, 0);
        assert_same_feature(f, 0, feature, 0);
        blip2_scores_free(r);
        blip2_features_free(f);
    }
    for (size_t i = 0; i < N; i++) {
        blip2_result *r = blip2_batch_leave(b, ticket[i], NULL);
        assert_non_null(blip2_result_text(r, 0));
        assert_same(r, 0, texts, i);
        blip2_result_free(r);
    }
    blip2_batch_free(b);
    blip2_features_free(feature);
    blip2_scores_free(score);
    blip2_result_free(texts);
    blip2_session_free(fresh);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* --- what makes no sense ------------------------------------------------------------------------------ */

#define NO_PICTURE "picture: expected one, got NULL"
#define NO_TEXT    "text: expected one, got NULL"
#define TOO_LONG   "text: expected at most 40 tokens, got 52"
#define NOT_UTF8   "text: invalid UTF-8 at byte 3"
#define STEPPING   "token callback: expected no call to the session it belongs to"
#define LONG_WORDS \
    "aaaaa bbbbb ccccc ddddd eeeee fffff ggggg hhhhh iiiii jjjjj" /* 50 tokens, and the template's */

/* What cannot be done, and between each two of them a good pair: what it gets is what it gets alone. */
static void test_bad_pairs(void **state)
{
    blip2_image *tall = tall_picture();
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL), *fresh = open_session(m, 1, NULL);
    const struct {
        blip2_pair pair;
        blip2_error_code code;
        const char *message;
    } BAD[] = {
        {pair_of(NULL, "a cat", BLIP2_HF), BLIP2_FAILED, NO_PICTURE},
        {pair_of(picture[0], NULL, BLIP2_HF), BLIP2_USAGE, NO_TEXT},
        {pair_of(picture[0], LONG_WORDS, BLIP2_HF), BLIP2_FAILED, TOO_LONG},
        {pair_of(picture[0], "a c\xff", BLIP2_HF), BLIP2_USAGE, NOT_UTF8},
        {pair_of(picture[0], "a c\xff", BLIP2_LAVIS), BLIP2_USAGE, NOT_UTF8},
        {pair_of(tall, "a cat", BLIP2_LAVIS), BLIP2_FAILED, TOO_TALL},
        {pair_of(picture[0], "a cat", (blip2_library)2), BLIP2_USAGE,
         "pair: library: expected one of 0 to 1, got 2"},
        {pair_of(picture[0], "a cat", BLIP2_LIBRARY_MAX_ENUM), BLIP2_USAGE,
         "pair: library: expected one of 0 to 1, got 2147483647"},
    };
    enum { N = sizeof BAD / sizeof *BAD };
    blip2_pair list[2 * N], good = pair_of(picture[1], WORDS[1], BLIP2_LAVIS);
    blip2_scores *alone = must_match(fresh, &good, 1);
    for (size_t i = 0; i < N; i++) {
        list[2 * i] = BAD[i].pair;
        list[2 * i + 1] = good;
    }
    blip2_scores *r = must_match(s, list, 2 * N);
    for (size_t i = 0; i < N; i++) {
        expect_no_score(r, 2 * i, BAD[i].code, BAD[i].message);
        assert_same_score(r, 2 * i + 1, alone, 0);
    }
    blip2_scores_free(r);
    blip2_scores_free(alone);
    blip2_session_free(fresh);
    blip2_session_free(s);
    blip2_model_free(m);
    blip2_image_free(tall);
}

static blip2_embed_item with_library(blip2_embed_item item, blip2_library library)
{
    item.library = library;
    return item;
}

static void test_bad_embed_items(void **state)
{
    blip2_image *tall = tall_picture();
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL), *fresh = open_session(m, 1, NULL);
    const blip2_feature_kind BOTH = BLIP2_MULTIMODAL_EMBEDS;
    const blip2_pool NONE = BLIP2_POOL_NONE;
    const struct {
        blip2_embed_item item;
        blip2_error_code code;
        const char *message;
    } BAD[] = {
        {embed_of(BOTH, NULL, "a dog", NONE), BLIP2_FAILED, NO_PICTURE},
        {embed_of(BLIP2_VISION, NULL, NULL, NONE), BLIP2_FAILED, NO_PICTURE},
        {embed_of(BLIP2_TEXT_EMBEDS, NULL, NULL, NONE), BLIP2_USAGE, NO_TEXT},
        {embed_of(BOTH, picture[0], LONG_WORDS, NONE), BLIP2_FAILED, TOO_LONG},
        {embed_of(BLIP2_TEXT_EMBEDS_PROJ, NULL, "a c\xff", NONE), BLIP2_USAGE, NOT_UTF8},
        {with_library(embed_of(BLIP2_IMAGE_EMBEDS, tall, NULL, NONE), BLIP2_LAVIS), BLIP2_FAILED,
         TOO_TALL},
        {embed_of(BLIP2_LANGUAGE_EMBEDS, picture[0], NULL, NONE), BLIP2_USAGE,
         "image embeddings of a language model: expected a model with a language model, as "
         "opt-2.7b, got one "
         "without"},
        {embed_of((blip2_feature_kind)7, picture[0], "a", NONE), BLIP2_USAGE,
         "item: kind: expected one of 0 to 6, got 7"},
        {embed_of(BLIP2_FEATURE_MAX_ENUM, picture[0], "a", NONE), BLIP2_USAGE,
         "item: kind: expected one of 0 to 6, got 2147483647"},
        {embed_of(BLIP2_VISION, picture[0], NULL, (blip2_pool)4), BLIP2_USAGE,
         "item: pool: expected one of 0 to 3, got 4"},
        {with_library(embed_of(BLIP2_VISION, picture[0], NULL, NONE), (blip2_library)9),
         BLIP2_USAGE, "item: library: expected one of 0 to 1, got 9"},
    };
    enum { N = sizeof BAD / sizeof *BAD };
    blip2_embed_item list[2 * N], good = embed_of(BOTH, picture[1], WORDS[1], NONE);
    blip2_features *alone = must_embed(fresh, &good, 1);
    for (size_t i = 0; i < N; i++) {
        list[2 * i] = BAD[i].item;
        list[2 * i + 1] = good;
    }
    blip2_features *r = must_embed(s, list, 2 * N);
    for (size_t i = 0; i < N; i++) {
        expect_no_feature(r, 2 * i, BAD[i].code, BAD[i].message);
        assert_same_feature(r, 2 * i + 1, alone, 0);
    }
    blip2_features_free(r);
    blip2_features_free(alone);
    blip2_session_free(fresh);
    blip2_session_free(s);
    blip2_model_free(m);
    blip2_image_free(tall);
}

/* LAVIS cuts a text that HF refuses, and says so: the same as the text that is left. */
static void test_cut(void **state)
{
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_pair pair[] = {pair_of(picture[0], LONG_WORDS, BLIP2_LAVIS),
                         pair_of(picture[0], "aaaaa bbbbb ccccc ddddd eeeee fffff", BLIP2_LAVIS)};
    blip2_embed_item item[] = {embed_of(BLIP2_TEXT_EMBEDS, NULL, pair[0].text, BLIP2_POOL_NONE),
                               embed_of(BLIP2_TEXT_EMBEDS, NULL, pair[1].text, BLIP2_POOL_NONE)};
    item[0].library = item[1].library = BLIP2_LAVIS;
    blip2_scores *r = must_match(s, pair, 2);
    blip2_features *f = must_embed(s, item, 2);
    assert_string_equal(blip2_scores_notice(r, 0),
                        "text: cut to 32 of 52 tokens, as LAVIS does (the rules of hf keep all)");
    assert_string_equal(blip2_features_notice(f, 0), blip2_scores_notice(r, 0));
    assert_null(blip2_scores_notice(r, 1));
    assert_null(blip2_features_notice(f, 1));
    const blip2_score *a = blip2_scores_at(r, 0), *b = blip2_scores_at(r, 1);
    assert_memory_equal(a->itm_logits, b->itm_logits, sizeof a->itm_logits);
    assert_memory_equal(&a->itc, &b->itc, sizeof a->itc);
    const blip2_feature *x = blip2_features_at(f, 0), *y = blip2_features_at(f, 1);
    assert_int_equal(x->rows, 32);
    assert_int_equal(y->rows, 32);
    assert_memory_equal(x->values, y->values, 32 * x->columns * sizeof *x->values);
    blip2_scores_free(r);
    blip2_features_free(f);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* What is to be known of a picture stands with all that is made of it, behind what there is of the text. */
static void test_picture_notice(void **state)
{
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_image *grey = grey_picture();
    blip2_pair pair[] = {pair_of(grey, "a", BLIP2_HF), pair_of(grey, LONG_WORDS, BLIP2_LAVIS),
                         pair_of(picture[0], "a", BLIP2_HF)};
    blip2_embed_item item[] = {embed_of(BLIP2_VISION, grey, NULL, BLIP2_POOL_NONE),
                               embed_of(BLIP2_TEXT_EMBEDS, NULL, "a", BLIP2_POOL_NONE)};
    blip2_scores *r = must_match(s, pair, 3);
    blip2_features *f = must_embed(s, item, 2);
    assert_text(blip2_scores_notice(r, 0), GREY_NOTICE);
    assert_text(
        blip2_scores_notice(r, 1),
        "text: cut to 32 of 52 tokens, as LAVIS does (the rules of hf keep all); " GREY_NOTICE);
    assert_text(blip2_scores_notice(r, 2), NULL);
    assert_text(blip2_features_notice(f, 0), GREY_NOTICE);
    assert_text(blip2_features_notice(f, 1), NULL);
    blip2_scores_free(r);
    blip2_features_free(f);
    blip2_image_free(grey);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* A call as a whole: its message, and no result. */
static void no_scores(blip2_session *s, const blip2_pair *pairs, size_t n, const char *message)
{
    blip2_error err = {0};
    assert_null(blip2_match(s, pairs, n, &err));
    expect_error(&err, BLIP2_USAGE, message);
    assert_null(blip2_match(s, pairs, n, NULL));
}

static void no_features(blip2_session *s, const blip2_embed_item *items, size_t n,
                        const char *message)
{
    blip2_error err = {0};
    assert_null(blip2_embed(s, items, n, &err));
    expect_error(&err, BLIP2_USAGE, message);
    assert_null(blip2_embed(s, items, n, NULL));
}

static void test_bad_calls(void **state)
{
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_pair pair = pair_of(picture[0], "a cat", BLIP2_HF);
    blip2_embed_item item = embed_of(BLIP2_VISION, picture[0], NULL, BLIP2_POOL_NONE);
    no_scores(NULL, &pair, 1, "session: expected one, got NULL");
    no_scores(s, NULL, 1, "pairs: expected some, got NULL");
    no_scores(s, &pair, SIZE_MAX, "pairs: expected at most 1048576, got 18446744073709551615");
    no_features(NULL, &item, 1, "session: expected one, got NULL");
    no_features(s, NULL, 1, "items: expected some, got NULL");
    no_features(s, &item, ((size_t)1 << 20) + 1, "items: expected at most 1048576, got 1048577");
    blip2_scores *r = must_match(s, NULL, 0);
    assert_null(blip2_scores_at(r, 0));
    assert_int_equal(blip2_scores_error(r, 0)->code, BLIP2_OK);
    assert_null(blip2_scores_notice(r, 0));
    blip2_scores_free(r);
    blip2_features *f = must_embed(s, NULL, 0);
    assert_null(blip2_features_at(f, 0));
    assert_int_equal(blip2_features_error(f, 0)->code, BLIP2_OK);
    assert_null(blip2_features_notice(f, 0));
    blip2_features_free(f);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* Reading where there is nothing; an error that is there already stays. */
static void test_nothing(void **state)
{
    blip2_error err = {.code = BLIP2_FAILED, .message = "earlier"};
    assert_null(blip2_match(NULL, NULL, 0, &err));
    assert_null(blip2_embed(NULL, NULL, 0, &err));
    assert_false(blip2_match_check(NULL, &err));
    assert_false(blip2_embed_check(NULL, BLIP2_VISION, &err));
    expect_error(&err, BLIP2_FAILED, "earlier");
    assert_null(blip2_scores_at(NULL, 0));
    assert_null(blip2_scores_notice(NULL, 0));
    assert_int_equal(blip2_scores_error(NULL, 0)->code, BLIP2_OK);
    assert_null(blip2_features_at(NULL, 0));
    assert_null(blip2_features_notice(NULL, 0));
    assert_int_equal(blip2_features_error(NULL, 0)->code, BLIP2_OK);
    blip2_scores_free(NULL);
    blip2_features_free(NULL);
    for (int kind = -1; kind < 9; kind++) {
        bool there = kind >= 0 && kind < KINDS;
        bool text = kind >= BLIP2_TEXT_EMBEDS && there;
        assert_int_equal(blip2_feature_has_text((blip2_feature_kind)kind), text);
        assert_int_equal(blip2_feature_has_image((blip2_feature_kind)kind),
                         there && (!text || kind == BLIP2_MULTIMODAL_EMBEDS));
    }
}

/* A model without what is asked for: before the call, and each pair and item alone. */
static void check_lacking(const char *model)
{
    static const char MATCHING[] =
        "image features: expected a model with a vision projection, as itm-vit-g, got one without";
    static const char *const LACKING[KINDS] = {
        [BLIP2_IMAGE_EMBEDS_PROJ] = MATCHING,
        [BLIP2_TEXT_EMBEDS] =
            "text embeddings: expected a model with a text branch, as itm-vit-g, got one without",
        [BLIP2_TEXT_EMBEDS_PROJ] =
            "text features: expected a model with a text branch, as itm-vit-g, got one without",
        [BLIP2_MULTIMODAL_EMBEDS] = "multimodal features: expected a model with a text branch, as "
                                    "itm-vit-g, got one without"};
    blip2_error err = {0};
    blip2_model *m = open_model(tiny_dir(model), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_pair pair = pair_of(picture[0], "a cat", BLIP2_LAVIS);
    assert_false(blip2_match_check(s, &err));
    expect_error(&err, BLIP2_USAGE, MATCHING);
    blip2_scores *r = must_match(s, &pair, 1);
    expect_no_score(r, 0, BLIP2_USAGE, MATCHING);
    blip2_scores_free(r);
    for (int kind = 0; kind < KINDS; kind++) {
        blip2_error lack = {0};
        blip2_embed_item item =
            embed_of((blip2_feature_kind)kind, picture[0], "a", BLIP2_POOL_NONE);
        blip2_features *f = must_embed(s, &item, 1);
        assert_int_equal(blip2_embed_check(s, item.kind, &lack), !LACKING[kind]);
        if (LACKING[kind]) {
            expect_error(&lack, BLIP2_USAGE, LACKING[kind]);
            expect_no_feature(f, 0, BLIP2_USAGE, LACKING[kind]);
        } else {
            assert_non_null(blip2_features_at(f, 0));
        }
        blip2_features_free(f);
    }
    blip2_session_free(s);
    blip2_model_free(m);
}

static void test_models_without(void **state)
{
    check_lacking("opt");
    check_lacking("t5");
    blip2_error err = {0};
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    assert_true(blip2_match_check(s, &err));
    assert_true(blip2_embed_check(s, BLIP2_MULTIMODAL_EMBEDS, &err));
    assert_false(blip2_embed_check(s, (blip2_feature_kind)7, &err));
    expect_error(&err, BLIP2_USAGE, "kind: expected one of 0 to 6, got 7");
    blip2_session_free(s);
    blip2_model_free(m);
}

/* A callback calls nothing of its session. */
static bool call_back(void *user, size_t number, int id, const char *text)
{
    blip2_session *s = *(blip2_session **)user;
    blip2_pair pair = pair_of(picture[0], "a cat", BLIP2_LAVIS);
    blip2_embed_item item = embed_of(BLIP2_VISION, picture[0], NULL, BLIP2_POOL_NONE);
    no_scores(s, &pair, 1, STEPPING);
    no_features(s, &item, 1, STEPPING);
    return true;
}

static void test_from_callback(void **state)
{
    blip2_model *m = open_model(tiny_dir("caption"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_item item = ITEM(.image = picture[0], .on_token = call_back, .user = &s);
    blip2_result *r = must_generate(s, &item, 1);
    assert_no_error(blip2_result_error(r, 0));
    assert_true(blip2_result_candidate(r, 0, 0)->id_count > 0);
    blip2_result_free(r);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* --- structs of other versions ------------------------------------------------------------------------ */

static const size_t PAIR_SIZES[] = {offsetof(blip2_pair, library), offsetof(blip2_pair, reserved),
                                    sizeof(blip2_pair), sizeof(blip2_pair) + 8, 4096};
static const size_t ITEM_SIZES[] = {
    offsetof(blip2_embed_item, pool),     offsetof(blip2_embed_item, library),
    offsetof(blip2_embed_item, reserved), sizeof(blip2_embed_item),
    sizeof(blip2_embed_item) + 8,         4096};

static void check_pairs_of(blip2_session *s, const blip2_pair pair[3], size_t size)
{
    blip2_scores *wanted = must_match(s, pair, 3);
    void *theirs = resized_all(pair, sizeof *pair, 3, size);
    blip2_scores *r = must_match(s, theirs, 3);
    for (size_t i = 0; i < 3; i++)
        assert_same_score(r, i, wanted, i);
    blip2_scores_free(r);
    for (size_t at = 0; at < 3 && size > sizeof *pair; at++) {
        char *last = (char *)theirs + at * size + size - 1;
        *last = 1;
        r = must_match(s, theirs, 3);
        for (size_t i = 0; i < 3; i++)
            if (i == at)
                expect_no_score(r, i, BLIP2_USAGE,
                                "pair: expected the fields of this version, got newer ones");
            else
                assert_same_score(r, i, wanted, i);
        blip2_scores_free(r);
        *last = 0;
    }
    free(theirs);
    blip2_scores_free(wanted);
}

static void check_items_of(blip2_session *s, const blip2_embed_item item[3], size_t size)
{
    blip2_features *wanted = must_embed(s, item, 3);
    void *theirs = resized_all(item, sizeof *item, 3, size);
    blip2_features *r = must_embed(s, theirs, 3);
    for (size_t i = 0; i < 3; i++)
        assert_same_feature(r, i, wanted, i);
    blip2_features_free(r);
    for (size_t at = 0; at < 3 && size > sizeof *item; at++) {
        char *last = (char *)theirs + at * size + size - 1;
        *last = 1;
        r = must_embed(s, theirs, 3);
        for (size_t i = 0; i < 3; i++)
            if (i == at)
                expect_no_feature(r, i, BLIP2_USAGE,
                                  "item: expected the fields of this version, got newer ones");
            else
                assert_same_feature(r, i, wanted, i);
        blip2_features_free(r);
        *last = 0;
    }
    free(theirs);
    blip2_features_free(wanted);
}

/* An older struct lacks what is the default in ours: LAVIS, all rows. */
static void test_other_sizes(void **state)
{
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_pair pair[3];
    blip2_embed_item item[3];
    for (int i = 0; i < 3; i++) {
        pair[i] = pair_of(picture[i], WORDS[i], BLIP2_LAVIS);
        item[i] = embed_of(BLIP2_MULTIMODAL_EMBEDS, picture[i], WORDS[i], BLIP2_POOL_NONE);
        item[i].library = BLIP2_LAVIS;
    }
    for (size_t i = 0; i < sizeof PAIR_SIZES / sizeof *PAIR_SIZES; i++)
        check_pairs_of(s, pair, PAIR_SIZES[i]);
    for (size_t i = 0; i < sizeof ITEM_SIZES / sizeof *ITEM_SIZES; i++)
        check_items_of(s, item, ITEM_SIZES[i]);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* Not 0, of no size, of another size than the first. */
static void test_bad_structs(void **state)
{
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_pair pair[2] = {pair_of(picture[0], "a", BLIP2_LAVIS),
                          pair_of(picture[1], "a", BLIP2_LAVIS)};
    blip2_embed_item item[2] = {embed_of(BLIP2_VISION, picture[0], NULL, BLIP2_POOL_NONE),
                                embed_of(BLIP2_VISION, picture[1], NULL, BLIP2_POOL_NONE)};
    pair[1].reserved = item[1].reserved = 1;
    blip2_scores *r = must_match(s, pair, 2);
    blip2_features *f = must_embed(s, item, 2);
    assert_non_null(blip2_scores_at(r, 0));
    assert_non_null(blip2_features_at(f, 0));
    expect_no_score(r, 1, BLIP2_USAGE, "pair: expected the fields of this version, got newer ones");
    expect_no_feature(f, 1, BLIP2_USAGE,
                      "item: expected the fields of this version, got newer ones");
    blip2_scores_free(r);
    blip2_features_free(f);
    pair[1].size = item[1].size = 24;
    r = must_match(s, pair, 2);
    f = must_embed(s, item, 2);
    assert_non_null(blip2_scores_at(r, 0));
    assert_non_null(blip2_features_at(f, 0));
    expect_no_score(r, 1, BLIP2_USAGE, "pair: size: expected that of the first, 32, got 24");
    expect_no_feature(f, 1, BLIP2_USAGE, "item: size: expected that of the first, 40, got 24");
    blip2_scores_free(r);
    blip2_features_free(f);
    for (int i = 0; i < NO_SIZES; i++) {
        char message[128];
        pair[0].size = item[0].size = NO_SIZE[i];
        snprintf(message, sizeof message, "pair: size: expected that of the struct, got %zu",
                 NO_SIZE[i]);
        no_scores(s, pair, 2, message);
        memcpy(message, "item", 4);
        no_features(s, item, 2, message);
    }
    blip2_session_free(s);
    blip2_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_language_values),
        cmocka_unit_test(test_pairs_together),
        cmocka_unit_test(test_features_together),
        cmocka_unit_test(test_encoded_once),
        cmocka_unit_test(test_amid_a_batch),
        cmocka_unit_test(test_bad_pairs),
        cmocka_unit_test(test_bad_embed_items),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_picture_notice),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_models_without),
        cmocka_unit_test(test_from_callback),
        cmocka_unit_test(test_other_sizes),
        cmocka_unit_test(test_bad_structs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
