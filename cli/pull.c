/* blip2 pull NAME...: models into the cache. */
#include "json.h"
#include "memory.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "verbs.h"

#include <blip2.h>
#include <blip2_debug.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR = 24 };

typedef struct Watch {
    char *repository, *licence; /* of the last that was heard of */
    bool told;                  /* the licence was shown */
    double start;
    uint64_t before; /* bytes that were here at the start */
} Watch;

static void keep(char **kept, const char *text)
{
    if (!text || (*kept && strcmp(*kept, text) == 0))
        return;
    free(*kept);
    *kept = need_copy(text);
}

static void tell_licence(Watch *w)
{
    if (!w->told && w->repository && w->licence)
        complain("%s: licence: %s", w->repository, w->licence);
    w->told = true;
}

static void bar(char text[BAR + 1], const blip2_pull_progress *p)
{
    size_t full = p->bytes_total ? (size_t)(p->bytes_done * BAR / p->bytes_total) : 0;
    for (size_t i = 0; i < BAR; i++)
        text[i] = i < full ? '#' : '.';
    text[BAR] = '\0';
}

static const char *time_left(char text[32], const Watch *w, const blip2_pull_progress *p)
{
    double seconds = (blip2_debug_now_ms() - w->start) / 1000;
    double got = (double)(p->bytes_done - w->before);
    double left = got > 0 ? (double)(p->bytes_total - p->bytes_done) / got * seconds : 0;
    text[0] = '\0';
    if (seconds > 2 && left > 90)
        snprintf(text, 32, ", %.0f min left", left / 60);
    else if (seconds > 2 && left >= 1)
        snprintf(text, 32, ", %.0f s left", left);
    return text;
}

static void show(Watch *w, const blip2_pull_progress *p)
{
    char text[BAR + 1], done[32], total[32], left[32];
    const char *file = p->file ? strrchr(p->file, '/') : NULL;
    if (p->bytes_total == 0) {
        progress("%s: asking", p->repository);
        return;
    }
    if (p->bytes_done < w->before)
        w->before = 0;
    bar(text, p);
    progress("%s %s of %s%s  %s", text, size_text(done, p->bytes_done),
             size_text(total, p->bytes_total), time_left(left, w, p),
             file ? file + 1 : p->repository);
}

static bool on_progress(void *user, const blip2_pull_progress *p)
{
    Watch *w = user;
    bool other = !w->repository || strcmp(w->repository, p->repository) != 0;
    if (other) {
        w->told = false;
        w->before = UINT64_MAX;
    }
    keep(&w->repository, p->repository);
    keep(&w->licence, p->licence);
    if (w->before == UINT64_MAX && p->bytes_total > 0) {
        w->before = p->bytes_done;
        w->start = blip2_debug_now_ms();
    }
    if (err_is_terminal())
        tell_licence(w); /* before gigabytes come */
    show(w, p);
    return true;
}

static void write_result(const Args *args, const char *name, const char *path, const Watch *w)
{
    if (!args->has[OPT_JSON]) {
        out_plain(path);
        out_text("\n");
        return;
    }
    json_t *o = json_object();
    json_put(o, "name", json_text(name));
    json_put_path(o, "path", path);
    json_put(o, "licence", json_text(w->licence));
    out_json(o);
}

static int pull_one(const Args *args, const char *name)
{
    char path[PATH_MAX];
    Watch w = {0};
    blip2_error err = {0};
    blip2_pull_options o = blip2_pull_options_default();
    o.on_progress = on_progress;
    o.user = &w;
    bool ok = blip2_pull(name, &o, path, sizeof path, &err);
    progress(NULL);
    if (ok) {
        tell_licence(&w);
        write_result(args, name, path, &w);
    }
    free(w.repository);
    free(w.licence);
    return ok ? EXIT_OK : report(&err);
}

int run_pull(const Args *args)
{
    int done = 0, first = EXIT_OK;
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    for (int i = 0; i < args->count; i++) {
        int code = pull_one(args, args->operands[i]);
        done += code == EXIT_OK;
        first = first ? first : code;
        if (!out_flush())
            break;
    }
    return first == EXIT_OK || done == 0 ? first : EXIT_SOME;
}
