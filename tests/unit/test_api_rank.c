/* blip2_rank on every kind of language model: likelihoods against the logits of one teacher-forced pass, what a
 * rank depends on and what it does not, and what makes no sense. */
#include <math.h>

#include "api/api.h"
#include "cpu/cpu.h"
#include "test_api_match.h"
#include "text/tokenizer.h"

static const char *const MODELS[] = {"opt", "t5", "caption"};
enum { MODELS_COUNT = 3, PICTURES = 11 };

#define QUESTION "what is it"
#define PROMPT   "Question: what is it Answer:"

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

/* A question, or of the model that answers none a caption. */
static blip2_item ask(const char *model, blip2_image *image)
{
    bool caption = strcmp(model, "caption") == 0;
    return ITEM(.image = image, .task = caption ? BLIP2_CAPTION : BLIP2_ASK,
                .text = caption ? NULL : QUESTION);
}

/* --- choices ------------------------------------------------------------------------------------------ */

/* More than are walked together; many begin alike, some are the beginning of others, two are equal. */
enum { CHOICES = 45 };

static const char *const *choices_of(void)
{
    static const char *const FIRST[] = {"a", "a dog", "a cat", "cat", "dog of a"};
    static const char *const LAST[] = {"",           " and a dog", " of it", " and",  " a",
                                       " and a car", " it",        " cat",   " and a"};
    static char text[CHOICES][64];
    static const char *list[CHOICES];
    for (int i = 0; i < CHOICES; i++) {
        snprintf(text[i], sizeof text[i], "%s%s", FIRST[i % 5], LAST[i / 5]);
        list[i] = text[i];
    }
    list[CHOICES - 1] = list[7];
    return list;
}

/* Candidate of choice c. */
static const blip2_candidate *of_choice(const blip2_result *r, size_t i, size_t c)
{
    for (size_t k = 0; k < blip2_result_count(r, i); k++)
        if (blip2_result_candidate(r, i, k)->choice == c)
            return blip2_result_candidate(r, i, k);
    fail_msg("choice %zu is missing", c);
    return NULL;
}

/* --- likelihoods -------------------------------------------------------------------------------------- */

static double log_likelihood(const float *logits, int vocab, int id)
{
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < vocab; i++)
        most = fmax(most, (double)logits[i]);
    for (int i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - most);
    return (double)logits[id] - most - log(sum);
}

/* What the model is fed: the prompt, and the choice but for its last id. */
static void feed(const Engine *en, const Ids *prompt, const blip2_candidate *c, LmPrompt *p,
                 int fed[256])
{
    bool decoder = en->lm->start >= 0;
    int n = 0;
    for (size_t i = 0; !decoder && i < prompt->n; i++)
        fed[n++] = prompt->id[i];
    if (decoder)
        fed[n++] = en->lm->start;
    for (size_t i = 0; i + 1 < c->id_count; i++)
        fed[n++] = c->ids[i];
    p->ids = decoder ? prompt->id : fed;
    p->n = decoder ? (int)prompt->n : n;
    p->decoder = decoder ? fed : NULL;
    p->n_decoder = decoder ? n : 0;
}

/* The candidate's sum over the logits of one pass: row `first` of them foretells its first id. */
static double teacher_forced(blip2_session *s, blip2_image *image, const Ids *prompt,
                             const blip2_candidate *c)
{
    Engine *en = &s->engine;
    EncodeJob job = api_image_job(image, BLIP2_LAVIS);
    Error e = {0};
    int fed[256], vocab = en->lm->vocab;
    EncodedPart part = en->net->config.kind == MODEL_MATCHING ? ENCODED_VISION : ENCODED_EMBEDS;
    job.parts = 1u << part;
    encoder_encode(&en->encoder, &job, 1);
    assert_non_null(job.encoded);
    LmPrompt p = {.image_embeds = &job.encoded->part[part]};
    feed(en, prompt, c, &p, fed);
    Tensor *logits = en->lm->forward(en->lm, &p, &e);
    if (!logits)
        fail_msg("%s", e.message);
    float *v = malloc(sizeof *v * (size_t)logits->rows * (size_t)vocab);
    assert_true(tensor_download(en->lm->c, v, logits));
    int first = logits->rows - (int)c->id_count;
    double sum = 0;
    for (int i = 0; i < (int)c->id_count; i++)
        sum += log_likelihood(v + (size_t)(first + i) * (size_t)vocab, vocab, c->ids[i]);
    free(v);
    encoder_release(&en->encoder, job.encoded);
    return sum;
}

