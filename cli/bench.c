/* blip2 bench: how fast a model runs here, against what the machine can do. */
#include "json.h"
#include "machine.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { REPEAT = 5 };

typedef struct Measurement {
    blip2_machine machine;
    blip2_bench bench;
    const char *model;
    double load_ms;
    uint64_t peak_rss;
} Measurement;

static json_t *rounded(double value, double unit)
{
    return json_number(round(value / unit) * unit);
}

static json_t *stage_json(const blip2_stage *s)
{
    json_t *o = json_object();
    json_put(o, "ms", rounded(s->ms, 1e-4));
    if (s->kernel)
        json_put(o, "kernel", json_text(s->kernel));
    if (s->gops > 0)
        json_put(o, "gops", rounded(s->gops, 1e-3));
    if (s->peak_gops > 0)
        json_put(o, "peak_gops", rounded(s->peak_gops, 1e-3));
    if (s->of_peak > 0)
        json_put(o, "of_peak", rounded(s->of_peak, 1e-4));
    if (s->gbs > 0)
        json_put(o, "gbs", rounded(s->gbs, 1e-4));
    if (s->peak_gbs > 0)
        json_put(o, "read_gbs", rounded(s->peak_gbs, 1e-4));
    if (s->of_bandwidth > 0)
        json_put(o, "of_bandwidth", rounded(s->of_bandwidth, 1e-4));
    return o;
}

static json_t *bench_json(const Measurement *m)
{
    json_t *o = json_object(), *stages = json_object();
    for (size_t i = 0; i < m->bench.stage_count; i++)
        json_put(stages, m->bench.stages[i].name, stage_json(&m->bench.stages[i]));
    json_put(o, "machine", machine_json(&m->machine));
    json_put_path(o, "model", m->model);
    json_put(o, "dtype", json_text(m->bench.dtype));
    json_put(o, "weights_bytes", json_integer((json_int_t)m->bench.weights_bytes));
    json_put(o, "peak_rss_bytes", json_integer((json_int_t)m->peak_rss));
    json_put(o, "load_ms", rounded(m->load_ms, 1e-3));
    json_put(o, "stages", stages);
    return o;
}

