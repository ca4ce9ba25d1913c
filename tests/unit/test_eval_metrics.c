/* BLEU, ROUGE-L, CIDEr, VQA and GQA accuracy, recall against the reference's (tests/data/eval); ends of what they
 * accept; failing allocations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "eval/answers.h"
#include "eval/caption_metrics.h"
#include "eval/recall.h"

#define CASES SOURCE_DIR "/tests/data/eval/"

static json_t *load(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", CASES, name);
    json_t *doc = json_load_file(path, JSON_ALLOW_NUL, NULL);
    if (!doc)
        fail_msg("%s: not read", path);
    return doc;
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* Within 1e-9 relative. */
static void near(double got, double want, const char *what, size_t i)
{
    if (!(fabs(got - want) <= 1e-9 * fabs(want)))
        fail_msg("%s %zu: got %.17g, expected %.17g", what, i, got, want);
}

/* --- captions ------------------------------------------------------------------------------------- */

static CaptionCase as_case(const json_t *image)
{
    const json_t *refs = json_object_get(image, "refs_tok");
    size_t n = json_array_size(refs);
    const char **list = malloc(n * sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = json_string_value(json_array_get(refs, i));
    return (CaptionCase){json_string_value(json_object_get(image, "caption_tok")), list, n};
}

static CaptionCase *as_cases(const json_t *images, size_t n)
{
    CaptionCase *c = malloc(n * sizeof *c);
    for (size_t i = 0; i < n; i++)
        c[i] = as_case(json_array_get(images, i));
    return c;
}

static void free_cases(CaptionCase *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)c[i].references);
    free(c);
}

static void near_bleu(const double got[4], const json_t *want, size_t i)
{
    assert_int_equal(json_array_size(want), 4);
    for (size_t k = 0; k < 4; k++)
        near(got[k], json_number_value(json_array_get(want, k)), "BLEU of", i);
}

static void captions_as_reference(void **state)
{
    json_t *doc = load("caption_cases.json"), *images = json_object_get(doc, "images");
    const json_t *all = json_object_get(doc, "corpus");
    size_t n = json_array_size(images);
    CaptionCase *c = as_cases(images, n);
    double(*bleu)[4] = malloc(n * sizeof *bleu), *rouge = malloc(n * 8), *cider = malloc(n * 8);
    double corpus[4], mean;
    Error e = {0};
    assert_true(n > 160);
    assert_true(bleu_score(c, n, corpus, bleu, &e));
    near_bleu(corpus, json_object_get(all, "Bleu"), n);
    assert_true(rouge_l_score(c, n, &mean, rouge, &e));
    near(mean, number(all, "ROUGE_L"), "ROUGE-L", n);
    assert_true(cider_score(c, n, &mean, cider, &e));
    near(mean, number(all, "CIDEr"), "CIDEr", n);
    for (size_t i = 0; i < n; i++) {
        const json_t *image = json_array_get(images, i);
        near_bleu(bleu[i], json_object_get(image, "Bleu"), i);
        near(rouge[i], number(image, "ROUGE_L"), "ROUGE-L of", i);
        near(cider[i], number(image, "CIDEr"), "CIDEr of", i);
    }
    free(bleu);
    free(rouge);
    free(cider);
    free_cases(c, n);
    json_decref(doc);
}

static void check_subset(const json_t *subset, const CaptionCase *all)
{
    const json_t *ids = json_object_get(subset, "image_ids"),
                 *each = json_object_get(subset, "CIDEr_each");
    size_t n = json_array_size(ids);
    CaptionCase c[40];
    double corpus[4], mean, cider[40];
    Error e = {0};
    assert_true(n > 0 && n <= 40);
    for (size_t i = 0; i < n; i++)
        c[i] = all[json_integer_value(json_array_get(ids, i))];
    assert_true(bleu_score(c, n, corpus, NULL, &e));
    near_bleu(corpus, json_object_get(subset, "Bleu"), n);
    assert_true(rouge_l_score(c, n, &mean, NULL, &e));
    near(mean, number(subset, "ROUGE_L"), "ROUGE-L of", n);
    assert_true(cider_score(c, n, &mean, cider, &e));
    near(mean, number(subset, "CIDEr"), "CIDEr of", n);
    for (size_t i = 0; i < n; i++)
        near(cider[i], json_number_value(json_array_get(each, i)), "CIDEr", i);
}