/* In order, each choice once, probabilities the softmax of the scores. */
static void check_order(const blip2_result *r, size_t i, const char *const *choice, size_t n)
{
    double sum = 0, all = 0;
    assert_int_equal(blip2_result_count(r, i), n);
    for (size_t k = 0; k < n; k++)
        all += exp(blip2_result_candidate(r, i, k)->score);
    for (size_t k = 0; k < n; k++) {
        const blip2_candidate *c = blip2_result_candidate(r, i, k);
        const blip2_candidate *next = blip2_result_candidate(r, i, k + 1);
        assert_string_equal(c->text, choice[c->choice]);
        assert_non_null(of_choice(r, i, k));
        assert_true(c->score < 0 && c->probability >= 0);
        assert_true(!next || c->score > next->score ||
                    (c->score == next->score && c->choice < next->choice));
        assert_true(fabs(c->probability - exp(c->score) / all) < 1e-9);
        sum += c->probability;
    }
    assert_true(fabs(sum - 1) < 1e-12);
    assert_string_equal(blip2_result_text(r, i), blip2_result_candidate(r, i, 0)->text);
}

static void check_likelihoods(const char *name, const char *isa)
{
    blip2_model *m = open_model(tiny_dir(name), BLIP2_F32);
    blip2_session *s = open_session(m, 2, isa);
    const char *const *choice = choices_of();
    Ids prompt = {0};
    Error e = {0};
    double worst = 0;
    if (strcmp(name, "caption") != 0)
        assert_true(
            tokenizer_encode(m->tokenizer, PROMPT, strlen(PROMPT), true, false, &prompt, &e));
    for (int p = 0; p < 2; p++) {
        blip2_item item = ask(name, picture[p]);
        blip2_result *r = must_rank(s, &item, 1, choice, CHOICES);
        assert_no_error(blip2_result_error(r, 0));
        check_order(r, 0, choice, CHOICES);
        for (size_t k = 0; k < CHOICES; k++) {
            const blip2_candidate *c = blip2_result_candidate(r, 0, k);
            worst = fmax(worst, fabs(teacher_forced(s, picture[p], &prompt, c) - c->score));
        }
        blip2_result_free(r);
    }
    print_message("  %s, %s: worst error of a likelihood %.1e\n", name, isa, worst);
    assert_true(worst < 1e-4);
    ids_free(&prompt);
    blip2_session_free(s);
    blip2_model_free(m);
}

static void test_likelihoods(void **state)
{
    for (int i = 0; i < MODELS_COUNT; i++)
        for (const char *const *isa = cpu_isas(); *isa; isa++)
            check_likelihoods(MODELS[i], *isa);
}

/* The ids are the words' as a tokenizer reads them behind the prompt, and one end. */
static void test_ids(void **state)
{
    static const struct {
        const char *model, *text;
        int end;
    } CASES[] = {{"opt", " a dog", 50}, {"t5", "a dog", 1}, {"caption", "a dog", 102}};
    static const char *const CHOICE[] = {"a dog"};
    for (size_t i = 0; i < 3; i++) {
        Ids ids = {0};
        Error e = {0};
        blip2_model *m = open_model(tiny_dir(CASES[i].model), BLIP2_AUTO);
        blip2_session *s = open_session(m, 1, NULL);
        blip2_item item = ask(CASES[i].model, picture[0]);
        blip2_result *r = must_rank(s, &item, 1, CHOICE, 1);
        const blip2_candidate *c = blip2_result_candidate(r, 0, 0);
        assert_true(tokenizer_encode(m->tokenizer, CASES[i].text, strlen(CASES[i].text), false,
                                     false, &ids, &e));
        assert_int_equal(c->id_count, ids.n + 1);
        assert_memory_equal(c->ids, ids.id, ids.n * sizeof *ids.id);
        assert_int_equal(c->ids[ids.n], CASES[i].end);
        assert_true(c->probability == 1);
        ids_free(&ids);
        blip2_result_free(r);
        blip2_session_free(s);
        blip2_model_free(m);
    }
}

/* --- what a rank does not depend on -------------------------------------------------------------------- */