/* A number with three digits or more, or a dash for what does not apply. */
static const char *cell(char buffer[32], double value)
{
    if (value > 0)
        snprintf(buffer, 32, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
    else
        strcpy(buffer, "-");
    return buffer;
}

static const char *percent(char buffer[32], double fraction)
{
    if (fraction > 0)
        snprintf(buffer, 32, "%.0f %%", fraction * 100);
    else
        strcpy(buffer, "-");
    return buffer;
}

static void stage_line(const blip2_stage *s)
{
    char ms[32], gops[32], peak[32], of_peak[32], gbs[32], read[32], of_read[32];
    out_print("  %-13s%9s  %-8s%7s%7s%7s%8s%7s%7s\n", s->name, cell(ms, s->ms),
              s->kernel ? s->kernel : "-", cell(gops, s->gops), cell(peak, s->peak_gops),
              percent(of_peak, s->of_peak), cell(gbs, s->gbs), cell(read, s->peak_gbs),
              percent(of_read, s->of_bandwidth));
}

static bool has_stage(const blip2_bench *b, const char *name)
{
    for (size_t i = 0; i < b->stage_count; i++)
        if (strcmp(b->stages[i].name, name) == 0)
            return true;
    return false;
}

/* What of the stages' names does not explain itself. */
static void legend(const Measurement *m)
{
    static const struct {
        const char *stage, *says;
    } SAYS[] = {
        {"encoder", " encoder is Flan-T5's, prefill that and the first step."},
        {"itm",
         " itm, itm_batch8 and itc are one pair whose picture is encoded; match and features "
         "are a whole picture with its text."},
        {"decode", " decode is one step, decode_beam5 one step of 5 beams; caption is a whole "
                   "picture."},
    };
    char text[640] = "ms is the median; peak and read are what the machine gave right before and "
                     "after a stage's runs.",
         peak[32];
    for (size_t i = 0; i < sizeof SAYS / sizeof *SAYS; i++)
        if (has_stage(&m->bench, SAYS[i].stage))
            strcat(text, SAYS[i].says);
    snprintf(text + strlen(text), sizeof text - strlen(text), " Largest memory in use: %s.",
             size_text(peak, m->peak_rss));
    out_text("\n  ");
    wrap(text, 2, 2);
}

static void bench_text(const Measurement *m)
{
    char weights[32], isas[128], machine[400];
    bool cached = false;
    out_text(out_bold());
    out_plain(m->model);
    out_print("%s, %s, %s of weights, loaded in %.0f ms\n", out_normal(), m->bench.dtype,
              size_text(weights, m->bench.weights_bytes), m->load_ms);
    snprintf(machine, sizeof machine, "%s, %d threads, kernel set %s", m->machine.cpu,
             m->machine.threads, isas_text(isas, &m->machine));
    wrap(machine, 0, 0);
    if (m->machine.card[0]) {
        snprintf(machine, sizeof machine, "computed on %s, %s", m->machine.device, m->machine.card);
        wrap(machine, 0, 0);
    }
    out_text("\n");
    out_print("  %s%-13s%9s  %-8s%7s%7s%7s%8s%7s%7s%s\n", out_bold(), "stage", "ms", "kernel",
              "Gop/s", "peak", "share", "GB/s", "read", "share", out_normal());
    for (size_t i = 0; i < m->bench.stage_count; i++) {
        stage_line(&m->bench.stages[i]);
        cached |= m->bench.stages[i].of_bandwidth > 1.05;
    }
    legend(m);
    if (cached)
        out_text("  More than what was read: the weights fit in the caches of this processor.\n");
}

static void show_stage(void *user, const char *name)
{
    (void)user;
    progress("measuring %s", name);
}

static blip2_model *load(const Args *args, double *ms, blip2_error *err)
{
    const char *type = args_text(args, OPT_SYNTHETIC, NULL);
    blip2_load_options lo = chosen_load(args);
    double start = blip2_debug_now_ms();
    blip2_model *model;
    progress(type ? "making random weights" : "loading");
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    model = type ? blip2_synthetic(type, lo.dtype, lo.device, err)
                 : blip2_debug_load(args_text(args, OPT_MODEL, NULL), &lo, err);
    *ms = blip2_debug_now_ms() - start;
    return model;
}

/* The buffers in which the machine's bandwidth was measured are not the model's memory. Where the
 * kernel does not offer it, they are counted. */
static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f)
        return;
    fputs("5\n", f); /* proc(5): reset the peak resident size */
    fclose(f);
}

static bool measure(const Args *args, const Runtime *runtime, Measurement *m, blip2_error *err)
{
    struct rusage usage;
    progress("measuring the machine");
    if (!blip2_debug_machine(&m->machine, args_text(args, OPT_DEVICE, NULL),
                             (int)args_whole(args, OPT_THREADS, 0), BLIP2_MEASURE_SPEED, err))
        return false;
    forget_peak();
    if (!blip2_debug_bench(runtime->session, (int)args_whole(args, OPT_REPEAT, REPEAT), show_stage,
                           NULL, &m->bench, err))
        return false;
    getrusage(RUSAGE_SELF, &usage);
    m->peak_rss = (uint64_t)usage.ru_maxrss * 1024 - m->bench.meter_bytes;
    m->model = args_text(args, OPT_SYNTHETIC, blip2_model_info(runtime->model)->path);
    progress(NULL);
    return true;
}

int run_bench(const Args *args)
{
    static const OptId files[] = {OPT_MODEL, OPT_TYPE, OPT_VIT, OPT_LLM};
    Runtime runtime = {0};
    Measurement m = {0};
    blip2_error err = {0};
    for (size_t i = 0; args->has[OPT_SYNTHETIC] && i < sizeof files / sizeof *files; i++)
        if (args->has[files[i]])
            return usage_error("bench: --synthetic and --%s exclude each other",
                               options[files[i]].name);
    blip2_model *model = load(args, &m.load_ms, &err);
    if (!model)
        return report(&err);
    int code = runtime_open_with(&runtime, args, model);
    if (!code && !measure(args, &runtime, &m, &err))
        code = report(&err);
    if (!code) {
        if (args->has[OPT_JSON])
            out_json(bench_json(&m));
        else
            bench_text(&m);
    }
    runtime_close(&runtime);
    return code;
}
