/* blip2 match IMAGE... TEXT... */
#include "ahead.h"
#include "answer.h"
#include "json.h"
#include "memory.h"
#include "operands.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Pairs of a call, about: texts are read in passes of so many (docs/SPEED.md). */
enum { PAIRS = 8 };

typedef struct Work {
    blip2_session *session;
    blip2_library library;
    char *const *texts;
    size_t n_texts;
    bool json, many, ended;
    size_t together; /* pictures of a call */
    size_t done, failed;
    int first_code; /* exit code of the first failure */
    int final_code; /* not 0: nothing more can be done */
} Work;

static json_t *pair_json(const char *path, const char *text)
{
    json_t *o = json_object();
    json_put_path(o, "image", path);
    json_put(o, "text", json_text(text));
    return o;
}

static void write_score(const Work *w, const char *path, const char *text, const blip2_score *s)
{
    if (w->json) {
        json_t *o = pair_json(path, text);
        json_put(o, "itm", json_number(s->itm));
        json_put(o, "itc", json_number(s->itc));
        out_json(o);
        return;
    }
    if (w->many) {
        out_plain(path);
        out_text(": ");
    }
    out_print("itm %.4f  itc %7.4f  ", s->itm, s->itc);
    out_plain(text);
    out_text("\n");
}

/* A model or a text that makes no sense does so for every picture: said once, it ends the command. told: the
 * text in front failed for the same reason. */
static void write_failure(Work *w, const char *path, const char *text, const blip2_error *e,
                          bool told)
{
    if (e->code == BLIP2_USAGE) {
        w->final_code = report(e);
        return;
    }
    if (!told)
        complain_picture(path, e->message);
    if (w->json) {
        json_t *o = pair_json(path, text);
        json_put(o, "error", json_text(e->message));
        out_json(o);
    }
    if (w->failed++ == 0)
        w->first_code = exit_code(e);
}

/* The pairs of a picture in a result, the first-th and those behind it. */
typedef struct Scored {
    const blip2_scores *scores; /* NULL: whole says why */
    size_t first;
    const blip2_error *whole;
} Scored;

static const blip2_error *error_of(const Scored *r, size_t i)
{
    return r->scores ? blip2_scores_error(r->scores, r->first + i) : r->whole;
}

/* What several texts of a picture share is said once. */
static void write_notice(const char *path, const Scored *r, size_t i)
{
    const size_t at = r->first + i;
    const char *notice = blip2_scores_notice(r->scores, at);
    const char *last =
        i && blip2_scores_at(r->scores, at - 1) ? blip2_scores_notice(r->scores, at - 1) : NULL;
    if (notice && !(last && strcmp(last, notice) == 0))
        complain_picture(path, notice);
}

static void write_pair(Work *w, const char *path, const Scored *r, size_t i)
{
    const blip2_score *s = blip2_scores_at(r->scores, r->first + i);
    if (!s) {
        const blip2_error *e = error_of(r, i);
        bool told = i && (!r->scores || strcmp(error_of(r, i - 1)->message, e->message) == 0);
        write_failure(w, path, w->texts[i], e, told);
        return;
    }
    write_score(w, path, w->texts[i], s);
    write_notice(path, r, i);
    w->done++;
}

static void write_unread(Work *w, const char *path, const blip2_error *e)
{
    complain_picture(path, e->message);
    for (size_t i = 0; w->json && i < w->n_texts; i++) {
        json_t *o = pair_json(path, w->texts[i]);
        json_put(o, "error", json_text(e->message));
        out_json(o);
    }
    if (w->failed++ == 0)
        w->first_code = exit_code(e);
}

/* All texts with each picture that could be read, in one call. */
static blip2_scores *score(const Work *w, const Taken *t, size_t n, blip2_error *err)
{
    blip2_pair *pairs = need_array(n * w->n_texts, sizeof *pairs);
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; t[i].image && k < w->n_texts; k++) {
            blip2_pair *p = &pairs[used++];
            *p = blip2_pair_default();
            p->image = t[i].image;
            p->text = w->texts[k];
            p->library = w->library;
        }
    blip2_scores *r = used ? blip2_match(w->session, pairs, used, err) : NULL;
    free(pairs);
    return r;
}