/* The score of a choice is its own: the same bits in a list of its own. */
static void check_choices_alone(const char *name)
{
    blip2_model *m = open_model(tiny_dir(name), BLIP2_AUTO);
    blip2_session *s = open_session(m, 2, NULL), *own = open_session(m, 1, NULL);
    const char *const *choice = choices_of();
    blip2_item item = ask(name, picture[0]);
    blip2_result *r = must_rank(s, &item, 1, choice, CHOICES);
    for (size_t k = 0; k < CHOICES; k++) {
        blip2_result *one = must_rank(own, &item, 1, &choice[k], 1);
        const blip2_candidate *a = of_choice(r, 0, k), *b = blip2_result_candidate(one, 0, 0);
        assert_memory_equal(&a->score, &b->score, sizeof a->score);
        assert_int_equal(a->id_count, b->id_count);
        assert_memory_equal(a->ids, b->ids, a->id_count * sizeof *a->ids);
        blip2_result_free(one);
    }
    blip2_result_free(r);
    blip2_session_free(own);
    blip2_session_free(s);
    blip2_model_free(m);
}

static void check_items_alone(const char *name, int threads)
{
    static const char *const CHOICE[] = {"a dog", "cat", "a cat and a dog"};
    blip2_model *m = open_model(tiny_dir(name), BLIP2_AUTO);
    blip2_session *s = open_session(m, threads, NULL);
    blip2_item item[PICTURES];
    for (int i = 0; i < PICTURES; i++)
        item[i] = ask(name, picture[i]);
    for (int again = 0; again < 2; again++) {
        blip2_result *r = must_rank(s, item, PICTURES, CHOICE, 3);
        for (size_t i = 0; i < PICTURES; i++) {
            blip2_session *own = open_session(m, 1, NULL);
            blip2_result *one = must_rank(own, &item[i], 1, CHOICE, 3);
            assert_same_ranks(r, i, one, 0);
            blip2_result_free(one);
            blip2_session_free(own);
        }
        blip2_result_free(r);
    }
    blip2_session_free(s);
    blip2_model_free(m);
}

static void test_alone(void **state)
{
    for (int i = 0; i < MODELS_COUNT; i++) {
        check_choices_alone(MODELS[i]);
        for (int threads = 1; threads <= 3; threads++)
            check_items_alone(MODELS[i], threads);
    }
}

/* Texts that are under way and ranks in between: both come out as ever. */
static void check_amid_a_batch(const char *name)
{
    static const char *const CHOICE[] = {"a dog", "cat"};
    blip2_model *m = open_model(tiny_dir(name), BLIP2_AUTO);
    blip2_session *s = open_session(m, 2, NULL), *fresh = open_session(m, 1, NULL);
    blip2_item item[2] = {ask(name, picture[0]), ask(name, picture[1])};
    size_t ticket[2];
    blip2_result *texts = must_generate(fresh, item, 2);
    blip2_result *ranks = must_rank(fresh, item, 2, CHOICE, 2);
    blip2_batch *b = blip2_batch_new(s, NULL);
    assert_true(blip2_batch_join(b, item, 2, ticket, NULL));
    while (blip2_batch_step(b) > 0) {
        blip2_result *r = must_rank(s, item, 2, CHOICE, 2);
        for (size_t i = 0; i < 2; i++)
            assert_same_ranks(r, i, ranks, i);
        blip2_result_free(r);
    }
    for (size_t i = 0; i < 2; i++) {
        blip2_result *r = blip2_batch_leave(b, ticket[i], NULL);
        assert_same(r, 0, texts, i);
        blip2_result_free(r);
    }
    blip2_batch_free(b);
    blip2_result_free(ranks);
    blip2_result_free(texts);
    blip2_session_free(fresh);
    blip2_session_free(s);
    blip2_model_free(m);
}

static void test_amid_a_batch(void **state)
{
    for (int i = 0; i < MODELS_COUNT; i++)
        check_amid_a_batch(MODELS[i]);
}

