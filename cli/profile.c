/* profile.c: see profile.h. */
#include "profile.h"

#include "output.h"
#include "session.h"

#include <blip2_debug.h>
#include <stdio.h>
#include <string.h>

/* A command has one session. */
static struct {
    bool begun;
    double since;
    blip2_profile_line pictures;
} state;

int profile_begin(blip2_session *session)
{
    blip2_error err = {0};
    if (!blip2_debug_profile_start(session, &err))
        return report(&err);
    state.begun = true;
    state.since = blip2_debug_now_ms();
    state.pictures = (blip2_profile_line){.name = "decode picture"};
    return 0;
}

void profile_picture(const blip2_image *image)
{
    if (!image)
        return;
    state.pictures.calls++;
    state.pictures.ms += blip2_image_decode_ms(image);
}

static double sum(const blip2_profile_line *line, size_t n)
{
    double ms = 0;
    for (size_t i = 0; i < n; i++)
        ms += line[i].ms;
    return ms;
}

static const char *figure(char text[32], double value)
{
    snprintf(text, 32, value > 0 ? "%.2f" : "-", value);
    return text;
}

/* Shares are of what was counted: what lies between may be anything, a bench that measures the machine. */
static void print_line(const blip2_profile_line *l, double whole)
{
    err_print("  %-16s %9llu %11.3f %6.1f %%", l->name, (unsigned long long)l->calls, l->ms,
              whole > 0 ? 100 * l->ms / whole : 0);
}

static void print_stages(const blip2_profile *p, double since)
{
    double whole = sum(p->stages, p->stage_count) + state.pictures.ms;
    err_print("  %-16s %9s %11s %8s\n", "stage", "calls", "ms", "share");
    if (state.pictures.calls) {
        print_line(&state.pictures, whole);
        err_print("\n");
    }
    for (size_t i = 0; i < p->stage_count; i++) {
        print_line(&p->stages[i], whole);
        err_print("\n");
    }
    err_print("  %-16s %9s %11.3f\n", "else", "", since > whole ? since - whole : 0);
}

static void print_kinds(const blip2_profile *p)
{
    double whole = sum(p->kinds, p->kind_count);
    char gops[32], gbs[32];
    err_print("\n  %-16s %9s %11s %8s %9s %9s\n", "operation", "calls", "ms", "share", "Gop/s",
              "GB/s");
    for (size_t i = 0; i < p->kind_count; i++) {
        print_line(&p->kinds[i], whole);
        err_print(" %9s %9s\n", figure(gops, p->kinds[i].gops), figure(gbs, p->kinds[i].gbs));
    }
}

void profile_end(const blip2_session *session)
{
    blip2_profile p;
    if (!state.begun)
        return;
    double whole = blip2_debug_now_ms() - state.since;
    state.begun = false;
    out_flush();
    blip2_debug_profile(session, &p);
    err_print("blip2: profile: %.3f ms since the model was there\n", whole);
    print_stages(&p, whole);
    print_kinds(&p);
}