static bool no_memory(const Work *w, const Scored *r)
{
    bool none = false;
    for (size_t i = 0; i < w->n_texts; i++)
        none |= error_of(r, i)->code == BLIP2_MEMORY;
    return none;
}

static void write_picture(Work *w, const char *path, const Scored *r)
{
    for (size_t i = 0; i < w->n_texts && !w->final_code; i++)
        write_pair(w, path, r, i);
}

/* One that found no memory beside the others is done again without them. */
static void match_alone(Work *w, const Taken *t)
{
    blip2_error err = {0};
    blip2_scores *scores = score(w, t, 1, &err);
    write_picture(w, t->path, &(Scored){scores, 0, &err});
    blip2_scores_free(scores);
}

static void match_some(Work *w, const Taken *t, size_t n)
{
    blip2_error err = {0};
    Scored r = {.scores = score(w, t, n, &err), .whole = &err};
    for (size_t i = 0; i < n && !w->final_code && !w->ended; i++) {
        if (!t[i].image)
            write_unread(w, t[i].path, &t[i].error);
        else if (n > 1 && no_memory(w, &r))
            match_alone(w, &t[i]);
        else
            write_picture(w, t[i].path, &r);
        r.first += t[i].image ? w->n_texts : 0;
        w->ended = !out_flush();
    }
    blip2_scores_free((blip2_scores *)(uintptr_t)r.scores);
}

static void match_groups(Work *w, Ahead *a, size_t count)
{
    Taken *t = need_array(w->together, sizeof *t);
    for (size_t done = 0, n; done < count && !w->final_code && !w->ended; done += n) {
        if (w->many && !out_is_terminal())
            progress("%zu of %zu pictures", done, count);
        n = ahead_take_some(a, t, w->together);
        match_some(w, t, n);
        taken_free(t, n);
    }
    free(t);
}

static int match_all(Work *w, const Args *args, const Runtime *runtime, size_t pictures)
{
    Pictures p;
    const size_t usual = w->n_texts < PAIRS ? PAIRS / w->n_texts : 1;
    pictures_find(&p, args->operands, pictures, args->has[OPT_RECURSIVE]);
    w->many = p.many;
    w->together = (size_t)args_whole(args, OPT_BATCH, (long)usual);
    Ahead *a = ahead_new(&(AheadOptions){.paths = p.paths,
                                         .count = p.count,
                                         .model = runtime->model,
                                         .library = w->library,
                                         .most = 2 * w->together});
    match_groups(w, a, p.count);
    ahead_free(a);
    pictures_free(&p);
    if (w->final_code)
        return w->final_code;
    return !w->failed ? EXIT_OK : w->done ? EXIT_SOME : w->first_code;
}

/* The operands that are pictures stand first; at least one is. A file that is not there is heard of. */
static size_t count_pictures(const Args *args)
{
    size_t n = 1;
    while (n < (size_t)args->count &&
           (is_picture(args->operands[n]) || is_picture_name(args->operands[n])))
        n++;
    return n;
}

static int check_operands(const Args *args, size_t pictures)
{
    int code = pictures_once(args->operands, pictures);
    if (!code && pictures == (size_t)args->count)
        return usage_error("match: expected IMAGE... TEXT..., got no text behind the pictures");
    for (size_t i = pictures; !code && i < (size_t)args->count; i++)
        code = check_text("text", args->operands[i]);
    return code;
}

int run_match(const Args *args)
{
    Runtime runtime;
    blip2_error err = {0};
    size_t pictures = count_pictures(args);
    int code = check_operands(args, pictures);
    if (code)
        return code;
    Work w = {.library = chosen_library(args, OPT_LIBRARY),
              .texts = args->operands + pictures,
              .n_texts = (size_t)args->count - pictures,
              .json = args->has[OPT_JSON]};
    code = runtime_open(&runtime, args);
    w.session = runtime.session;
    if (!code && !blip2_match_check(w.session, &err))
        code = report(&err);
    if (!code)
        code = match_all(&w, args, &runtime, pictures);
    runtime_close(&runtime);
    return code;
}
