/* Arbitrary bytes as the files of `score`: the first byte says which task, a byte 0xff stands between the result and the
 * ground truth; and as text for the tokenizer and the lemmatiser. What is accepted has numbers within bounds, what is not
 * one line of error. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "eval/answers.h"
#include "eval/lemma.h"
#include "eval/lines.h"
#include "eval/ptb.h"
#include "eval/score.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

typedef bool ScoreFn(const ScoreFiles *f, Metrics *out, Error *e);

static const char *as_file(int *fd, char path[32], const unsigned char *data, size_t n)
{
    if (*fd <= 0)
        *fd = memfd_create("fuzz", 0);
    if (*fd <= 0 || ftruncate(*fd, 0) != 0 || pwrite(*fd, data, n, 0) != (ssize_t)n)
        BUG("no memory for a file");
    snprintf(path, 32, "/proc/self/fd/%d", *fd);
    return path;
}

static void check(const Metrics *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (!isfinite(m->list[i].value) || m->list[i].value < 0 || m->list[i].value > 100 ||
            !memchr(m->list[i].name, 0, sizeof m->list[i].name))
            BUG("a number out of bounds");
}

static void score(ScoreFn *fn, bool lemmatize, const unsigned char *data, size_t size)
{
    static int result_fd, truth_fd;
    char result_path[32], truth_path[32];
    const unsigned char *gap = memchr(data, 0xff, size);
    size_t n = gap ? (size_t)(gap - data) : size;
    const char *result = as_file(&result_fd, result_path, data, n);
    ScoreFiles f = {
        .results = &result, .count = 1, .lemmatize = lemmatize, .only_predicted = n % 2};
    f.truth = as_file(&truth_fd, truth_path, gap ? gap + 1 : data, gap ? size - n - 1 : 0);
    Metrics m = {0};
    Error e = {0};
    bool ok = fn(&f, &m, &e);
    if (ok != (e.code == ERR_NONE) || (!ok && strpbrk(e.message, "\n\r\x1b")))
        BUG("no error, one that is not one, or one of several lines");
    if (ok)
        check(&m);
    metrics_free(&m);
}

static size_t count_lines(const StrBuf *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++)
        n += s->data[i] == '\n';
    return n;
}

/* A caption a line, whatever is in it. */
static void tokenize(const char *s, size_t n)
{
    static Ptb *p;
    StrBuf text = {0}, lines = {0}, out = {0}, again = {0};
    Error e = {0};
    if (!p)
        p = ptb_new(&e);
    utf8_add_lossy(&text, s, n);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.data + at, '|', text.len - at);
        size_t k = end ? (size_t)(end - text.data) - at : text.len - at;
        line_add(&lines, text.data + at, k);
        at += k + 1;
    }
    bool ok = p && ptb_tokenize(p, lines.data ? lines.data : "", lines.len, &out, &e);
    if (!ok || count_lines(&out) != count_lines(&lines) ||
        (out.len && utf8_invalid(out.data, out.len) >= 0))
        BUG("lines that are not captions");
    lemma_answer(text.len ? text.data : "", text.len, &again);
    answer_punctuation(text.len ? text.data : "", text.len, &again);
    answer_words(text.len ? text.data : "", text.len, &again);
    if (again.len && utf8_invalid(again.data, again.len) >= 0)
        BUG("text that is no text");
    strbuf_free(&text);
    strbuf_free(&lines);
    strbuf_free(&out);
    strbuf_free(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static ScoreFn *const TASKS[] = {score_captions, score_vqa, score_gqa, score_retrieval};
    if (size == 0)
        return 0;
    if (data[0] % 5 == 4)
        tokenize((const char *)data + 1, size - 1);
    else
        score(TASKS[data[0] % 5], data[0] & 64, data + 1, size - 1);
    return 0;
}
