/* The public API on the embedded model: what results depend on and what they do not, what the
 * callback hears, prompts and dialogues, options and arguments that make no sense. */
#include <math.h>

#include "api/api.h"
#include "test_api.h"
#include "text/tokenizer.h"

static Sample sample[SAMPLES];
static blip2_image *images[SAMPLES];
static blip2_model *model;
static blip2_session *session;

static const blip2_item CAPTION = {.size = sizeof(blip2_item), .task = BLIP2_CAPTION};

static int setup(void **state)
{
    open_samples(sample);
    for (int i = 0; i < SAMPLES; i++)
        images[i] = sample[i].image;
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

static blip2_options greedy(void)
{
    return blip2_options_default(model, BLIP2_CAPTION, BLIP2_HF);
}

/* --- what a result does not depend on ------------------------------------------------------------ */

static void test_batch_is_alone(void **state)
{
    blip2_result *all = ask_all(session, images, SAMPLES, &CAPTION);
    blip2_session *fresh = open_session(model, 1, NULL); /* that has not encoded them yet */
    for (int i = 0; i < SAMPLES; i++) {
        blip2_result *one = ask_all(fresh, &images[i], 1, &CAPTION);
        assert_same(all, (size_t)i, one, 0);
        blip2_result_free(one);
    }
    blip2_session_free(fresh);
    blip2_result_free(all);
}

static void test_order_and_repeats(void **state)
{
    blip2_image *list[] = {images[4], images[1], images[4], images[0]};
    blip2_session *fresh = open_session(model, 1, NULL);
    blip2_result *r = ask_all(fresh, list, 4, &CAPTION);
    blip2_result *plain = ask_all(session, images, 5, &CAPTION);
    assert_same(r, 0, plain, 4);
    assert_same(r, 1, plain, 1);
    assert_same(r, 2, plain, 4);
    assert_same(r, 3, plain, 0);
    assert_true(blip2_result_timings(r, 0)->encode > 0);
    assert_true(blip2_result_timings(r, 2)->encode == 0); /* the same picture, encoded once */
    blip2_result_free(plain);
    blip2_result_free(r);
    blip2_session_free(fresh);
}

static void test_thread_counts(void **state)
{
    blip2_session *two = open_session(model, 2, NULL);
    blip2_result *a = ask_all(two, images, 6, &CAPTION);
    blip2_result *b = ask_all(session, images, 6, &CAPTION);
    for (size_t i = 0; i < 6; i++)
        assert_same(a, i, b, i);
    blip2_result_free(a);
    blip2_result_free(b);
    blip2_session_free(two);
}

/* More pictures than a session remembers: the oldest are encoded again, and come out the same. */
static void test_many_pictures(void **state)
{
    enum { MANY = 40 };
    blip2_image *many[MANY];
    blip2_error err = {0};
    uint8_t pixels[8 * 8 * 3];
    for (int i = 0; i < MANY; i++) {
        memset(pixels, 6 * i, sizeof pixels);
        many[i] = blip2_image_from_pixels(pixels, 8, 8, 3, &err);
        assert_non_null(many[i]);
    }
    blip2_options o = greedy();
    o.max_new_tokens = 4;
    blip2_item r = ITEM(.task = BLIP2_CAPTION, .options = &o);
    blip2_result *first = ask_all(session, many, MANY, &r);
    blip2_result *again = ask_all(session, many, MANY, &r);
    assert_true(blip2_result_timings(again, 0)->encode > 0); /* 0 to 7 were forgotten */
    for (size_t i = 0; i < MANY; i++)
        assert_same(first, i, again, i);
    /* 8 is now the oldest that is remembered; the new ones beside it must not push it out */
    blip2_image *mixed[] = {many[8], many[0], many[1], many[2], many[3], many[4], many[5], many[6]};
    blip2_result *kept = ask_all(session, mixed, 8, &r);
    assert_true(blip2_result_timings(kept, 0)->encode == 0);
    assert_true(blip2_result_timings(kept, 1)->encode > 0);
    assert_same(kept, 0, first, 8);
    assert_same(kept, 7, first, 6);
    blip2_result_free(kept);
    blip2_result_free(first);
    blip2_result_free(again);
    for (int i = 0; i < MANY; i++)
        blip2_image_free(many[i]);
}

static void test_remembered_and_timings(void **state)
{
    blip2_session *fresh = open_session(model, 1, NULL);
    blip2_result *a = ask_all(fresh, images, 2, &CAPTION);
    blip2_result *b = ask_all(fresh, images, 2, &CAPTION);
    for (size_t i = 0; i < 2; i++) {
        blip2_timings t = *blip2_result_timings(a, i), u = *blip2_result_timings(b, i);
        assert_true(t.decode_image > 0 && t.preprocess > 0 && t.encode > 0 && t.qformer > 0);
        assert_true(t.prefill > 0 && t.decode > 0);
        double sum = t.decode_image + t.preprocess + t.encode + t.qformer + t.prefill + t.decode;
        assert_true(fabs(t.total - sum) <= 1e-9 * sum);
        assert_true(u.preprocess == 0 && u.encode == 0 && u.qformer == 0);
        assert_same(a, i, b, i);
    }
    blip2_result_free(a);
    blip2_result_free(b);
    blip2_session_free(fresh);
}

/* Questions about a picture that is remembered leave nothing behind in the session. */
static void test_many_questions(void **state)
{
    size_t used = session->engine.encoder.c.mem.used;
    for (int i = 0; i < 3; i++) {
        blip2_result_free(ask_all(session, images, 1, &CAPTION));
        if (i == 0)
            used = session->engine.encoder.c.mem.used;
    }
    assert_int_equal(session->engine.encoder.c.mem.used, used);
}

/* --- pictures ------------------------------------------------------------------------------------ */

static void test_from_memory(void **state)
{
    static char bytes[1 << 20];
    blip2_error err = {0};
    FILE *f = fopen(SCENES "/samples/scene002.png", "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    blip2_image *image = blip2_image_from_memory(bytes, n, &err);
    assert_non_null(image);
    blip2_result *r = ask_all(session, &image, 1, &CAPTION);
    assert_string_equal(blip2_result_text(r, 0), sample[2].caption);
    blip2_result_free(r);
    blip2_image_free(image);
    assert_null(blip2_image_from_memory(bytes, n / 2, &err));
    assert_int_equal(err.code, BLIP2_FAILED);
    assert_non_null(strstr(err.message, "picture in memory"));
}

/* The same grey picture with 1, 3 and 4 channels is one picture; alpha is laid over white. */
static void test_from_pixels(void **state)
{
    enum { W = 40, H = 30, N = W * H };
    static uint8_t grey[N], rgb[3 * N], rgba[4 * N], clear[4 * N];
    for (int i = 0; i < N; i++) {
        grey[i] = (uint8_t)(i * 7);
        memset(rgb + 3 * i, grey[i], 3);
        memset(rgba + 4 * i, grey[i], 3);
        rgba[4 * i + 3] = 255;
    }
    const struct {
        const uint8_t *pixels;
        int channels;
    } kinds[] = {{grey, 1}, {rgb, 3}, {rgba, 4}, {clear, 4}};
    blip2_image *image[4];
    blip2_error err = {0};
    for (int i = 0; i < 4; i++) {
        image[i] = blip2_image_from_pixels(kinds[i].pixels, W, H, kinds[i].channels, &err);
        assert_non_null(image[i]);
        assert_int_equal(blip2_image_width(image[i]), W);
        assert_int_equal(blip2_image_height(image[i]), H);
    }
    blip2_result *r = ask_all(session, image, 4, &CAPTION);
    assert_same(r, 1, r, 0);
    assert_same(r, 2, r, 0);
    memset(rgb, 255, sizeof rgb);
    blip2_image *white = blip2_image_from_pixels(rgb, W, H, 3, &err);
    blip2_result *w = ask_all(session, &white, 1, &CAPTION);
    assert_same(r, 3, w, 0);
    blip2_result_free(w);
    blip2_result_free(r);
    blip2_image_free(white);
    for (int i = 0; i < 4; i++)
        blip2_image_free(image[i]);
}

static void expect_no_pixels(int w, int h, int channels, blip2_error_code code)
{
    static const uint8_t pixels[64];
    blip2_error err = {0};
    assert_null(blip2_image_from_pixels(pixels, w, h, channels, &err));
    assert_int_equal(err.code, code);
    assert_true(err.message[0] != 0);
}

static void test_bad_pixels(void **state)
{
    expect_no_pixels(2, 2, 2, BLIP2_USAGE);
    expect_no_pixels(2, 2, 0, BLIP2_USAGE);
    expect_no_pixels(0, 2, 3, BLIP2_FAILED);
    expect_no_pixels(-1, 2, 3, BLIP2_USAGE);
    expect_no_pixels(1 << 30, 1 << 30, 4, BLIP2_FAILED);
}

static void test_missing_pictures(void **state)
{
    blip2_image *list[] = {NULL, images[3], NULL};
    blip2_result *r = ask_all(session, list, 3, &CAPTION);
    assert_int_equal(blip2_result_error(r, 0)->code, BLIP2_FAILED);
    assert_null(blip2_result_text(r, 0));
    assert_int_equal(blip2_result_count(r, 0), 0);
    assert_int_equal(blip2_result_error(r, 1)->code, BLIP2_OK);
    assert_string_equal(blip2_result_text(r, 1), sample[3].caption);
    assert_string_equal(blip2_result_error(r, 2)->message, "picture: expected one, got NULL");
    assert_null(blip2_result_text(r, 3)); /* beyond the end */
    assert_int_equal(blip2_result_error(r, 3)->code, BLIP2_OK);
    assert_true(blip2_result_timings(r, 3)->total == 0);
    assert_null(blip2_result_candidate(r, 1, 1));
    blip2_result_free(r);
    r = must_generate(session, NULL, 0);
    assert_null(blip2_result_text(r, 0));
    blip2_result_free(r);
}

/* --- on_token ------------------------------------------------------------------------------------ */

static void check_heard(const blip2_options *o, blip2_task task, const char *text, size_t n)
{
    static Heard h;
    h = (Heard){0};
    blip2_item item = ITEM(.task = task, .options = o, .text = text, .on_token = hear, .user = &h);
    blip2_result *r = ask_all(session, images, n, &item);
    for (size_t i = 0; i < n; i++)
        assert_heard(&h, r, i);
    blip2_result_free(r);
}

static void test_tokens_are_the_text(void **state)
{
    blip2_options o = greedy();
    check_heard(&o, BLIP2_CAPTION, NULL, SAMPLES);
    check_heard(NULL, BLIP2_CAPTION, NULL, SAMPLES);
    check_heard(NULL, BLIP2_ASK, sample[0].question[0], 3);
    o.max_new_tokens = 3; /* cut in the middle: the last text still comes */
    check_heard(&o, BLIP2_CAPTION, NULL, 3);
    o = greedy();
    o.sample = true;
    o.temperature = 100; /* broken characters, spaces, quotes */
    o.max_new_tokens = 200;
    o.top_k = 0;
    for (o.seed = 1; o.seed <= 8; o.seed++)
        check_heard(&o, BLIP2_CAPTION, NULL, 2);
    o.library = BLIP2_LAVIS;
    for (o.seed = 1; o.seed <= 8; o.seed++)
        check_heard(&o, BLIP2_CAPTION, NULL, 2);
}

/* Only ids of which the clean-up's patterns are made: what was said must not have to be taken back. */
static void test_tokens_and_clean_up(void **state)
{
    static const char *const PARTS[] = {" ", "'", "s", "n", "t", "."};
    bool allowed[1024] = {0};
    int banned[1024];
    blip2_error err = {0};
    blip2_tokenizer *t = blip2_tokenizer_load(SCENES, &err);
    assert_non_null(t);
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        size_t n;
        int *ids;
        assert_true(blip2_tokenizer_encode(t, PARTS[i], strlen(PARTS[i]), &ids, &n, &err));
        assert_int_equal(n, 2); /* behind the start id */
        allowed[ids[1]] = true;
        blip2_debug_free(ids);
    }
    blip2_tokenizer_free(t);
    blip2_options o = greedy();
    o.library = BLIP2_LAVIS;
    o.sample = true;
    o.temperature = 1000;
    o.top_k = 0;
    o.max_new_tokens = o.min_new_tokens = 100;
    o.banned = banned;
    for (int id = 0; id < blip2_model_info(model)->vocabulary; id++)
        if (!allowed[id])
            banned[o.banned_count++] = id;
    for (o.seed = 1; o.seed <= 20; o.seed++)
        check_heard(&o, BLIP2_CAPTION, NULL, 1);
}

/* Found by hand from the ten replacements of transformers' clean_up_tokenization. */
static void test_settled_text(void **state)
{
    static const struct {
        const char *text;
        size_t settled;
    } cases[] = {{"a dog", 5}, {"a dog ", 5}, {"a dog '", 5}, {"a dog 'r", 5}, {"a dog 'x", 8},
                 {"is n", 2},  {"is n'", 2},  {"is n't", 6},  {" ", 0},        {"", 0},
                 {"a ' '", 1}, {"a .", 3},    {"a  ", 1},     {"an", 2},       {"'", 1},
                 {"a 's", 4},  {"the 'v", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(text_settled(cases[i].text, strlen(cases[i].text)), cases[i].settled);
}

static void test_stop(void **state)
{
    static Heard h;
    blip2_options o = greedy();
    for (int beams = 1; beams <= 3; beams += 2) {
        o.num_beams = beams;
        h = (Heard){.stop_at = 3};
        blip2_item item = ITEM(.task = BLIP2_CAPTION, .options = &o, .on_token = hear, .user = &h);
        blip2_result *r = ask_all(session, images, 1, &item);
        assert_int_equal(h.calls, 3);
        assert_int_equal(blip2_result_error(r, 0)->code, BLIP2_STOPPED);
        const blip2_candidate *best = blip2_result_candidate(r, 0, 0);
        assert_memory_equal(h.of[0].id, best->ids, 3 * sizeof(int));
        assert_memory_equal(h.of[0].text, best->text, strlen(h.of[0].text));
        if (beams == 1) { /* only what had come */
            assert_int_equal(best->id_count, 3);
            assert_memory_equal(best->text, sample[0].caption, strlen(best->text));
        } else { /* beams are told at the end: all is there */
            assert_string_equal(best->text, sample[0].caption);
        }
        blip2_result_free(r);
    }
}

/* Items that are stopped after two ids, among others that go on. */
static void test_stop_in_batch(void **state)
{
    enum { N = 10 };
    static Heard stopped, heard;
    blip2_options o = greedy();
    stopped = (Heard){.stop_at = 2};
    heard = (Heard){0};
    blip2_item what = ITEM(.task = BLIP2_CAPTION, .options = &o, .on_token = hear, .user = &heard);
    blip2_item *item = same_of(images, N, &what);
    for (size_t i = 0; i < N; i += 3)
        item[i].user = &stopped;
    blip2_result *r = must_generate(session, item, N);
    for (size_t i = 0; i < N; i++) {
        assert_heard(i % 3 ? &heard : &stopped, r, i);
        assert_int_equal(blip2_result_error(r, i)->code, i % 3 ? BLIP2_OK : BLIP2_STOPPED);
        if (i % 3)
            assert_string_equal(blip2_result_text(r, i), sample[i].caption);
        else
            assert_int_equal(blip2_result_candidate(r, i, 0)->id_count, 2);
    }
    blip2_result_free(r);
    free(item);
}

/* A false that comes with the last id stops nothing; one before it does. */
static void test_stop_at_the_end(void **state)
{
    static Heard h;
    blip2_options o = greedy();
    for (o.max_new_tokens = 0; o.max_new_tokens <= 3; o.max_new_tokens += 3) {
        blip2_item item = ITEM(.task = BLIP2_CAPTION, .options = &o);
        blip2_result *r = ask_all(session, images, 1, &item);
        h = (Heard){.stop_at = blip2_result_candidate(r, 0, 0)->id_count};
        item.on_token = hear;
        item.user = &h;
        blip2_result *same = ask_all(session, images, 1, &item);
        assert_int_equal(h.calls, h.stop_at);
        assert_same(same, 0, r, 0);
        h = (Heard){.stop_at = h.stop_at - 1};
        blip2_result *less = ask_all(session, images, 1, &item);
        assert_int_equal(blip2_result_error(less, 0)->code, BLIP2_STOPPED);
        assert_heard(&h, less, 0);
        blip2_result_free(less);
        blip2_result_free(same);
        blip2_result_free(r);
    }
}

/* With several beams as well: all their texts are whole by then. With several samples the first one's
 * last id is not the last: those that go on are cut. */
static void test_stop_of_several(void **state)
{
    static Heard h;
    int cut = 0;
    blip2_options o = greedy();
    o.num_captions = 3;
    o.temperature = 2;
    for (o.seed = 1; o.seed <= 12; o.seed++) {
        o.sample = o.seed % 4 != 0;
        o.num_beams = o.sample ? 1 : 3;
        blip2_item item = ITEM(.task = BLIP2_CAPTION, .options = &o);
        blip2_result *r = ask_all(session, images, 1, &item);
        size_t first = blip2_result_candidate(r, 0, 0)->id_count, most = 0;
        for (size_t k = 1; k < 3; k++) {
            size_t n = blip2_result_candidate(r, 0, k)->id_count;
            most = n > most ? n : most;
        }
        h = (Heard){.stop_at = first};
        item.on_token = hear;
        item.user = &h;
        blip2_result *stopped = ask_all(session, images, 1, &item);
        if (!o.sample) {
            assert_same(stopped, 0, r, 0);
        } else if (most > first) {
            assert_int_equal(blip2_result_error(stopped, 0)->code, BLIP2_STOPPED);
            assert_heard(&h, stopped, 0);
            cut++;
        }
        blip2_result_free(stopped);
        blip2_result_free(r);
    }
    assert_true(cut > 0);
}

/* --- several captions, sampling -------------------------------------------------------------------- */

static void test_captions(void **state)
{
    blip2_options o = blip2_options_default(model, BLIP2_CAPTION, BLIP2_LAVIS);
    o.num_captions = 5;
    blip2_item item = ITEM(.task = BLIP2_CAPTION, .options = &o);
    blip2_result *r = ask_all(session, images, 2, &item);
    assert_int_equal(blip2_result_count(r, 1), 5);
    for (size_t i = 1; i < 5; i++)
        assert_true(blip2_result_candidate(r, 1, i)->score <=
                    blip2_result_candidate(r, 1, i - 1)->score);
    assert_string_equal(blip2_result_text(r, 1), sample[1].caption);
    blip2_result_free(r);
    o.sample = true;
    o.num_beams = 1;
    o.num_captions = 3;
    o.seed = 7;
    r = ask_all(session, images, 9, &item);
    blip2_result *alone = ask_all(session, images + 8, 1, &item);
    assert_same(r, 8, alone, 0);
    blip2_result_free(alone);
    blip2_result_free(r);
}

/* --- prompts -------------------------------------------------------------------------------------- */

static blip2_result *ask(blip2_item item, blip2_library library)
{
    blip2_options o = blip2_options_default(model, item.task, library);
    item.options = &o;
    return ask_all(session, images, 1, &item);
}

static void expect_notice(blip2_item item, blip2_library library, const char *part)
{
    blip2_result *r = ask(item, library);
    const char *notice = blip2_result_notice(r, 0);
    assert_int_equal(blip2_result_error(r, 0)->code, BLIP2_OK);
    if (part && (!notice || !strstr(notice, part)))
        fail_msg("expected a notice with \"%s\", got \"%s\"", part, notice ? notice : "none");
    if (!part)
        assert_null(notice);
    blip2_result_free(r);
}

/* The item alone has this error, and blip2_check says the same without the picture. */
static void expect_item_error(blip2_item item, blip2_error_code code, const char *part)
{
    blip2_item two[] = {item, CAPTION};
    blip2_error checked = {0};
    two[0].image = images[0];
    two[1].image = images[1];
    blip2_result *r = must_generate(session, two, 2);
    const blip2_error *e = blip2_result_error(r, 0);
    if (e->code != code || !strstr(e->message, part))
        fail_msg("expected %d \"%s\", got %d \"%s\"", code, part, e->code, e->message);
    assert_null(blip2_result_text(r, 0));
    assert_int_equal(blip2_result_count(r, 0), 0);
    assert_string_equal(blip2_result_text(r, 1), sample[1].caption);
    item.image = NULL;
    assert_false(blip2_check(session, &item, &checked));
    assert_int_equal(checked.code, e->code);
    assert_string_equal(checked.message, e->message);
    assert_false(blip2_check(session, &item, NULL));
    blip2_result_free(r);
}

static void expect_error(blip2_item item, blip2_library library, blip2_error_code code,
                         const char *part)
{
    blip2_options o = blip2_options_default(model, item.task, library);
    item.options = &o;
    expect_item_error(item, code, part);
}

static const char LONG[] =
    "is there a dog to the left of a red car and a cat above a green boat and a "
    "train below a yellow banana on a white background in the picture?";

static void test_cut(void **state)
{
    blip2_item question = ITEM(.task = BLIP2_ASK, .text = LONG);
    blip2_item prompt = ITEM(.task = BLIP2_CAPTION, .prompt = LONG);
    blip2_item chat = ITEM(.task = BLIP2_CHAT, .text = LONG);
    expect_notice(question, BLIP2_LAVIS, "cut to 32 of");
    expect_notice(prompt, BLIP2_LAVIS, "cut to 32 of");
    expect_notice(chat, BLIP2_LAVIS, NULL);
    expect_notice(question, BLIP2_HF, NULL);
    expect_notice(prompt, BLIP2_HF, NULL);
    expect_notice(CAPTION, BLIP2_LAVIS, NULL);
}

static void test_huge_question(void **state)
{
    enum { SIZE = 100 * 1000 };
    char *text = malloc(SIZE + 1);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = "what is in it "[i % 14];
    text[SIZE] = 0;
    expect_notice(ITEM(.task = BLIP2_ASK, .text = text), BLIP2_LAVIS, "cut to 32 of");
    expect_error(ITEM(.task = BLIP2_ASK, .text = text), BLIP2_HF, BLIP2_FAILED,
                 "expected at most 240 tokens beside the image");
    expect_error(ITEM(.task = BLIP2_CHAT, .text = text), BLIP2_LAVIS, BLIP2_FAILED,
                 "tokens beside the image");
    char *holes = malloc(2 * 1000 + 1); /* a hundred megabytes, if it were filled in */
    for (size_t i = 0; i < 2000; i++)
        holes[i] = "{}"[i % 2];
    holes[2000] = 0;
    expect_error(ITEM(.task = BLIP2_ASK, .text = text, .prompt = holes), BLIP2_LAVIS, BLIP2_FAILED,
                 "bytes");
    free(holes);
    free(text);
}

/* A template written out is the template filled in. */
static void test_raw_prompt(void **state)
{
    char text[256];
    const char *q = sample[1].question[0];
    snprintf(text, sizeof text, "Question: %s Answer:", q);
    blip2_result *plain = ask(ITEM(.task = BLIP2_ASK, .text = q), BLIP2_LAVIS);
    blip2_result *raw =
        ask(ITEM(.task = BLIP2_ASK, .prompt = text, .raw_prompt = true), BLIP2_LAVIS);
    assert_non_null(blip2_result_text(plain, 0));
    assert_same(plain, 0, raw, 0);
    blip2_result_free(plain);
    blip2_result_free(raw);
}

static void test_bad_texts(void **state)
{
    expect_error(ITEM(.task = BLIP2_ASK, .text = "what \xff is it?"), BLIP2_LAVIS, BLIP2_USAGE,
                 "UTF-8");
    expect_error(ITEM(.task = BLIP2_ASK), BLIP2_LAVIS, BLIP2_USAGE, "question");
    expect_error(ITEM(.task = BLIP2_CHAT), BLIP2_HF, BLIP2_USAGE, "question");
    expect_error(ITEM(.task = BLIP2_ASK, .text = "q", .prompt = "no hole"), BLIP2_LAVIS,
                 BLIP2_USAGE, "{}");
    expect_error(ITEM(.task = (blip2_task)7), BLIP2_LAVIS, BLIP2_USAGE, "task");
    expect_error(ITEM(.task = BLIP2_CHAT, .text = "q", .turn_count = 1), BLIP2_LAVIS, BLIP2_USAGE,
                 "dialogue");
    expect_error(ITEM(.task = BLIP2_CHAT, .text = "q", .turns = &(blip2_turn){"what is it?", NULL},
                      .turn_count = 1),
                 BLIP2_LAVIS, BLIP2_USAGE, "round 0");
    /* The byte as the caller counts, whatever stands around it in the prompt. */
    const blip2_turn turns[] = {{"q", "a"}, {"q", "an \xc3("}};
    expect_error(ITEM(.task = BLIP2_ASK, .text = "what \xff is it?"), BLIP2_LAVIS, BLIP2_USAGE,
                 "question: byte 5: expected UTF-8, got 0xff");
    expect_error(ITEM(.task = BLIP2_ASK, .text = "q", .prompt = "{} {} \xe2\x82"), BLIP2_LAVIS,
                 BLIP2_USAGE, "prompt: byte 6: expected UTF-8, got 0xe2");
    expect_error(ITEM(.task = BLIP2_CHAT, .text = "q", .turns = turns, .turn_count = 2),
                 BLIP2_LAVIS, BLIP2_USAGE,
                 "dialogue: round 1: answer: byte 3: expected UTF-8, got 0xc3");
}

/* As many of the newest rounds stay as fit: one more would not. Judged by a dialogue of just those,
 * which must give the same ids and no notice. */
static void test_dialogue(void **state)
{
    enum { ROUNDS = 3000 };
    blip2_turn *turns = calloc(ROUNDS, sizeof *turns);
    size_t dropped, all;
    for (size_t i = 0; i < ROUNDS; i++)
        turns[i] = (blip2_turn){i % 2 ? "what is it?" : "is there a dog in the picture?", "no"};
    blip2_item chat = ITEM(.task = BLIP2_CHAT, .text = sample[1].question[0], .turns = turns,
                           .turn_count = ROUNDS);
    blip2_result *r = ask(chat, BLIP2_LAVIS);
    assert_non_null(blip2_result_notice(r, 0));
    assert_int_equal(
        sscanf(blip2_result_notice(r, 0), "dialogue: the oldest %zu of %zu rounds", &dropped, &all),
        2);
    assert_int_equal(all, ROUNDS);
    assert_in_range(dropped, ROUNDS - 30, ROUNDS - 1);
    chat.turns = turns + dropped;
    chat.turn_count = ROUNDS - dropped;
    blip2_result *same = ask(chat, BLIP2_LAVIS);
    assert_null(blip2_result_notice(same, 0));
    assert_same_texts(r, 0, same, 0);
    chat.turns--;
    chat.turn_count++;
    expect_notice(chat, BLIP2_LAVIS, "the oldest 1 of");
    blip2_result_free(same);
    blip2_result_free(r);
    free(turns);
}

/* How many ids the dialogue is, put together by hand. */
static size_t chat_ids(blip2_tokenizer *t, const blip2_turn *turns, size_t n, const char *question)
{
    StrBuf text = {0};
    blip2_error err = {0};
    size_t count;
    int *ids;
    for (size_t i = 0; i < n; i++)
        strbuf_printf(&text, "Question: %s Answer: %s. ", turns[i].question, turns[i].answer);
    strbuf_printf(&text, "Question: %s Answer:", question);
    assert_true(blip2_tokenizer_encode(t, strbuf_cstr(&text), text.len, &ids, &count, &err));
    blip2_debug_free(ids);
    strbuf_free(&text);
    return count;
}

/* As many rounds stay as leave room for the answer that is asked for, but never more than half of all. */
static void test_dialogue_room(void **state)
{
    enum { ROUNDS = 400 };
    static const int ANSWER[] = {10, 1 << 20};
    static const char LAST[] = "what is on the left?";
    static blip2_turn turns[ROUNDS];
    const blip2_info *info = blip2_model_info(model);
    size_t all = (size_t)(info->positions - info->query_tokens), dropped;
    blip2_error err = {0};
    blip2_tokenizer *t = blip2_tokenizer_load(SCENES, &err);
    assert_non_null(t);
    for (size_t i = 0; i < ROUNDS; i++)
        turns[i] = (blip2_turn){i % 2 ? "what is it?" : "is there a dog in the picture?", "no"};
    for (int i = 0; i < 2; i++) {
        blip2_options o = greedy();
        o.max_new_tokens = ANSWER[i];
        blip2_item chat = ITEM(.task = BLIP2_CHAT, .text = LAST, .turns = turns,
                               .turn_count = ROUNDS, .options = &o);
        blip2_result *r = ask_all(session, images, 1, &chat);
        assert_int_equal(sscanf(blip2_result_notice(r, 0), "dialogue: the oldest %zu", &dropped),
                         1);
        size_t room = i ? all - all / 2 : all - 10;
        assert_in_range(dropped, 1, ROUNDS - 1);
        assert_true(chat_ids(t, turns + dropped, ROUNDS - dropped, LAST) <= room);
        assert_true(chat_ids(t, turns + dropped - 1, ROUNDS - dropped + 1, LAST) > room);
        blip2_result_free(r);
    }
    blip2_tokenizer_free(t);
}

/* Ids that do not fit are named as such. */
static void test_too_many_ids(void **state)
{
    enum { IDS = 241 };
    static int ids[IDS];
    blip2_error err = {0};
    blip2_options o = blip2_debug_options(BLIP2_HF);
    blip2_debug_run run = {
        .image = images[0], .ids = ids, .id_count = IDS, .generate = true, .options = &o};
    blip2_debug_output out;
    assert_false(blip2_debug_forward(session, &run, &out, &err));
    assert_int_equal(err.code, BLIP2_FAILED);
    assert_string_equal(err.message,
                        "prompt: expected at most 240 tokens beside the image, got 241");
    blip2_debug_output_free(&out);
}

/* --- options -------------------------------------------------------------------------------------- */

static void refuse(blip2_options o, const char *part)
{
    expect_item_error(ITEM(.task = BLIP2_CAPTION, .options = &o), BLIP2_USAGE, part);
}

#define REFUSE(part, ...)                                                           \
    do {                                                                            \
        blip2_options o = blip2_options_default(model, BLIP2_CAPTION, BLIP2_LAVIS); \
        __VA_ARGS__;                                                                \
        refuse(o, part);                                                            \
    } while (0)

static void test_bad_options(void **state)
{
    REFUSE("beams", o.num_beams = 0);
    REFUSE("beams", o.num_beams = -3);
    REFUSE("beams", o.num_beams = INT32_MAX);
    REFUSE("captions", o.num_captions = 0);
    REFUSE("captions", o.num_captions = -1);
    REFUSE("captions", o.num_captions = 6);
    REFUSE("captions", o.num_captions = 1000000);
    REFUSE("captions", o.num_captions = 1000000, o.sample = true, o.num_beams = 1);
    REFUSE("captions", o.num_captions = 2, o.num_beams = 1);
    REFUSE("max length", o.max_length = -1);
    REFUSE("max new tokens", o.max_new_tokens = -1);
    REFUSE("min length", o.min_length = -1);
    REFUSE("min new tokens", o.min_new_tokens = INT32_MIN);
    REFUSE("n-gram", o.no_repeat_ngram = -1);
    REFUSE("length penalty", o.length_penalty = NAN);
    REFUSE("length penalty", o.length_penalty = INFINITY);
    REFUSE("repetition penalty", o.repetition_penalty = 0);
    REFUSE("repetition penalty", o.repetition_penalty = NAN);
    REFUSE("top-p", o.sample = true, o.top_p = 1.5);
    REFUSE("top-p", o.sample = true, o.top_p = NAN);
    REFUSE("top-k", o.sample = true, o.top_k = -1);
    REFUSE("temperature", o.sample = true, o.temperature = 0);
    REFUSE("temperature", o.sample = true, o.temperature = -INFINITY);
    REFUSE("library", o.library = (blip2_library)9);
    REFUSE("early_stopping", o.early_stopping = (blip2_early)-1);
    const int beyond[] = {5, 1 << 20}, below[] = {-5};
    REFUSE("banned ids: expected 0 to ", o.banned = beyond, o.banned_count = 2);
    REFUSE(", got 1048576", o.banned = beyond, o.banned_count = 2);
    REFUSE(", got -5", o.banned = below, o.banned_count = 1);
    REFUSE("temperature: expected 1e-6 to 1e6, got 1e-38", o.sample = true, o.temperature = 1e-38);
    REFUSE("max length: expected more than the 1 ids", o.max_length = 1);
    REFUSE("banned: expected 3 ids, got NULL", o.banned_count = 3);
    REFUSE("banned: expected at most", o.banned_count = (size_t)INT32_MAX + 1);
}

/* Odd but meaningful: the model's positions are the limit. */
static void test_extreme_options(void **state)
{
    blip2_options o = greedy();
    o.max_new_tokens = INT32_MAX;
    o.min_new_tokens = INT32_MAX; /* the end id stays forbidden: only positions end it */
    blip2_item item = ITEM(.task = BLIP2_CAPTION, .options = &o);
    blip2_result *r = ask_all(session, images, 1, &item);
    assert_int_equal(blip2_result_candidate(r, 0, 0)->id_count, 256 - 16 - 1 + 1);
    blip2_result_free(r);
    o = blip2_options_default(model, BLIP2_CAPTION, BLIP2_LAVIS);
    o.max_length = o.max_new_tokens = INT32_MAX;
    o.num_beams = 2;
    r = ask_all(session, images, 1, &item);
    assert_string_equal(blip2_result_text(r, 0), sample[0].caption);
    blip2_result_free(r);
}

static void test_length_behind_prompt(void **state)
{
    blip2_options o = greedy();
    o.max_length = 10; /* transformers counts the 16 picture tokens and the prompt */
    expect_item_error(ITEM(.task = BLIP2_CAPTION, .options = &o), BLIP2_USAGE, "max length");
}

/* --- NULL ------------------------------------------------------------------------------------------ */

/* A chain of calls whose first fails: no crash, and the first error is the one that stays. */
static void test_chain(void **state)
{
    blip2_error err = {0};
    blip2_model *m = blip2_model_load("/nowhere/at/all", NULL, &err);
    blip2_session *s = blip2_session_new(m, NULL, &err);
    blip2_image *image = blip2_image_from_file("/nowhere.jpg", &err);
    blip2_item item = ITEM(.image = image);
    blip2_result *r = blip2_generate(s, &item, 1, &err);
    assert_null(blip2_result_text(r, 0));
    assert_int_equal(err.code, BLIP2_NO_MODEL);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    assert_int_equal(blip2_result_error(r, 0)->code, BLIP2_OK);
    assert_int_equal(blip2_result_count(r, 0), 0);
    assert_null(blip2_result_notice(r, 0));
    assert_null(blip2_model_info(m));
    assert_int_equal(blip2_image_width(image) + blip2_image_height(image), 0);
    blip2_result_free(r);
    blip2_image_free(image);
    blip2_session_free(s);
    blip2_model_free(m);
}

static void test_null(void **state)
{
    blip2_error err = {0};
    blip2_item item = ITEM(.image = images[0]);
    assert_null(blip2_session_new(NULL, NULL, &err));
    assert_int_equal(err.code, BLIP2_USAGE);
    assert_null(blip2_generate(NULL, &item, 1, NULL));
    assert_null(blip2_generate(session, NULL, 1, NULL));
    assert_false(blip2_check(NULL, &item, NULL));
    assert_false(blip2_check(session, NULL, NULL));
    assert_null(blip2_image_from_file(NULL, NULL));
    assert_null(blip2_image_from_memory(NULL, 5, NULL));
    assert_null(blip2_image_from_pixels(NULL, 1, 1, 3, NULL));
    assert_int_equal(blip2_options_default(NULL, BLIP2_ASK, BLIP2_LAVIS).num_beams, 5);
    assert_int_equal(blip2_options_default(NULL, BLIP2_ASK, BLIP2_HF).num_beams, 1);
}

/* What is asked of an object that is not there: an empty answer. */
static void test_empty_answers(void **state)
{
    assert_null(blip2_result_text(NULL, 0));
    assert_null(blip2_result_notice(NULL, 0));
    assert_int_equal(blip2_result_error(NULL, 0)->code, BLIP2_OK);
    assert_int_equal(blip2_result_count(NULL, 0), 0);
    assert_null(blip2_result_candidate(NULL, 0, 0));
    assert_true(blip2_result_timings(NULL, 0)->total == 0);
    assert_int_equal(blip2_image_width(NULL) + blip2_image_height(NULL), 0);
    assert_true(blip2_image_decode_ms(NULL) == 0);
    assert_null(blip2_model_info(NULL));
    assert_true(strlen(blip2_version()) > 0);
    blip2_result_free(NULL);
    blip2_session_free(NULL);
    blip2_image_free(NULL);
    blip2_model_free(NULL);
}

static void refuse_session(blip2_session_options o, const char *part)
{
    blip2_error err = {0};
    assert_null(blip2_session_new(model, &o, &err));
    assert_int_equal(err.code, BLIP2_USAGE);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\", got \"%s\"", part, err.message);
}

static void test_bad_sessions(void **state)
{
    const size_t size = sizeof(blip2_session_options);
    refuse_session((blip2_session_options){size, .threads = -1}, "threads");
    refuse_session((blip2_session_options){size, .threads = 1 << 30}, "threads");
    refuse_session((blip2_session_options){size, .isa = "abacus"}, "portable");
    refuse_session((blip2_session_options){size, .pictures = -2}, "pictures");
    refuse_session((blip2_session_options){size, .pictures = INT32_MAX}, "pictures");
    refuse_session((blip2_session_options){0, .threads = 1}, "size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_is_alone),
        cmocka_unit_test(test_order_and_repeats),
        cmocka_unit_test(test_thread_counts),
        cmocka_unit_test(test_many_pictures),
        cmocka_unit_test(test_remembered_and_timings),
        cmocka_unit_test(test_many_questions),
        cmocka_unit_test(test_from_memory),
        cmocka_unit_test(test_from_pixels),
        cmocka_unit_test(test_bad_pixels),
        cmocka_unit_test(test_missing_pictures),
        cmocka_unit_test(test_tokens_are_the_text),
        cmocka_unit_test(test_tokens_and_clean_up),
        cmocka_unit_test(test_settled_text),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_in_batch),
        cmocka_unit_test(test_stop_at_the_end),
        cmocka_unit_test(test_stop_of_several),
        cmocka_unit_test(test_captions),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_huge_question),
        cmocka_unit_test(test_raw_prompt),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_dialogue),
        cmocka_unit_test(test_dialogue_room),
        cmocka_unit_test(test_too_many_ids),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_extreme_options),
        cmocka_unit_test(test_length_behind_prompt),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_empty_answers),
        cmocka_unit_test(test_bad_sessions),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