/* Document frequencies are of the corpus at hand. */
static void subsets_as_reference(void **state)
{
    json_t *doc = load("caption_cases.json"), *subsets = load("caption_subsets.json");
    const json_t *images = json_object_get(doc, "images");
    size_t n = json_array_size(images);
    CaptionCase *c = as_cases(images, n);
    assert_int_equal(json_array_size(subsets), 3);
    for (size_t i = 0; i < 3; i++)
        check_subset(json_array_get(subsets, i), c);
    free_cases(c, n);
    json_decref(doc);
    json_decref(subsets);
}

static void captions_out_of_bounds(void **state)
{
    const char *reference = "a dog";
    CaptionCase without = {"a dog", &reference, 0}, one = {"a dog", &reference, 1};
    double corpus[4];
    Error none = {0}, no_references = {0}, many = {0};
    assert_false(bleu_score(&one, 0, corpus, NULL, &none));
    assert_int_equal(none.code, ERR_FAILED);
    assert_false(cider_score(&without, 1, corpus, NULL, &no_references));
    assert_string_equal(no_references.message, "CIDEr: expected references, got none");
    char *words = calloc(1, 2 * SENTENCE_WORDS + 4);
    for (int i = 0; i <= SENTENCE_WORDS; i++)
        memcpy(words + (size_t)2 * (size_t)i, "a ", 2);
    one.candidate = words;
    assert_false(rouge_l_score(&one, 1, corpus, NULL, &many));
    assert_string_equal(many.message, "caption: expected at most 4096 words, got more");
    words[2 * SENTENCE_WORDS - 1] = 0; /* as many as there may be */
    many = (Error){0};
    assert_true(rouge_l_score(&one, 1, corpus, NULL, &many));
    free(words);
}

static bool all_captions(const CaptionCase *c, size_t n, Error *e)
{
    double corpus[4];
    return bleu_score(c, n, corpus, NULL, e) && rouge_l_score(c, n, corpus, NULL, e) &&
           cider_score(c, n, corpus, NULL, e);
}

static void captions_without_memory(void **state)
{
    json_t *doc = load("caption_cases.json"), *images = json_object_get(doc, "images");
    size_t n = 12, before = mem_in_use();
    CaptionCase *c = as_cases(images, n);
    for (long k = 1;; k++) {
        Error e = {0};
        mem_fail_at(k);
        bool ok = all_captions(c, n, &e);
        bool hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(mem_in_use(), before);
        assert_true(ok == !hit && (e.code == ERR_MEMORY) == hit);
        if (!hit)
            break;
    }
    free_cases(c, n);
    json_decref(doc);
}

/* --- answers -------------------------------------------------------------------------------------- */

typedef void NormaliseFn(const char *s, size_t n, StrBuf *out);

static void check_text(NormaliseFn *fn, const json_t *from, const json_t *to)
{
    StrBuf out = {0};
    fn(json_string_value(from), json_string_length(from), &out);
    if (out.len != json_string_length(to) ||
        (out.len && memcmp(out.data, json_string_value(to), out.len) != 0))
        fail_msg("\"%s\": got \"%s\", expected \"%s\"", json_string_value(from), strbuf_cstr(&out),
                 json_string_value(to));
    strbuf_free(&out);
}

static void answers_normalised(void **state)
{
    json_t *doc = load("vqa_normalise.json"), *rows = json_object_get(doc, "cases");
    assert_true(json_array_size(rows) > 60);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        check_text(answer_punctuation, json_object_get(row, "raw"), json_object_get(row, "punct"));
        check_text(answer_words, json_object_get(row, "punct"), json_object_get(row, "final"));
        check_text(answer_words, json_object_get(row, "raw"),
                   json_object_get(row, "digits_articles_only"));
    }
    json_decref(doc);
}

