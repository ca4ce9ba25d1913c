/* blip2 data list|check|prepare: the data sets of evaluation and training. */
#include "data.h"
#include "json.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "verbs.h"

#include <blip2_debug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- list ------------------------------------------------------------------------------------------------ */

static const char *bytes_text(char room[32], int64_t bytes)
{
    return bytes < 0 ? "size not published" : size_text(room, (uint64_t)bytes);
}

static void list_line(const blip2_data_set *s)
{
    enum { COLUMN = 22 };
    char name[80];
    snprintf(name, sizeof name, "%s%s%s", s->name, strcmp(s->type, "default") ? "/" : "",
             strcmp(s->type, "default") ? s->type : "");
    int wide = (int)strlen(name) + 3 > COLUMN;
    out_print("  %s%s%s", out_bold(), name, out_normal());
    if (wide)
        out_text("\n");
    out_print("%*s", wide ? COLUMN : COLUMN - 2 - (int)strlen(name), "");
    wrap(s->what, COLUMN, COLUMN);
}

static void need_text(const blip2_data_need *n, const blip2_data_set *s)
{
    char size[32];
    if (n->pictures && !*n->file)
        out_print("    %s/: pictures one by one, %s\n", s->images, n->url);
    else if (n->pictures)
        out_print("    %s (pictures), %s: %s%s%s\n", n->file, bytes_text(size, n->bytes),
                  n->url ? n->url : "", n->url ? "" : "to be fetched by yourself, ",
                  n->url ? "" : n->page);
    else if (n->url)
        out_print("    %s, %s: %s\n", n->file, bytes_text(size, n->bytes), n->url);
    else
        out_print("    %s\n", n->file);
}

static void list_one(size_t i, const char *split)
{
    blip2_data_set s;
    blip2_data_need n;
    const char *now = "";
    blip2_data_set_at(i, &s);
    out_print("%s%s%s: ", out_bold(), s.name, out_normal());
    wrap(s.what, (int)strlen(s.name) + 2, 2);
    fact(12, "licence", s.licence);
    if (s.page)
        fact(12, "page", s.page);
    out_print("  pictures  %s/\n", s.images);
    if (s.download)
        out_print("  archives  %s/\n", s.download);
    for (size_t k = 0; blip2_data_need_at(i, k, &n); k++) {
        if (split && strcmp(split, n.split) != 0)
            continue;
        if (strcmp(now, n.split) != 0)
            out_print("  %s\n", n.split);
        now = n.split;
        need_text(&n, &s);
    }
}

static json_t *need_json(const blip2_data_need *n)
{
    json_t *o = json_object();
    json_put(o, "split", json_text(n->split));
    json_put(o, n->pictures ? "pictures" : "file", json_text(n->file));
    json_put(o, "url", json_text(n->url));
    if (n->pictures)
        json_put(o, "page", json_text(n->page));
    json_put(o, "bytes", n->bytes < 0 ? json_null() : json_integer(n->bytes));
    json_put(o, "checksum", json_text(n->sum));
    return o;
}

static void list_json(size_t i, const char *split)
{
    blip2_data_set s;
    blip2_data_need n;
    json_t *o = json_object(), *also = json_array(), *needs = json_array();
    blip2_data_set_at(i, &s);
    for (const char *const *name = s.also; *name; name++)
        json_add(also, json_text(*name));
    for (size_t k = 0; blip2_data_need_at(i, k, &n); k++)
        if (!split || strcmp(split, n.split) == 0)
            json_add(needs, need_json(&n));
    json_put(o, "name", json_text(s.name));
    json_put(o, "type", json_text(s.type));
    json_put(o, "also", also);
    json_put(o, "what", json_text(s.what));
    json_put(o, "licence", json_text(s.licence));
    json_put(o, "page", json_text(s.page));
    json_put(o, "images", json_text(s.images));
    json_put(o, "needs", needs);
    out_json(o);
}

static int list(const Args *args)
{
    blip2_error err = {0};
    blip2_data_set s;
    const char *split = args_text(args, OPT_SPLIT, NULL);
    size_t one = 0;
    if (args->count > 2)
        return usage_error("data list: superfluous argument '%s'", args->operands[2]);
    if (args->count == 2 && !blip2_data_find(args->operands[1], &one, &err))
        return report(&err);
    for (size_t i = 0; blip2_data_set_at(i, &s); i++) {
        if (args->count == 2 && i != one)
            continue;
        if (args->has[OPT_JSON])
            list_json(i, split);
        else if (args->count == 2)
            list_one(i, split);
        else
            list_line(&s);
    }
    return EXIT_OK;
}

