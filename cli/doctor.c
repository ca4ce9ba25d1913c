/* blip2 doctor: what this machine can do and what the program chose. */
#include "editor.h"
#include "json.h"
#include "machine.h"
#include "memory.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "verbs.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN = 20 }; /* of the texts beside their labels */

typedef struct Checkup {
    blip2_machine machine;
    char *model_path; /* NULL: the embedded model cannot be loaded */
    uint64_t model_bytes;
    blip2_error model_error;
} Checkup;

static void speed(const char *label, double value, const char *unit, const char *absent)
{
    char text[64];
    if (value > 0)
        snprintf(text, sizeof text, "%.*f %s", value < 100 ? 1 : 0, value, unit);
    fact(COLUMN, label, value > 0 ? text : absent);
}

static void memory(const blip2_machine *m)
{
    char text[128], total[32] = "unknown", available[32] = "unknown";
    if (m->memory)
        size_text(total, m->memory);
    if (m->memory_available)
        size_text(available, m->memory_available);
    snprintf(text, sizeof text, "%s, available: %s", total, available);
    fact(COLUMN, "memory", text);
}

/* What models are computed on, and why not on a card. */
static void device(const blip2_machine *m)
{
    char text[800], all[32], left[32];
    if (m->card[0])
        snprintf(text, sizeof text, "%s, %s, %s, available: %s, driver for CUDA %d.%d", m->device,
                 m->card, size_text(all, m->card_memory), size_text(left, m->card_available),
                 m->driver / 1000, m->driver % 1000 / 10);
    else
        snprintf(text, sizeof text, "%s%s%s%s", m->device, m->no_card[0] ? " (" : "", m->no_card,
                 m->no_card[0] ? ")" : "");
    fact(COLUMN, "device", text);
}

static void machine_text(const blip2_machine *m)
{
    static const char none[] = "not on this machine", unmeasured[] = "could not be measured";
    char text[192];
    device(m);
    fact(COLUMN, "processor", m->cpu);
    snprintf(text, sizeof text, "%d", m->threads);
    fact(COLUMN, "threads", text);
    memory(m);
    fact(COLUMN, "kernel set", isas_text(text, m));
    snprintf(text, sizeof text, "bf16 weights: %s, f16 weights: %s (%s%s)", m->bf16_kernel,
             m->f16_kernel, m->probe_cached ? "chosen earlier" : "chosen now",
             m->probe_doubtful ? "; what was measured now says otherwise, see --measure" : "");
    fact(COLUMN, "fastest kernels", text);
    speed("peak f32", m->gops_f32, "GFLOP/s", unmeasured);
    speed("peak bf16", m->gops_bf16, "GFLOP/s", none);
    speed("peak fp16", m->gops_fp16, "GFLOP/s", none);
    speed("peak int8", m->gops_int8, "Gop/s", none);
    speed("read, small pages", m->gbs_mapped, "GB/s", unmeasured);
    speed("read, huge pages", m->gbs_huge, "GB/s", unmeasured);
}

static void formats_text(void)
{
    const char *name[BLIP2_DEBUG_FORMATS];
    char line[80] = "";
    blip2_debug_formats(name);
    for (size_t i = 0, n = 0; name[i]; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, i ? " %s" : "%s", name[i]);
    fact(COLUMN, "picture formats", line);
}

static json_t *formats_json(void)
{
    const char *name[BLIP2_DEBUG_FORMATS];
    json_t *list = json_array();
    blip2_debug_formats(name);
    for (size_t i = 0; name[i]; i++) {
        char lower[16];
        size_t n = 0;
        for (; name[i][n] && n + 1 < sizeof lower; n++)
            lower[n] = (char)tolower((unsigned char)name[i][n]);
        lower[n] = '\0';
        json_add(list, json_text(lower));
    }
    return list;
}

static void checkup_text(const Checkup *c)
{
    char *line, size[32];
    const char *downloads = blip2_debug_downloads(), *archives = blip2_debug_archives();
    out_print("%sblip2 %s%s\n", out_bold(), blip2_version(), out_normal());
    machine_text(&c->machine);
    formats_text();
    fact(COLUMN, "line editing", editor_kind());
    line = downloads ? need_format("%.*s", (int)strcspn(downloads, " "), downloads)
                     : need_copy("none: libcurl4 is not installed");
    fact(COLUMN, "downloads", line);
    free(line);
    fact(COLUMN, "archives", archives ? archives : "none: libarchive13 is not installed");
    if (c->model_path)
        line = need_format("%s, %s", c->model_path, size_text(size, c->model_bytes));
    else
        line = need_format("cannot be loaded: %s", c->model_error.message);
    fact(COLUMN, "embedded model", line);
    free(line);
}

static json_t *checkup_json(const Checkup *c)
{
    const blip2_machine *m = &c->machine;
    json_t *o = json_object(), *isas = json_array();
    for (const char *const *isa = m->isas; isa && *isa; isa++)
        json_add(isas, json_text(*isa));
    json_put(o, "version", json_text(blip2_version()));
    json_put(o, "machine", machine_json(m));
    json_put(o, "isas", isas);
    json_put(o, "bf16_kernel", json_text(m->bf16_kernel));
    json_put(o, "f16_kernel", json_text(m->f16_kernel));
    json_put(o, "probe_cached", json_boolean(m->probe_cached));
    json_put(o, "probe_doubtful", json_boolean(m->probe_doubtful));
    json_put(o, "no_card", m->no_card[0] ? json_text(m->no_card) : json_null());
    json_put(o, "card_memory", json_known(m->card_memory));
    json_put(o, "card_memory_available", json_known(m->card_available));
    json_put(o, "memory", json_known(m->memory));
    json_put(o, "memory_available", json_known(m->memory_available));
    json_put(o, "picture_formats", formats_json());
    json_put(o, "line_editing", json_text(editor_kind()));
    json_put(o, "downloads", json_text(blip2_debug_downloads()));
    json_put(o, "archives", json_text(blip2_debug_archives()));
    json_put_path(o, "embedded_model", c->model_path);
    return o;
}

static void check_model(Checkup *c)
{
    blip2_load_options lo = blip2_load_options_default();
    lo.device = "cpu"; /* whether it is there, not whether a card has room */
    blip2_model *model = blip2_model_load(NULL, &lo, &c->model_error);
    if (!model)
        return;
    c->model_path = need_copy(blip2_model_info(model)->path);
    c->model_bytes = blip2_model_info(model)->weight_bytes;
    blip2_model_free(model);
}

int run_doctor(const Args *args)
{
    Checkup c = {0};
    blip2_error err = {0};
    progress("measuring");
    if (!blip2_debug_machine(
            &c.machine, args_text(args, OPT_DEVICE, NULL), (int)args_whole(args, OPT_THREADS, 0),
            args->has[OPT_MEASURE] ? BLIP2_MEASURE_RENEW : BLIP2_MEASURE_SPEED, &err))
        return report(&err);
    check_model(&c);
    progress(NULL);
    if (args->has[OPT_JSON])
        out_json(checkup_json(&c));
    else
        checkup_text(&c);
    bool good = c.model_path != NULL;
    free(c.model_path);
    return good ? EXIT_OK : report(&c.model_error);
}