/* By the text of the official code: what the cases do not reach. */
static void answers_by_rule(void **state)
{
    static const char *const ROWS[][2] = {
        {"1,5;6", "156"},
        {"a ;b;c", "a bc"},
        {"a;b", "a b"},
        {".5 5. 5.5", ".5 5 5.5"},
        {"\u0665,\u0666/x", "\u0665\u0666x"},
        {"a.\u0665", "a.\u0665"},
        {"a-b -c", "ab c"},
        {"..................................", ".."}, /* 34 of them, 32 go */
        {"x'y:z&%$#*", "x'y:z&%$#*"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        json_t *from = json_string(ROWS[i][0]), *to = json_string(ROWS[i][1]);
        check_text(answer_punctuation, from, to);
        json_decref(from);
        json_decref(to);
    }
}

static double vqa_score(const json_t *question)
{
    const json_t *list = json_object_get(question, "answers"),
                 *p = json_object_get(question, "pred");
    Answer a[10];
    double out = -1;
    Error e = {0};
    size_t n = json_array_size(list);
    assert_true(n <= 10);
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_object_get(json_array_get(list, i), "answer");
        a[i] = (Answer){json_string_value(text), json_string_length(text), i};
    }
    assert_true(vqa_accuracy(json_string_value(p), json_string_length(p), a, n, &out, &e));
    return out;
}

static void vqa_as_reference(void **state)
{
    json_t *doc = load("vqa_accuracy.json"), *rows = json_object_get(doc, "questions");
    size_t n = json_array_size(rows);
    double sum = 0;
    assert_int_equal(n, 260);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        double got = vqa_score(row);
        if (got != number(row, "accuracy") ||
            round_cents(100 * got) != number(row, "accuracy_pct_rounded"))
            fail_msg("question %zu: got %.17g, expected %.17g", i, got, number(row, "accuracy"));
        sum += got;
    }
    assert_true(round_cents(100 * sum / (double)n) == number(doc, "overall"));
    json_decref(doc);
}

/* An equal record is left out with the one that is compared; equal words in another record are not. */
static void vqa_records(void **state)
{
    Answer a[4] = {{"cat", 3, 0}, {"cat", 3, 0}, {"cat", 3, 0}, {"dog", 3, 3}};
    double out;
    Error e = {0};
    assert_true(vqa_accuracy("cat", 3, a, 4, &out, &e));
    assert_true(out == 0.25); /* only "dog" has three others */
    for (size_t i = 0; i < 4; i++)
        a[i].record = i;
    assert_true(vqa_accuracy("cat", 3, a, 4, &out, &e));
    assert_true(out == (2.0 / 3 + 2.0 / 3 + 2.0 / 3 + 1) / 4);
    assert_false(vqa_accuracy("cat", 3, a, 0, &out, &e));
}

static void gqa_as_reference(void **state)
{
    json_t *doc = load("gqa_accuracy.json"), *rows = json_object_get(doc, "cases");
    size_t n = json_array_size(rows), right = 0;
    assert_true(n > 150);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i), *p = json_object_get(row, "pred"),
                     *t = json_object_get(row, "gt");
        bool got;
        Error e = {0};
        assert_true(gqa_correct(json_string_value(p), json_string_length(p), json_string_value(t),
                                json_string_length(t), &got, &e));
        if (got != (json_integer_value(json_object_get(row, "correct")) == 1))
            fail_msg("case %zu: got %d", i, got);
        right += got;
    }
    assert_true(100.0 * (double)right / (double)n == number(doc, "accuracy"));
    json_decref(doc);
}