/* Of the options only the library counts: here it says whether there is a template. */
static void test_options(void **state)
{
    static const char *const CHOICE[] = {"a dog", "cat"};
    blip2_model *m = open_model(tiny_dir("opt"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_options lavis = blip2_options_default(m, BLIP2_ASK, BLIP2_LAVIS);
    blip2_options hf = blip2_options_default(m, BLIP2_ASK, BLIP2_HF);
    blip2_item item[4] = {ask("opt", picture[0]), ask("opt", picture[0]), ask("opt", picture[0]),
                          ask("opt", picture[0])};
    lavis.num_beams = lavis.num_captions = 7;
    lavis.max_new_tokens = lavis.min_new_tokens = 1;
    lavis.repetition_penalty = 9;
    lavis.sample = true;
    item[1].options = &lavis;
    item[2].options = &hf;
    item[3].prompt = QUESTION;
    item[3].raw_prompt = true;
    blip2_result *r = must_rank(s, item, 4, CHOICE, 2);
    assert_same_ranks(r, 1, r, 0);
    assert_same_ranks(r, 3, r, 2);
    assert_true(of_choice(r, 0, 0)->score != of_choice(r, 2, 0)->score);
    blip2_result_free(r);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* A dialogue drops as many rounds as leave room for the longest choice, whatever the options say. */
static void test_dialogue(void **state)
{
    static const char *const CHOICE[] = {"a dog", "cat"};
    blip2_turn turn[12];
    blip2_model *m = open_model(tiny_dir("opt"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_options one = blip2_options_default(m, BLIP2_CHAT, BLIP2_LAVIS), most = one;
    blip2_item item[3];
    for (int i = 0; i < 12; i++)
        turn[i] = (blip2_turn){"is it", "no"};
    one.max_new_tokens = 1;
    most.max_new_tokens = 60;
    for (int i = 0; i < 3; i++)
        item[i] = ITEM(.image = picture[0], .task = BLIP2_CHAT, .text = "what", .turns = turn,
                       .turn_count = 12,
                       .options = i == 0   ? NULL
                                  : i == 1 ? &one
                                           : &most);
    blip2_result *r = must_rank(s, item, 3, CHOICE, 2);
    assert_no_error(blip2_result_error(r, 0));
    assert_non_null(strstr(blip2_result_notice(r, 0), " of 12 rounds no longer fit"));
    assert_same_ranks(r, 1, r, 0);
    assert_same_ranks(r, 2, r, 0);
    blip2_result_free(r);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* LAVIS cuts OPT's prompt: a notice, as there is of a picture, and the timings are there. */
static void test_notice_and_timings(void **state)
{
    blip2_image *grey = grey_picture();
    static const char *const CHOICE[] = {"a dog", "cat"};
    char question[512] = "";
    blip2_model *m = open_model(tiny_dir("opt"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_item item[3] = {ask("opt", picture[0]), ask("opt", picture[0]), ask("opt", grey)};
    for (int i = 0; i < 20; i++)
        strcat(question, "what is it ");
    item[0].text = question;
    blip2_result *r = must_rank(s, item, 3, CHOICE, 2);
    assert_no_error(blip2_result_error(r, 0));
    assert_non_null(blip2_result_notice(r, 0));
    assert_non_null(strstr(blip2_result_notice(r, 0), "prompt: cut to 32 of "));
    assert_null(blip2_result_notice(r, 1));
    assert_text(blip2_result_notice(r, 2), GREY_NOTICE);
    blip2_timings t = *blip2_result_timings(r, 0);
    assert_true(t.preprocess > 0 && t.encode > 0 && t.qformer > 0 && t.decode > 0);
    assert_true(blip2_result_timings(r, 1)->encode == 0); /* the same picture */
    blip2_result_free(r);
    blip2_image_free(grey);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* --- what makes no sense -------------------------------------------------------------------------------- */

static void no_rank(blip2_session *s, const blip2_item *items, size_t n, const char *const *choice,
                    size_t n_choices, const char *message)
{
    blip2_error err = {0};
    assert_null(blip2_rank(s, items, n, choice, n_choices, &err));
    expect_error(&err, BLIP2_USAGE, message);
    assert_null(blip2_rank(s, items, n, choice, n_choices, NULL));
}

static void test_bad_calls(void **state)
{
    static const char *const GOOD[] = {"a dog", "cat"};
    blip2_model *m = open_model(tiny_dir("opt"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_item item = ask("opt", picture[0]);
    no_rank(NULL, &item, 1, GOOD, 2, "session: expected one, got NULL");
    no_rank(s, NULL, 1, GOOD, 2, "items: expected some, got NULL");
    no_rank(s, &item, ((size_t)1 << 20) + 1, GOOD, 2,
            "items: expected at most 1048576, got 1048577");
    no_rank(s, &item, 1, NULL, 2, "choices: expected 1 to 1048576, got 0");
    no_rank(s, &item, 1, GOOD, 0, "choices: expected 1 to 1048576, got 0");
    no_rank(s, &item, 1, GOOD, ((size_t)1 << 20) + 1,
            "choices: expected 1 to 1048576, got 1048577");
    blip2_result *none = must_rank(s, NULL, 0, GOOD, 2);
    assert_int_equal(blip2_result_count(none, 0), 0);
    blip2_result_free(none);
    blip2_error err = {.code = BLIP2_FAILED, .message = "earlier"};
    assert_null(blip2_rank(s, &item, 1, NULL, 0, &err));
    expect_error(&err, BLIP2_FAILED, "earlier");
    blip2_session_free(s);
    blip2_model_free(m);
}

static void check_bad_choices(const char *name, bool spaces)
{
    static const struct {
        const char *text, *message;
    } BAD[] = {{NULL, "choices: expected texts, got an empty one"},
               {"", "choices: expected texts, got an empty one"},
               {"a\xff", "choices: byte 1: expected UTF-8, got 0xff"},
               {"a \xc3", "choices: byte 2: expected UTF-8, got 0xc3"},
               {" \n ", "choices: expected words, got none"}};
    blip2_model *m = open_model(tiny_dir(name), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_item item = ask(name, picture[0]);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD - !spaces; i++) {
        const char *choice[] = {"a dog", BAD[i].text, "cat"};
        no_rank(s, &item, 1, choice, 3, BAD[i].message);
    }
    blip2_session_free(s);
    blip2_model_free(m);
}

/* To OPT spaces are words. */
static void test_bad_choices(void **state)
{
    check_bad_choices("opt", false);
    check_bad_choices("t5", true);
    check_bad_choices("caption", true);
}

/* What cannot be done, and between each two of them a good item. */
static void test_bad_items(void **state)
{
    static const char *const CHOICE[] = {"a dog", "cat"};
    blip2_image *tall = tall_picture();
    blip2_model *m = open_model(tiny_dir("opt"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL), *fresh = open_session(m, 1, NULL);
    blip2_options bad = blip2_options_default(m, BLIP2_ASK, BLIP2_LAVIS);
    bad.library = (blip2_library)2;
    const struct {
        blip2_item item;
        blip2_error_code code;
        const char *message;
    } BAD[] = {
        {ask("opt", NULL), BLIP2_FAILED, "picture: expected one, got NULL"},
        {ask("opt", tall), BLIP2_FAILED, TOO_TALL},
        {ITEM(.image = picture[0], .task = BLIP2_ASK), BLIP2_USAGE,
         "question: expected a text, got none"},
        {ITEM(.image = picture[0], .task = BLIP2_ASK, .text = "a\xff"), BLIP2_USAGE,
         "question: byte 1: expected UTF-8, got 0xff"},
        {ITEM(.image = picture[0], .task = (blip2_task)3), BLIP2_USAGE,
         "item: task: expected one of 0 to 2, got 3"},
        {ITEM(.image = picture[0], .options = &bad), BLIP2_USAGE,
         "options: library: expected one of 0 to 1, got 2"},
    };
    enum { N = sizeof BAD / sizeof *BAD };
    blip2_item list[2 * N], good = ask("opt", picture[1]);
    blip2_result *alone = must_rank(fresh, &good, 1, CHOICE, 2);
    for (size_t i = 0; i < N; i++) {
        list[2 * i] = BAD[i].item;
        list[2 * i + 1] = good;
    }
    blip2_result *r = must_rank(s, list, 2 * N, CHOICE, 2);
    for (size_t i = 0; i < N; i++) {
        expect_no_rank(r, 2 * i, BAD[i].code, BAD[i].message);
        assert_same_ranks(r, 2 * i + 1, alone, 0);
    }
    blip2_result_free(r);
    blip2_result_free(alone);
    blip2_session_free(fresh);
    blip2_session_free(s);
    blip2_model_free(m);
    blip2_image_free(tall);
}

/* OPT's positions run out behind a prompt, whichever choice it is; the next call is right. */
static void test_too_long(void **state)
{
    char longest[256] = "";
    const char *choice[] = {"cat", longest};
    blip2_model *m = open_model(tiny_dir("opt"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL), *fresh = open_session(m, 1, NULL);
    blip2_item item = ask("opt", picture[0]);
    for (int i = 0; i < 40; i++)
        strcat(longest, "a dog");
    blip2_result *wanted = must_rank(fresh, &item, 1, choice, 1);
    blip2_result *r = must_rank(s, &item, 1, choice, 2);
    assert_int_equal(blip2_result_error(r, 0)->code, BLIP2_FAILED);
    assert_non_null(strstr(blip2_result_error(r, 0)->message, "choices: expected at most "));
    assert_int_equal(blip2_result_count(r, 0), 0);
    blip2_result_free(r);
    r = must_rank(s, &item, 1, choice, 1);
    assert_same_ranks(r, 0, wanted, 0);
    blip2_result_free(r);
    blip2_result_free(wanted);
    blip2_session_free(fresh);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* Matching models: without a head for words there is nothing to rank; with one, captions alone. */
static void test_models_without(void **state)
{
    static const char *const CHOICE[] = {"a dog", "cat"};
    blip2_item item[] = {ITEM(.image = picture[0]),
                         ITEM(.image = picture[0], .task = BLIP2_ASK, .text = QUESTION),
                         ITEM(.image = picture[0], .prompt = "a")};
    blip2_model *m = open_model(tiny_dir("itm"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_result *r = must_rank(s, item, 3, CHOICE, 2);
    for (size_t i = 0; i < 3; i++)
        expect_no_rank(r, i, BLIP2_USAGE,
                       "model: expected one that generates text, got a matching model without the "
                       "head for words (cls.predictions, which the files of LAVIS have)");
    blip2_result_free(r);
    blip2_session_free(s);
    blip2_model_free(m);
    m = open_model(tiny_dir("caption"), BLIP2_AUTO);
    s = open_session(m, 1, NULL);
    r = must_rank(s, item, 3, CHOICE, 2);
    assert_no_error(blip2_result_error(r, 0));
    expect_no_rank(r, 1, BLIP2_USAGE,
                   "model: expected one with a language model, got a matching model, which "
                   "answers no questions");
    expect_no_rank(r, 2, BLIP2_USAGE,
                   "prompt: expected none, since a matching model captions without one");
    blip2_result_free(r);
    blip2_session_free(s);
    blip2_model_free(m);
}

static bool call_back(void *user, size_t number, int id, const char *text)
{
    static const char *const CHOICE[] = {"a dog", "cat"};
    blip2_item item = ask("opt", picture[0]);
    no_rank(*(blip2_session **)user, &item, 1, CHOICE, 2,
            "token callback: expected no call to the session it belongs to");
    return true;
}

/* A callback calls nothing of its session, and ranking calls none. */
static void test_callbacks(void **state)
{
    static const char *const CHOICE[] = {"a dog", "cat"};
    static Heard heard;
    blip2_model *m = open_model(tiny_dir("opt"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_item item = ask("opt", picture[0]);
    item.on_token = call_back;
    item.user = &s;
    blip2_result *r = must_generate(s, &item, 1);
    assert_no_error(blip2_result_error(r, 0));
    blip2_result_free(r);
    item.on_token = hear;
    item.user = &heard;
    r = must_rank(s, &item, 1, CHOICE, 2);
    assert_no_error(blip2_result_error(r, 0));
    assert_int_equal(heard.calls, 0);
    blip2_result_free(r);
    blip2_session_free(s);
    blip2_model_free(m);
}

/* Items of callers of other versions. */
static void test_other_sizes(void **state)
{
    static const size_t SIZES[] = {offsetof(blip2_item, prompt), sizeof(blip2_item),
                                   sizeof(blip2_item) + 24};
    static const char *const CHOICE[] = {"a dog", "cat"};
    blip2_model *m = open_model(tiny_dir("opt"), BLIP2_AUTO);
    blip2_session *s = open_session(m, 1, NULL);
    blip2_item item[2] = {ask("opt", picture[0]), ask("opt", picture[1])};
    blip2_result *wanted = must_rank(s, item, 2, CHOICE, 2);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        char *theirs = resized_all(item, sizeof *item, 2, SIZES[i]);
        blip2_result *r = must_rank(s, (const blip2_item *)(const void *)theirs, 2, CHOICE, 2);
        assert_same_ranks(r, 0, wanted, 0);
        assert_same_ranks(r, 1, wanted, 1);
        blip2_result_free(r);
        free(theirs);
    }
    char *newer = resized_all(item, sizeof *item, 2, SIZES[2]);
    newer[SIZES[2] - 1] = 1;
    blip2_result *r = must_rank(s, (const blip2_item *)(const void *)newer, 2, CHOICE, 2);
    expect_no_rank(r, 0, BLIP2_USAGE, "item: expected the fields of this version, got newer ones");
    assert_same_ranks(r, 1, wanted, 1);
    blip2_result_free(r);
    free(newer);
    blip2_result_free(wanted);
    item[0].size = 4097;
    no_rank(s, item, 2, CHOICE, 2, "item: size: expected that of the struct, got 4097");
    blip2_session_free(s);
    blip2_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_likelihoods),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_amid_a_batch),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_dialogue),
        cmocka_unit_test(test_notice_and_timings),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_bad_choices),
        cmocka_unit_test(test_bad_items),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_models_without),
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_other_sizes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
