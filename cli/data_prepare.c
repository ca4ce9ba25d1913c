/* blip2 data prepare: what is missing of a data set, said, agreed to, fetched and unpacked. */
#include "data.h"
#include "output.h"
#include "session.h"
#include "text.h"

#include <blip2.h>
#include <blip2_debug.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct Totals {
    size_t downloads, unpacks, asks;
    size_t singles; /* of the downloads, pictures one by one */
    uint64_t bytes;
    bool unknown; /* the bytes of some are not */
} Totals;

/* --- saying ----------------------------------------------------------------------------------------------- */

static Totals totals_of(const blip2_data_plan *p)
{
    Totals t = {0};
    for (size_t i = 0; i < blip2_data_plan_count(p); i++) {
        blip2_data_step s = blip2_data_plan_at(p, i);
        t.downloads += s.doing == BLIP2_DATA_DOWNLOAD;
        t.unpacks += s.doing == BLIP2_DATA_UNPACK;
        t.asks += s.doing == BLIP2_DATA_ASK;
        t.singles += s.single;
        t.bytes += s.doing == BLIP2_DATA_DOWNLOAD && s.bytes > 0 ? (uint64_t)s.bytes : 0;
        t.unknown = t.unknown || (s.doing == BLIP2_DATA_DOWNLOAD && s.bytes < 0);
    }
    return t;
}

static void say_step(const blip2_data_step *s)
{
    char size[32], count[32];
    if (s->doing == BLIP2_DATA_ASK)
        err_print("  %s: fetch it yourself, from %s, and name it, or put it to %s\n", s->name,
                  s->from, s->to);
    else if (s->doing == BLIP2_DATA_UNPACK)
        err_print("  unpack %s to %s (%s pictures are missing)\n", s->from, s->to,
                  count_text(count, s->pictures));
    else
        err_print("  download %s, %s, to %s\n", s->from,
                  s->bytes < 0 ? "size not known before" : size_text(size, (uint64_t)s->bytes),
                  s->to);
}

/* Single pictures are one line. */
static void say_plan(const blip2_data_plan *p, const Totals *t)
{
    char count[32];
    bool said = false;
    for (size_t i = 0; i < blip2_data_plan_count(p); i++) {
        blip2_data_step s = blip2_data_plan_at(p, i);
        if (!s.single)
            say_step(&s);
        else if (!said)
            err_print("  download %s pictures, size not known before: %s, ...\n",
                      count_text(count, t->singles), s.from);
        said = said || s.single;
    }
}

/* --- agreeing ----------------------------------------------------------------------------------------------- */

/* 0: yes; else the exit code, after one line. */
static int agree(const Args *args, const Totals *t)
{
    char size[32], answer[16];
    if (args->has[OPT_YES] || t->downloads == 0)
        return 0;
    if (!isatty(STDIN_FILENO) || !err_is_terminal())
        return usage_error("data prepare: downloads need --yes, or a terminal to ask at");
    if (t->bytes)
        err_print("Download %s%s? [y/N] ", size_text(size, t->bytes),
                  t->unknown ? " and what is not known before" : "");
    else
        err_print("Download them? [y/N] ");
    if (fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y'))
        return 0;
    complain("nothing was fetched");
    return EXIT_FAILED;
}

/* --- doing --------------------------------------------------------------------------------------------------- */

static bool on_progress(void *user, const blip2_pull_progress *p)
{
    char done[32], total[32];
    const char *file = p->file ? strrchr(p->file, '/') : NULL;
    (void)user;
    if (p->bytes_total)
        progress("%s of %s  %s", size_text(done, p->bytes_done), size_text(total, p->bytes_total),
                 file      ? file + 1
                 : p->file ? p->file
                           : p->repository);
    else
        progress("%s: asking", p->repository);
    return true;
}

static int carry_out(const Args *args, blip2_data_plan *p, Totals *t, blip2_error *err)
{
    if (!p)
        return report(err);
    *t = totals_of(p);
    say_plan(p, t);
    int code = agree(args, t);
    if (code == 0 && t->downloads + t->unpacks > 0) {
        bool ok = blip2_data_carry_out(p, args_text(args, OPT_ROOT, NULL), on_progress, NULL, err);
        progress(NULL);
        code = ok ? 0 : report(err);
    }
    blip2_data_plan_free(p);
    return code;
}

/* What only the user can get leaves the set incomplete. */
int data_prepare(const Args *args)
{
    blip2_error err = {0};
    Totals files = {0}, pictures = {0};
    const char *root = args_text(args, OPT_ROOT, NULL), *split = args_text(args, OPT_SPLIT, NULL);
    if (args->count < 2)
        return usage_error(
            "data prepare: expected blip2 data prepare NAME --root DIR [ARCHIVE...]");
    const char *name = args->operands[1];
    int code = carry_out(args, blip2_data_plan_files(name, split, root, &err), &files, &err);
    if (code == 0)
        code = carry_out(args,
                         blip2_data_plan_pictures(name, split, root,
                                                  (const char *const *)args->operands + 2,
                                                  (size_t)args->count - 2, &err),
                         &pictures, &err);
    if (code)
        return code;
    if (files.asks + pictures.asks > 0)
        return EXIT_SOME;
    out_print("%s: ready; blip2 data check %s --root ", name, name);
    out_plain(root);
    out_text(" looks at every picture\n");
    return EXIT_OK;
}