static void answers_without_memory(void **state)
{
    Answer a[3] = {{"a cat", 5, 0}, {"the dog, 5,6", 12, 1}, {"dont", 4, 2}};
    size_t before = mem_in_use();
    for (long k = 1;; k++) {
        Error e = {0};
        double out;
        bool right;
        mem_fail_at(k);
        bool ok = vqa_accuracy(" Two dogs\n", 10, a, 3, &out, &e) &&
                  gqa_correct("a", 1, "b", 1, &right, &e);
        bool hit = mem_fail_hit();
        mem_fail_at(0);
        assert_int_equal(mem_in_use(), before);
        assert_true(ok == !hit && (e.code == ERR_MEMORY) == hit);
        if (!hit)
            break;
    }
}

/* --- recall --------------------------------------------------------------------------------------- */

static size_t rank_of(const json_t *row, size_t first, size_t count)
{
    double scores[128];
    size_t good[8], n = json_array_size(row);
    assert_true(n <= 128 && count <= 8);
    for (size_t i = 0; i < n; i++)
        scores[i] = json_number_value(json_array_get(row, i));
    for (size_t i = 0; i < count; i++)
        good[i] = first + i;
    return recall_rank(scores, n, good, count);
}

static void check_recall(const json_t *c)
{
    const json_t *it = json_object_get(c, "score_i2t"), *ti = json_object_get(c, "score_t2i");
    size_t per = (size_t)json_integer_value(json_object_get(c, "captions_per_image")), ranks[128];
    size_t images = json_array_size(it), texts = json_array_size(ti);
    for (size_t i = 0; i < images; i++)
        ranks[i] = rank_of(json_array_get(it, i), i * per, per);
    Recall txt = recall_of(ranks, images);
    for (size_t t = 0; t < texts; t++)
        ranks[t] = rank_of(json_array_get(ti, t), t / per, 1);
    Recall img = recall_of(ranks, texts);
    assert_true(txt.r1 == number(c, "txt_r1") && txt.r5 == number(c, "txt_r5") &&
                txt.r10 == number(c, "txt_r10"));
    assert_true(img.r1 == number(c, "img_r1") && img.r5 == number(c, "img_r5") &&
                img.r10 == number(c, "img_r10"));
    assert_true(txt.mean == number(c, "txt_r_mean") && img.mean == number(c, "img_r_mean"));
    assert_true((txt.mean + img.mean) / 2 == number(c, "r_mean"));
}

static void recall_as_reference(void **state)
{
    json_t *doc = load("retrieval_recall.json");
    assert_int_equal(json_array_size(doc), 3);
    for (size_t i = 0; i < 3; i++)
        check_recall(json_array_get(doc, i));
    json_decref(doc);
}

static void recall_ties(void **state)
{
    const double scores[] = {1, 3, 3, 2};
    const size_t first = 1, second = 2, both[] = {3, 2};
    assert_int_equal(recall_rank(scores, 4, &second, 1), 0);
    assert_int_equal(recall_rank(scores, 4, &first, 1), 1);
    assert_int_equal(recall_rank(scores, 4, both, 2), 0);
}

static void rounding(void **state)
{
    /* Python: round(0.125, 2), round(2.675, 2), round(66.666, 2), round(100.0, 2) */
    assert_true(round_cents(0.125) == 0.12 && round_cents(2.675) == 2.67);
    assert_true(round_cents(66.666) == 66.67 && round_cents(100.0) == 100.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captions_as_reference),
        cmocka_unit_test(subsets_as_reference),
        cmocka_unit_test(captions_out_of_bounds),
        cmocka_unit_test(captions_without_memory),
        cmocka_unit_test(answers_normalised),
        cmocka_unit_test(answers_by_rule),
        cmocka_unit_test(vqa_as_reference),
        cmocka_unit_test(vqa_records),
        cmocka_unit_test(gqa_as_reference),
        cmocka_unit_test(answers_without_memory),
        cmocka_unit_test(recall_as_reference),
        cmocka_unit_test(recall_ties),
        cmocka_unit_test(rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
