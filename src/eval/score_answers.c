/* eval/score_answers.c: VQA's evaluation, and LAVIS' of GQA, over files. */
#include <stdio.h>
#include <string.h>

#include "eval/answers.h"
#include "eval/external.h"
#include "base/items.h"
#include "eval/keys.h"
#include "eval/lemma.h"
#include "eval/lines.h"
#include "eval/score.h"

enum { ANSWER_BYTES = 16384 };

/* A prediction: its question and where its text is. */
typedef struct Prediction {
    uint32_t question;
    size_t at, n; /* in Work.text */
    bool right;   /* GQA */
} Prediction;

typedef struct Kind {
    double sum;
    size_t count;
} Kind;

typedef struct Work {
    const ScoreFiles *f;
    Keys ids, types, kinds; /* questions; types of answers; types of questions */
    Prediction *list;       /* in the order of ids */
    size_t count, cap;
    StrBuf text;
    Kind *by_type, *by_kind, all;
    size_t type_cap, kind_cap;
    bool *judged; /* the questions with an annotation */
    size_t at;    /* GQA: the next prediction */
    const char *key;
} Work;

static void work_free(Work *w)
{
    keys_free(&w->ids);
    keys_free(&w->types);
    keys_free(&w->kinds);
    mem_free(w->list);
    strbuf_free(&w->text);
    mem_free(w->by_type);
    mem_free(w->by_kind);
    mem_free(w->judged);
}

/* --- predictions ---------------------------------------------------------------------------------- */

static bool add_prediction(void *self, const json_t *item, const char *where, Error *e)
{
    Work *w = self;
    bool fresh;
    uint32_t question = keys_add(&w->ids, item, "question_id", &fresh, where, e);
    const json_t *v = question == NO_WORD ? NULL : item_text(item, w->key, where, e);
    if (!v)
        return false;
    if (!fresh)
        return w->f->count > 1 ||
               error_set(e, ERR_FAILED, "%s: question_id: expected each once, got %s again", where,
                         keys_text(&w->ids, question));
    size_t n = json_string_length(v), at = w->text.len;
    if (n > ANSWER_BYTES)
        return error_set(e, ERR_FAILED, "%s: %s: expected at most %d bytes, got %zu", where, w->key,
                         ANSWER_BYTES, n);
    strbuf_add(&w->text, json_string_value(v), n);
    if (w->text.failed || !MEM_GROW(w->list, &w->cap, w->count + 1))
        return error_memory(e, where, n);
    w->list[w->count++] = (Prediction){question, at, n, false};
    return true;
}

static bool read_predictions(Work *w, const char *key, Error *e)
{
    bool ok = true;
    w->key = key;
    for (size_t i = 0; ok && i < w->f->count; i++)
        ok = items_each(w->f->results[i], NULL, true, add_prediction, w, e);
    return ok && (w->count > 0 || error_set(e, ERR_FAILED, "%s: answers: expected some, got none",
                                            w->f->results[0]));
}

static const char *prediction_text(const Work *w, const Prediction *p)
{
    return w->text.data ? w->text.data + p->at : "";
}

/* --- lemmas --------------------------------------------------------------------------------------- */

/* The lines of `lines` in the place of the predictions. */
static void take_lines(Work *w, StrBuf *lines)
{
    size_t at = 0;
    for (size_t i = 0; i < w->count; i++) {
        const char *end = memchr(lines->data + at, '\n', lines->len - at);
        w->list[i].at = at;
        w->list[i].n = (size_t)(end - lines->data) - at;
        at += w->list[i].n + 1;
    }
    strbuf_free(&w->text);
    w->text = *lines;
    *lines = (StrBuf){0};
}

static bool lemmatize(Work *w, Error *e)
{
    StrBuf in = {0}, out = {0};
    if (!w->f->lemmatize && !w->f->lemmatizer)
        return true;
    for (size_t i = 0; i < w->count; i++) {
        const char *text = prediction_text(w, &w->list[i]);
        if (w->f->lemmatizer) {
            line_add(&in, text, w->list[i].n);
        } else {
            StrBuf one = {0};
            lemma_answer(text, w->list[i].n, &one);
            line_add(&out, one.len ? one.data : "", one.len);
            out.failed = out.failed || one.failed;
            strbuf_free(&one);
        }
    }
    bool ok = (!in.failed && !out.failed) || error_memory(e, "answers", w->text.len);
    if (ok && w->f->lemmatizer)
        ok = command_lines(w->f->lemmatizer, in.data, in.len, &out, e);
    if (ok)
        take_lines(w, &out);
    strbuf_free(&in);
    strbuf_free(&out);
    return ok;
}

/* --- VQA ------------------------------------------------------------------------------------------ */

static size_t first_like(const json_t *list, size_t i)
{
    size_t k = 0;
    while (k < i && !json_equal(json_array_get(list, k), json_array_get(list, i)))
        k++;
    return k;
}

/* The answers of a question; which records are the same one shows in their other members. */
static bool take_answers(const json_t *item, Answer answers[ANSWERS_MAX], size_t *count,
                         const char *where, Error *e)
{
    const json_t *list = json_object_get(item, "answers");
    *count = json_array_size(list);
    if (*count == 0 || *count > ANSWERS_MAX)
        return error_set(e, ERR_FAILED, "%s: answers: expected a list of 1 to %d, got %zu", where,
                         ANSWERS_MAX, *count);
    for (size_t i = 0; i < *count; i++) {
        const json_t *v = item_text(json_array_get(list, i), "answer", where, e);
        if (!v)
            return false;
        answers[i] = (Answer){json_string_value(v), json_string_length(v), first_like(list, i)};
    }
    return true;
}

