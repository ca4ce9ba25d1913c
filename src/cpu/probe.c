/* cpu/probe.c: which kernel serves which weights, chosen once per CPU model and stored.
 *
 * cpuid says that vdpbf16ps exists, not whether it pays: on one Xeon it has half the speed of f32
 * FMA on widened weights, on Zen 5 twice. So both are measured for a few milliseconds, and the choice is
 * written down: a noisy measurement must not change results from one start to the next. The peaks are not:
 * they are of that moment. A choice made in a busy one, when rounds disagree, is used and not written. A
 * record that cannot be read or written is never an error. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/write.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "cpu/peak.h"

enum { RECORD_VERSION = 2, REPEATS = 5 };

/* The native kernel must win clearly: it also rounds x to 16 bits. */
static const double WORTH_IT = 1.2;

const char *cpu_better_bf16(const CpuPeaks *p)
{
    return p->bf16 > WORTH_IT * p->f32 ? "bf16" : "widened";
}

/* --- the record -------------------------------------------------------------------------------- */

/* $XDG_CACHE_HOME/blip2/cpu-MODEL.json or ~/.cache/...; directories are made when asked. */
static bool cache_path(StrBuf *path, const char *model, bool make)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (base && *base == '/')
        strbuf_puts(path, base);
    else if (home && *home == '/')
        strbuf_printf(path, "%s/.cache", home);
    else
        return false;
    if (make && strbuf_cstr(path))
        mkdir(path->data, 0777);
    strbuf_puts(path, "/blip2");
    if (make && strbuf_cstr(path))
        mkdir(path->data, 0777);
    strbuf_puts(path, "/cpu-");
    for (const char *s = model; *s; s++) {
        bool plain = (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
                     (*s >= 'A' && *s <= 'Z') || *s == '.';
        strbuf_add(path, plain ? s : "-", 1);
    }
    strbuf_puts(path, ".json");
    return strbuf_cstr(path) != NULL;
}

static bool read_name(const json_t *o, const char *key, char *dst, size_t size, const char *file)
{
    const char *text = NULL;
    Error ignored = {0};
    if (!json_get_text(o, key, NULL, &text, file, &ignored) || !text || strlen(text) >= size)
        return false;
    strcpy(dst, text);
    return true;
}

static bool read_record(const json_t *o, CpuProbe *p, const char *file)
{
    int64_t version;
    char cpu[sizeof p->cpu], kernel[sizeof p->bf16_kernel];
    Error ignored = {0};
    if (!json_get_int(o, "version", 0, 0, 1000, &version, file, &ignored) ||
        version != RECORD_VERSION || !read_name(o, "cpu", cpu, sizeof cpu, file) ||
        strcmp(cpu, p->cpu) != 0 || !read_name(o, "bf16", kernel, sizeof kernel, file) ||
        (strcmp(kernel, "bf16") != 0 && strcmp(kernel, "widened") != 0))
        return false;
    strcpy(p->bf16_kernel, kernel);
    return true;
}

static bool record_load(CpuProbe *p)
{
    StrBuf path = {0};
    Error ignored = {0};
    bool ok = false;
    if (cache_path(&path, p->cpu, false) && file_exists(path.data)) {
        json_t *o = json_load_path(path.data, 65536, ERR_FAILED, &ignored);
        ok = json_is_object(o) && read_record(o, p, path.data);
        json_decref(o);
    }
    strbuf_free(&path);
    return ok;
}

static void record_store(const CpuProbe *p)
{
    StrBuf path = {0};
    Error ignored = {0};
    json_t *o = json_pack("{s:i,s:s,s:s}", "version", RECORD_VERSION, "cpu", p->cpu, "bf16",
                          p->bf16_kernel);
    char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
    if (text && cache_path(&path, p->cpu, true))
        file_write(path.data, &(Piece){text, strlen(text)}, 1, WRITE_FILE, &ignored);
    free(text);
    json_decref(o);
    strbuf_free(&path);
}

/* --- the choice ---------------------------------------------------------------------------------- */

static void name_cpu(CpuProbe *p)
{
    const char *const *isas = cpu_isas();
    memset(p, 0, sizeof *p);
    snprintf(p->cpu, sizeof p->cpu, "%s", cpu_features()->model);
    while (isas[1])
        isas++;
    snprintf(p->isa, sizeof p->isa, "%s", isas[0]);
}

/* Several rounds, the best of each peak: other programs only take away. They took too much when the rounds do
 * not all speak for one kernel: then nothing is written. */
static void choose(CpuProbe *p, int threads)
{
    CpuPeaks round[REPEATS] = {0}, best = {0};
    Pool *pool = pool_new(threads);
    bool sure = pool != NULL;
    for (int i = 0; pool && i < REPEATS; i++) {
        peaks_measure(&round[i], pool, threads);
        cpu_peaks_keep(&best, &round[i]);
    }
    pool_free(pool);
    snprintf(p->bf16_kernel, sizeof p->bf16_kernel, "%s", cpu_better_bf16(&best));
    for (int i = 0; i < REPEATS; i++)
        sure = sure && strcmp(cpu_better_bf16(&round[i]), p->bf16_kernel) == 0;
    if (sure)
        record_store(p);
}

void cpu_probe(CpuProbe *p, int threads, bool renew)
{
    name_cpu(p);
    p->from_cache = !renew && record_load(p);
    if (!p->from_cache)
        choose(p, threads > 0 ? threads : cpus_usable());
}
