/* blip2 match IMAGE... TEXT... */
#include "answer.h"
#include "image.h"
#include "json.h"
#include "memory.h"
#include "operands.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

typedef struct Work {
    blip2_session *session;
    blip2_library library;
    char *const *texts;
    size_t n_texts;
    bool json, many, ended;
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

/* What several texts of a picture share is said once. */
static void write_notice(const char *path, const blip2_scores *r, size_t i)
{
    const char *notice = blip2_scores_notice(r, i);
    const char *last = i && blip2_scores_at(r, i - 1) ? blip2_scores_notice(r, i - 1) : NULL;
    if (notice && !(last && strcmp(last, notice) == 0))
        complain_picture(path, notice);
}

static void write_pair(Work *w, const char *path, const blip2_scores *r, size_t i,
                       const blip2_error *whole)
{
    const blip2_score *s = blip2_scores_at(r, i);
    const blip2_error *e = r ? blip2_scores_error(r, i) : whole;
    if (!s) {
        bool told = i && (!r || strcmp(blip2_scores_error(r, i - 1)->message, e->message) == 0);
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

static void match_picture(Work *w, const char *path)
{
    blip2_error err = {0};
    blip2_image *image = open_operand(path, &err);
    if (!image) {
        write_unread(w, path, &err);
        w->ended = !out_flush();
        return;
    }
    blip2_pair *pairs = need_array(w->n_texts, sizeof *pairs);
    for (size_t i = 0; i < w->n_texts; i++) {
        pairs[i] = blip2_pair_default();
        pairs[i].image = image;
        pairs[i].text = w->texts[i];
        pairs[i].library = w->library;
    }
    blip2_scores *r = blip2_match(w->session, pairs, w->n_texts, &err);
    for (size_t i = 0; i < w->n_texts && !w->final_code; i++)
        write_pair(w, path, r, i, &err);
    w->ended = !out_flush();
    blip2_scores_free(r);
    free(pairs);
    blip2_image_free(image);
}

static int match_all(Work *w, const Args *args, size_t pictures)
{
    Pictures p;
    pictures_find(&p, args->operands, pictures, args->has[OPT_RECURSIVE]);
    w->many = p.many;
    for (size_t i = 0; i < p.count && !w->final_code && !w->ended; i++) {
        if (w->many && !out_is_terminal())
            progress("%zu of %zu pictures", i, p.count);
        match_picture(w, p.paths[i]);
    }
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
        code = match_all(&w, args, pictures);
    runtime_close(&runtime);
    return code;
}