/* --- check ------------------------------------------------------------------------------------------------ */

enum { SHOWN = 10 }; /* pictures by name for people; --json names all */

typedef struct Report {
    bool json;
    const char *split; /* the last that was heard of */
    size_t shown, hidden;
} Report;

static void end_split(Report *r)
{
    char count[32];
    if (r->hidden)
        out_print("  ... and %s more pictures (--json names all)\n", count_text(count, r->hidden));
    r->shown = r->hidden = 0;
}

static const char *state_word(blip2_data_state s)
{
    return s == BLIP2_DATA_GOOD ? "good" : s == BLIP2_DATA_MISSING ? "missing" : "broken";
}

static void tell_text(Report *r, const blip2_data_finding *f)
{
    char count[32];
    if (!r->split || strcmp(r->split, f->split) != 0) {
        end_split(r);
        out_print("%s%s%s\n", out_bold(), f->split, out_normal());
        r->split = f->split;
    }
    if (f->picture && r->shown >= SHOWN) {
        r->hidden++;
        return;
    }
    r->shown += f->picture;
    out_print("  %-9s ", state_word(f->state));
    out_plain(f->why ? f->why : f->path);
    if (f->records)
        out_print(": %s records", count_text(count, f->records));
    out_text("\n");
}

static bool on_finding(void *user, const blip2_data_finding *f)
{
    Report *r = user;
    progress(NULL);
    if (!r->json) {
        tell_text(r, f);
        return out_flush();
    }
    json_t *o = json_object();
    json_put(o, "split", json_text(f->split));
    json_put_path(o, f->picture ? "picture" : "file", f->path);
    json_put(o, "state", json_text(state_word(f->state)));
    if (f->why)
        json_put(o, "why", json_text(f->why));
    if (f->records)
        json_put(o, "records", json_integer((json_int_t)f->records));
    out_json(o);
    return out_flush();
}

static void on_checked(void *user, size_t pictures)
{
    char count[32];
    (void)user;
    if (pictures % 100 == 0)
        progress("%s pictures", count_text(count, pictures));
}

static void sum_up(const Report *r, const blip2_data_checked *c)
{
    char good[32], all[32];
    if (r->json)
        return;
    out_print("%s of %s annotations, ",
              count_text(good, c->files - c->files_missing - c->files_broken),
              count_text(all, c->files));
    out_print("%s of %s pictures\n",
              count_text(good, c->pictures - c->pictures_missing - c->pictures_broken),
              count_text(all, c->pictures));
}

static int check(const Args *args)
{
    blip2_error err = {0};
    blip2_data_checked sums;
    Report r = {.json = args->has[OPT_JSON]};
    blip2_data_check_options o = {.split = args_text(args, OPT_SPLIT, NULL),
                                  .root = args_text(args, OPT_ROOT, NULL),
                                  .deep = args->has[OPT_DEEP],
                                  .on_finding = on_finding,
                                  .on_progress = on_checked,
                                  .user = &r};
    if (args->count != 2)
        return usage_error("data check: expected blip2 data check NAME --root DIR");
    bool ok = blip2_data_check(args->operands[1], &o, &sums, &err);
    progress(NULL);
    end_split(&r);
    if (!ok)
        return err.code == BLIP2_STOPPED ? EXIT_OK : report(&err);
    sum_up(&r, &sums);
    bool all = !sums.files_missing && !sums.files_broken && !sums.pictures_missing &&
               !sums.pictures_broken;
    return all ? EXIT_OK : EXIT_SOME;
}

/* --- the verb --------------------------------------------------------------------------------------------- */

static int check_uses(const Args *args, const char *word)
{
    static const struct {
        OptId option;
        const char *words;
    } uses[] = {{OPT_DEEP, "check"},
                {OPT_YES, "prepare"},
                {OPT_ROOT, "check prepare"},
                {OPT_JSON, "list check"}};
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
        if (args->has[uses[i].option] && !strstr(uses[i].words, word))
            return usage_error("data %s: --%s is for %s", word, options[uses[i].option].name,
                               uses[i].words);
    return 0;
}

int run_data(const Args *args)
{
    static const struct {
        const char *word;
        int (*run)(const Args *args);
    } words[] = {{"list", list}, {"check", check}, {"prepare", data_prepare}};
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(args->operands[0], words[i].word) == 0) {
            int code = check_uses(args, words[i].word);
            return code ? code : words[i].run(args);
        }
    return usage_error("data: expected list, check or prepare, got '%s'", args->operands[0]);
}