/* Counts a question with what item[key] says that it is; without such a key it is of no kind. */
static bool count_kind(Keys *names, Kind **kinds, size_t *cap, const json_t *item, const char *key,
                       double score, const char *where, Error *e)
{
    bool fresh;
    if (!json_object_get(item, key))
        return true;
    uint32_t at = keys_add(names, item, key, &fresh, where, e);
    if (at == NO_WORD)
        return false;
    if (!MEM_GROW(*kinds, cap, at + 1u))
        return error_memory(e, where, at);
    if (fresh)
        (*kinds)[at] = (Kind){0};
    (*kinds)[at].sum += score;
    (*kinds)[at].count++;
    return true;
}

static bool judge(void *self, const json_t *item, const char *where, Error *e)
{
    Work *w = self;
    Answer answers[ANSWERS_MAX];
    size_t count;
    double score;
    uint32_t question = keys_find(&w->ids, item, "question_id", "the result's questions", where, e);
    if (question == NO_WORD)
        return false;
    if (w->judged[question])
        return error_set(e, ERR_FAILED, "%s: question_id: expected each once, got %s again", where,
                         keys_text(&w->ids, question));
    w->judged[question] = true;
    const Prediction *p = &w->list[question];
    if (!take_answers(item, answers, &count, where, e) ||
        !vqa_accuracy(prediction_text(w, p), p->n, answers, count, &score, e))
        return false;
    w->all.sum += score;
    w->all.count++;
    return count_kind(&w->types, &w->by_type, &w->type_cap, item, "answer_type", score, where, e) &&
           count_kind(&w->kinds, &w->by_kind, &w->kind_cap, item, "question_type", score, where, e);
}

static bool all_judged(const Work *w, Error *e)
{
    for (size_t i = 0; i < w->count; i++)
        if (!w->judged[i])
            return error_set(e, ERR_FAILED,
                             "%s: annotations: expected one of question %s, got nothing",
                             w->f->truth, keys_text(&w->ids, (uint32_t)i));
    return true;
}

static double percent(const Kind *k)
{
    return round_cents(100 * k->sum / (double)k->count);
}

/* The three types of VQAv2 always, since a file without one is no file without the metric; others as they came. */
static bool add_types(const Work *w, Metrics *out, Error *e)
{
    static const char *const KNOWN[] = {"yes/no", "number", "other"};
    for (size_t i = 0; i < 3; i++) {
        uint32_t at = words_find(&w->types.words, KNOWN[i], strlen(KNOWN[i]));
        if (!(at == NO_WORD ? metrics_add_missing(out, "", KNOWN[i], e)
                            : metrics_add(out, "", KNOWN[i], percent(&w->by_type[at]), e)))
            return false;
    }
    for (uint32_t i = 0; i < w->types.words.count; i++) {
        const char *name = keys_text(&w->types, i);
        bool known = strcmp(name, KNOWN[0]) == 0 || strcmp(name, KNOWN[1]) == 0 ||
                     strcmp(name, KNOWN[2]) == 0;
        if (!known && !metrics_add(out, "", name, percent(&w->by_type[i]), e))
            return false;
    }
    return true;
}

static bool add_vqa(const Work *w, Metrics *out, Error *e)
{
    bool ok = metrics_add(out, "", "agg_metrics", percent(&w->all), e) && add_types(w, out, e);
    for (uint32_t i = 0; ok && i < w->kinds.words.count; i++)
        ok = metrics_add(out, "question_type", keys_text(&w->kinds, i), percent(&w->by_kind[i]), e);
    return ok;
}

static void note_lemmas(const ScoreFiles *f, Metrics *out)
{
    if (f->lemmatize && !f->lemmatizer)
        note_add(
            &out->notes,
            "lemmas: by rules, approximate; the published numbers are by spaCy's en_core_web_sm");
}

bool score_vqa(const ScoreFiles *f, Metrics *out, Error *e)
{
    Work w = {.f = f};
    bool ok = read_predictions(&w, "answer", e) && lemmatize(&w, e);
    if (ok)
        w.judged = mem_calloc(w.count, sizeof *w.judged);
    ok = ok && (w.judged || error_memory(e, "questions", w.count));
    ok = ok && items_each(f->truth, "annotations", true, judge, &w, e) && all_judged(&w, e) &&
         add_vqa(&w, out, e);
    note_lemmas(f, out);
    work_free(&w);
    return ok;
}

/* --- GQA ------------------------------------------------------------------------------------------ */

/* In the order of the predictions: an entry that was left out as a repetition is known by its id. */
static bool judge_gqa(void *self, const json_t *item, const char *where, Error *e)
{
    Work *w = self;
    uint32_t question = keys_find(&w->ids, item, "question_id", "the result's questions", where, e);
    if (question == NO_WORD || question < w->at)
        return question != NO_WORD;
    w->at = question + 1u;
    const json_t *truth = item_text(item, "gt_ans", where, e);
    const Prediction *p = &w->list[question];
    bool right;
    if (!truth || !gqa_correct(prediction_text(w, p), p->n, json_string_value(truth),
                               json_string_length(truth), &right, e))
        return false;
    w->all.sum += right;
    w->all.count++;
    return true;
}

bool score_gqa(const ScoreFiles *f, Metrics *out, Error *e)
{
    Work w = {.f = f};
    bool ok = read_predictions(&w, "pred_ans", e) && lemmatize(&w, e);
    for (size_t i = 0; ok && i < f->count; i++)
        ok = items_each(f->results[i], NULL, true, judge_gqa, &w, e);
    double accuracy = ok ? 100 * w.all.sum / (double)w.all.count : 0;
    ok = ok && metrics_add(out, "", "agg_metrics", accuracy, e) &&
         metrics_add(out, "", "acc", accuracy, e);
    note_lemmas(f, out);
    work_free(&w);
    return ok;
}
