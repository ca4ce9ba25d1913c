/* eval/external.c: pycocoevalcap's command lines. */
#define _GNU_SOURCE
#include "eval/external.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/write.h"
#include "eval/process.h"

enum { ANSWER_MIN = 1 << 20, ANSWER_TIMES = 16 };

static bool jar_there(const char *jar, Error *e)
{
    return file_exists(jar) || error_set(e, ERR_FAILED, "%s: file: not found", jar);
}

static size_t count_lines(const char *s, size_t n)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += s[i] == '\n';
    return lines;
}

/* Text through a program that answers a line with a line. */
static bool lines_through(const char *const *argv, const char *text, size_t n, StrBuf *out,
                          Error *e)
{
    size_t from = out->len, want = count_lines(text, n);
    if (!process_filter(argv, text, n, ANSWER_MIN + ANSWER_TIMES * n, out, e))
        return false;
    size_t got = out->len > from ? count_lines(out->data + from, out->len - from) : 0;
    return got == want ||
           error_set(e, ERR_FAILED, "%s: answer: expected %zu lines, got %zu", argv[0], want, got);
}

bool jar_tokenize(const char *jar, const char *text, size_t n, StrBuf *out, Error *e)
{
    const char *const argv[] = {"java",
                                "-Xmx1G",
                                "-Dfile.encoding=UTF-8",
                                "-Dstdout.encoding=UTF-8",
                                "-cp",
                                jar,
                                "edu.stanford.nlp.process.PTBTokenizer",
                                "-preserveLines",
                                "-lowerCase",
                                NULL};
    return jar_there(jar, e) && lines_through(argv, text, n, out, e);
}

bool command_lines(const char *command, const char *text, size_t n, StrBuf *out, Error *e)
{
    const char *const argv[] = {"sh", "-c", command, NULL};
    return lines_through(argv, text, n, out, e);
}

/* --- METEOR --------------------------------------------------------------------------------------- */

/* A string as a field of the protocol: what separates fields goes (meteor.py). */
static void add_field(StrBuf *out, const char *text)
{
    strbuf_puts(out, " ||| ");
    for (size_t i = 0; text[i]; i++)
        if (strncmp(text + i, "|||", 3) == 0)
            i += 2;
        else if (!(text[i] == ' ' && text[i + 1] == ' '))
            strbuf_add(out, text + i, 1);
}

static void add_question(StrBuf *out, const CaptionCase *c)
{
    strbuf_puts(out, "SCORE");
    for (size_t i = 0; i < c->count; i++)
        add_field(out, c->references[i]);
    add_field(out, c->candidate);
    strbuf_puts(out, "\n");
}

static bool ask(Process *p, StrBuf *question, size_t lines, StrBuf *answer, Error *e)
{
    size_t limit = ANSWER_MIN + ANSWER_TIMES * question->len;
    if (question->failed)
        return error_memory(e, "METEOR", question->cap);
    return process_ask(p, question->data, question->len, lines, limit, answer, e);
}

/* "EVAL ||| statistics ||| ..." of the answers to n questions. */
static void add_statistics(StrBuf *out, const StrBuf *answer)
{
    strbuf_puts(out, "EVAL");
    for (const char *line = answer->data; line && *line;
         line += strcspn(line, "\n"), line += *line == '\n') {
        strbuf_puts(out, " ||| ");
        strbuf_add(out, line, strcspn(line, "\r\n"));
    }
    strbuf_puts(out, "\n");
}

/* Its answer is a number a picture, and then that of all. */
static bool last_number(const StrBuf *answer, double *out, Error *e)
{
    const char *end = answer->data + answer->len - 1, *line = end;
    char *behind;
    while (line > answer->data && line[-1] != '\n')
        line--;
    *out = strtod(line, &behind);
    return behind > line || error_set(e, ERR_FAILED, "METEOR: answer: expected a number, got %.*s",
                                      (int)(end - line), line);
}

