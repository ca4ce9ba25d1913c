/* blip2 convert FROM TO, blip2 quantize MODEL OUT: a model as files of another kind, or with smaller weights. */
#include "output.h"
#include "session.h"
#include "text.h"
#include "verbs.h"

#include <blip2_debug.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = number;
}

/* So that an interrupted call takes away what it has written. */
static void watch(void)
{
    static const int DEADLY[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction own = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART}, now;
    sigemptyset(&own.sa_mask);
    for (size_t i = 0; i < sizeof DEADLY / sizeof *DEADLY; i++)
        if (sigaction(DEADLY[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaction(DEADLY[i], &own, NULL);
}

static bool on_progress(void *user, uint64_t done, uint64_t total)
{
    char part[32], whole[32];
    (void)user;
    progress("%s of %s", size_text(part, done), size_text(whole, total));
    return !interrupted;
}

static blip2_layout chosen_layout(const char *to)
{
    return strcmp(to, "hf") == 0      ? BLIP2_HF_LAYOUT
           : strcmp(to, "lavis") == 0 ? BLIP2_LAVIS_LAYOUT
                                      : BLIP2_PACKED_LAYOUT;
}

/* Ends as the signal would have ended it. */
static void die(void)
{
    signal(interrupted, SIG_DFL);
    raise(interrupted);
}

static int convert(const Args *args, blip2_layout to, blip2_dtype dtype)
{
    blip2_error err = {0};
    blip2_convert_options o = blip2_convert_options_default();
    o.to = to;
    o.dtype = dtype;
    o.type = args_text(args, OPT_TYPE, NULL);
    o.vit = args_text(args, OPT_VIT, NULL);
    o.language = args_text(args, OPT_LLM, NULL);
    o.on_progress = on_progress;
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    watch();
    bool ok = blip2_convert(args->operands[0], args->operands[1], &o, &err);
    progress(NULL);
    if (interrupted)
        die();
    return ok ? 0 : report(&err);
}

/* --to has a layout, or how small the weights become, and then the file is packed. */
int run_convert(const Args *args)
{
    const char *to = args_text(args, OPT_TO, "packed");
    blip2_dtype dtype = dtype_named(to), asked = chosen_dtype(args);
    if (dtype != BLIP2_AUTO && asked != BLIP2_AUTO && dtype != asked)
        return usage_error("convert: --to %s and --dtype %s exclude each other", to,
                           args->value[OPT_DTYPE].text);
    return convert(args, chosen_layout(to), dtype == BLIP2_AUTO ? asked : dtype);
}

int run_quantize(const Args *args)
{
    const char *to = args_text(args, OPT_TO, "int8");
    if (dtype_named(to) == BLIP2_AUTO)
        return usage_error("quantize: --to: expected int8, int4 or mixed, got %s", to);
    return convert(args, BLIP2_PACKED_LAYOUT, dtype_named(to));
}