bool jar_meteor(const char *jar, const CaptionCase *cases, size_t n, double *corpus, Error *e)
{
    const char *const argv[] = {"java",
                                "-Xmx2G",
                                "-Dfile.encoding=UTF-8",
                                "-Dstdout.encoding=UTF-8",
                                "-jar",
                                jar,
                                "-",
                                "-",
                                "-stdio",
                                "-l",
                                "en",
                                "-norm",
                                NULL};
    StrBuf question = {0}, statistics = {0}, total = {0}, numbers = {0};
    Process *p = jar_there(jar, e) ? process_start(argv, e) : NULL;
    for (size_t i = 0; p && i < n; i++)
        add_question(&question, &cases[i]);
    bool ok = p && ask(p, &question, n, &statistics, e);
    if (ok)
        add_statistics(&total, &statistics);
    ok = ok && ask(p, &total, n + 1, &numbers, e) && last_number(&numbers, corpus, e);
    if (!ok)
        process_stop(p);
    ok = process_end(p, e) && ok;
    strbuf_free(&question);
    strbuf_free(&statistics);
    strbuf_free(&total);
    strbuf_free(&numbers);
    return ok;
}

/* --- SPICE ---------------------------------------------------------------------------------------- */

static json_t *spice_case(const CaptionCase *c, size_t i)
{
    json_t *refs = json_array();
    for (size_t k = 0; k < c->count; k++)
        json_array_append_new(refs, json_string(c->references[k]));
    return json_pack("{s:I, s:s, s:o}", "image_id", (json_int_t)i, "test", c->candidate, "refs",
                     refs);
}

static bool write_cases(const char *path, const CaptionCase *cases, size_t n, Error *e)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < n; i++)
        if (json_array_append_new(all, spice_case(&cases[i], i)) != 0)
            break;
    char *text = json_array_size(all) == n ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    if (!text)
        return error_memory(e, "SPICE", n);
    Piece piece = {text, strlen(text)};
    bool ok = file_write(path, &piece, 1, WRITE_FILE, e);
    free(text);
    return ok;
}

static bool mean_f(const char *path, size_t n, double *out, Error *e)
{
    enum { LIMIT = 1 << 30 };
    json_t *doc = json_load_path(path, LIMIT, ERR_FAILED, e);
    double sum = 0, f;
    bool ok = doc && (json_array_size(doc) == n ||
                      error_set(e, ERR_FAILED, "%s: SPICE: expected %zu pictures, got %zu", path, n,
                                json_array_size(doc)));
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *all =
            json_object_get(json_object_get(json_array_get(doc, i), "scores"), "All");
        ok = json_get_real(all, "f", 0, &f, path, e);
        sum += ok ? f : 0;
    }
    *out = sum / (double)n;
    json_decref(doc);
    return ok;
}

static bool spice_in(const char *dir, const char *jar, const CaptionCase *cases, size_t n,
                     double *corpus, Error *e)
{
    char *in = path_join(dir, "in.json"), *result = path_join(dir, "out.json");
    const char *const argv[] = {"java", "-Xmx8G", "-jar",    jar,       in,
                                "-out", result,   "-subset", "-silent", NULL};
    StrBuf said = {0};
    bool ok = (in && result) || error_memory(e, "SPICE", strlen(dir));
    ok = ok && write_cases(in, cases, n, e) && process_filter(argv, "", 0, ANSWER_MIN, &said, e) &&
         mean_f(result, n, corpus, e);
    if (in)
        unlink(in);
    if (result)
        unlink(result);
    strbuf_free(&said);
    mem_free(in);
    mem_free(result);
    return ok;
}

bool jar_spice(const char *jar, const CaptionCase *cases, size_t n, double *corpus, Error *e)
{
    const char *tmp = getenv("TMPDIR");
    if (!jar_there(jar, e))
        return false;
    char *dir = path_join(tmp && *tmp ? tmp : "/tmp", "blip2-spice-XXXXXX");
    if (!dir)
        return error_memory(e, "SPICE", 0);
    bool ok = mkdtemp(dir) || error_set(e, ERR_FAILED, "%s: folder: not made", dir);
    if (ok) {
        ok = spice_in(dir, jar, cases, n, corpus, e);
        rmdir(dir);
    }
    mem_free(dir);
    return ok;
}
