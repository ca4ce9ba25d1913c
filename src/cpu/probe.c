/* cpu/probe.c: what this CPU's instructions are worth, measured once and stored per CPU model.
 *
 * cpuid says that vdpbf16ps exists, not whether it pays: on one Xeon it has half the speed of f32
 * FMA on widened weights, on Zen 5 twice. So the peak of each instruction is measured for a
 * fraction of a millisecond, and the choice is written down before its first use: a noisy
 * measurement must not change results from one start to the next. A cache that cannot be read or
 * written is never an error. */
#define _GNU_SOURCE
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/write.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "cpu/pool.h"

enum { CACHE_VERSION = 1, ROUNDS = 2000, UNROLL = 12, MEET_MS = 1, REPEATS = 4 };

/* The native kernel must win clearly: it also rounds x to 16 bits. */
static const double WORTH_IT = 1.2;

/* --- peak of an instruction -------------------------------------------------------------------- */

typedef void (*Burst)(void); /* ROUNDS * UNROLL independent instructions */

#if defined(__x86_64__)

#define BURST(name, features, instruction, reg)                                                  \
    __attribute__((target(features), noinline)) static void name(void)                           \
    {                                                                                            \
        int rounds = ROUNDS;                                                                     \
        __asm__ volatile("vpxor %%xmm14, %%xmm14, %%xmm14\n vpxor %%xmm15, %%xmm15, %%xmm15\n"   \
                         ".irp r,0,1,2,3,4,5,6,7,8,9,10,11\n"                                    \
                         "vpxor %%xmm\\r, %%xmm\\r, %%xmm\\r\n .endr\n"                          \
                         "1:\n .irp r,0,1,2,3,4,5,6,7,8,9,10,11\n" instruction " %%" reg         \
                         "14, %%" reg "15, %%" reg "\\r\n .endr\n"                               \
                         "dec %0\n jnz 1b\n vzeroupper\n"                                        \
                         : "+r"(rounds)                                                          \
                         :                                                                       \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
                           "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", "xmm15");                  \
    }
BURST(burst_fma_ymm, "avx2,fma", "vfmadd231ps", "ymm")
BURST(burst_fma_zmm, "avx512f", "vfmadd231ps", "zmm")
BURST(burst_bf16, "avx512f", "vdpbf16ps", "zmm")
BURST(burst_fp16, "avx512f", "vfmadd231ph", "zmm")
BURST(burst_int8, "avx512f", "vpdpbusd", "zmm")

__attribute__((noinline)) static void burst_sse(void)
{
    int rounds = ROUNDS;
    __asm__ volatile("1:\n .irp r,0,1,2,3,4,5\n"
                     "mulps %%xmm15, %%xmm\\r\n addps %%xmm15, %%xmm\\r\n .endr\n"
                     "dec %0\n jnz 1b\n"
                     : "+r"(rounds)
                     :
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5");
}

#elif defined(__aarch64__)

__attribute__((noinline)) static void burst_fmla(void)
{
    for (int i = 0; i < ROUNDS; i++)
        __asm__ volatile("fmla v0.4s, v16.4s, v17.4s\n fmla v1.4s, v16.4s, v17.4s\n"
                         "fmla v2.4s, v16.4s, v17.4s\n fmla v3.4s, v16.4s, v17.4s\n"
                         "fmla v4.4s, v16.4s, v17.4s\n fmla v5.4s, v16.4s, v17.4s\n"
                         "fmla v6.4s, v16.4s, v17.4s\n fmla v7.4s, v16.4s, v17.4s\n"
                         "fmla v8.4s, v16.4s, v17.4s\n fmla v9.4s, v16.4s, v17.4s\n"
                         "fmla v10.4s, v16.4s, v17.4s\n fmla v11.4s, v16.4s, v17.4s\n" ::
                             : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
                               "v11");
}

#endif

typedef struct Peak {
    Burst burst;
    double instructions; /* operations of one, times those of a burst */
    int threads;
    atomic_int *here;
    atomic_llong *total; /* operations per second, of all threads */
} Peak;

/* The best of a few short bursts of one thread, begun when all are there, as far as they come soon:
 * threads of one core take from each other. Each counts once: the jobs of those that do not come are
 * passed over. */
static void measure_peak(const void *args, Part *part)
{
    const Peak *p = args;
    double best = 1e9, start = now_ms();
    part_next(part);
    atomic_fetch_add(p->here, 1);
    while (atomic_load(p->here) < p->threads && now_ms() - start < MEET_MS)
        ;
    for (int burst = 0; burst < 12; burst++) {
        start = now_ms();
        p->burst();
        double t = now_ms() - start;
        best = t > 0 && t < best ? t : best;
    }
    atomic_fetch_add(p->total, (long long)(p->instructions / best * 1e3));
    while (part_next(part) >= 0)
        ;
}

/* Gop/s of all threads together. */
static double peak(Burst burst, double ops_per_instruction, Pool *pool, int threads)
{
    atomic_int here = 0;
    atomic_llong total = 0;
    Peak p = {burst, ops_per_instruction * ROUNDS * UNROLL, threads, &here, &total};
    pool_run(pool, threads, threads, 1, measure_peak, &p);
    return (double)total * 1e-9;
}

static void measure_once(CpuProbe *p, Pool *pool, int threads)
{
#if defined(__x86_64__)
    const CpuFeatures *f = cpu_features();
    if (f->avx512)
        p->gops_f32 = peak(burst_fma_zmm, 32, pool, threads);
    else if (f->avx2)
        p->gops_f32 = peak(burst_fma_ymm, 16, pool, threads);
    else
        p->gops_f32 = peak(burst_sse, 4, pool, threads);
    p->gops_bf16 = f->avx512bf16 ? peak(burst_bf16, 64, pool, threads) : 0;
    p->gops_fp16 = f->avx512fp16 ? peak(burst_fp16, 64, pool, threads) : 0;
    p->gops_int8 = f->avx512vnni ? peak(burst_int8, 128, pool, threads) : 0;
#elif defined(__aarch64__)
    p->gops_f32 = peak(burst_fmla, 8, pool, threads);
#else
    (void)pool, (void)threads;
#endif
}

static void keep_best(CpuProbe *p, const CpuProbe *other)
{
    p->gops_f32 = fmax(p->gops_f32, other->gops_f32);
    p->gops_bf16 = fmax(p->gops_bf16, other->gops_bf16);
    p->gops_fp16 = fmax(p->gops_fp16, other->gops_fp16);
    p->gops_int8 = fmax(p->gops_int8, other->gops_int8);
}

static bool same_peaks(const CpuProbe *a, const CpuProbe *b)
{
    return a->gops_f32 == b->gops_f32 && a->gops_bf16 == b->gops_bf16 &&
           a->gops_fp16 == b->gops_fp16 && a->gops_int8 == b->gops_int8;
}

/* The best of several rounds: other programs only take away. False: there is no memory for it. */
static bool measure(CpuProbe *p, int threads)
{
    Pool *pool = pool_new(threads);
    for (int i = 0; pool && i < REPEATS; i++) {
        CpuProbe one = {0};
        measure_once(&one, pool, threads);
        keep_best(p, &one);
    }
    pool_free(pool);
    return pool != NULL;
}

/* --- the cache --------------------------------------------------------------------------------- */

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

static bool read_figure(const json_t *o, const char *key, double *v, const char *file)
{
    Error ignored = {0};
    return json_get_real(o, key, -1, v, file, &ignored) && *v >= 0 && *v < 1e9;
}

static bool read_cached(const json_t *o, CpuProbe *p, int *threads, const char *file)
{
    CpuProbe got = *p;
    int64_t version, with;
    char cpu[sizeof got.cpu];
    Error ignored = {0};
    bool ok = json_get_int(o, "version", 0, 0, 1000, &version, file, &ignored) &&
              version == CACHE_VERSION && read_name(o, "cpu", cpu, sizeof cpu, file) &&
              !strcmp(cpu, p->cpu) &&
              json_get_int(o, "threads", 0, 0, 65536, &with, file, &ignored) &&
              read_name(o, "bf16", got.bf16_kernel, sizeof got.bf16_kernel, file) &&
              read_figure(o, "gops_f32", &got.gops_f32, file) &&
              read_figure(o, "gops_bf16", &got.gops_bf16, file) &&
              read_figure(o, "gops_fp16", &got.gops_fp16, file) &&
              read_figure(o, "gops_int8", &got.gops_int8, file);
    if (!ok || (strcmp(got.bf16_kernel, "bf16") && strcmp(got.bf16_kernel, "widened")))
        return false;
    *p = got;
    *threads = (int)with;
    return true;
}

static bool cache_load(CpuProbe *p, int *threads)
{
    StrBuf path = {0};
    Error ignored = {0};
    bool ok = false;
    if (cache_path(&path, p->cpu, false) && file_exists(path.data)) {
        json_t *o = json_load_path(path.data, 65536, ERR_FAILED, &ignored);
        ok = json_is_object(o) && read_cached(o, p, threads, path.data);
        json_decref(o);
    }
    strbuf_free(&path);
    return ok;
}

static void cache_store(const CpuProbe *p, int threads)
{
    StrBuf path = {0};
    Error ignored = {0};
    json_t *o =
        json_pack("{s:i,s:s,s:i,s:s,s:f,s:f,s:f,s:f}", "version", CACHE_VERSION, "cpu", p->cpu,
                  "threads", threads, "bf16", p->bf16_kernel, "gops_f32", p->gops_f32, "gops_bf16",
                  p->gops_bf16, "gops_fp16", p->gops_fp16, "gops_int8", p->gops_int8);
    char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
    if (text && cache_path(&path, p->cpu, true))
        file_write(path.data, &(Piece){text, strlen(text)}, 1, WRITE_FILE, &ignored);
    free(text);
    json_decref(o);
    strbuf_free(&path);
}

static void name_cpu(CpuProbe *p)
{
    const char *const *isas = cpu_isas();
    memset(p, 0, sizeof *p);
    snprintf(p->cpu, sizeof p->cpu, "%s", cpu_features()->model);
    while (isas[1])
        isas++;
    snprintf(p->isa, sizeof p->isa, "%s", isas[0]);
}

const char *cpu_better_bf16(const CpuProbe *p)
{
    return p->gops_bf16 > WORTH_IT * p->gops_f32 ? "bf16" : "widened";
}

static void measure_and_store(CpuProbe *p, int threads)
{
    bool measured = measure(p, threads);
    snprintf(p->bf16_kernel, sizeof p->bf16_kernel, "%s", cpu_better_bf16(p));
    if (measured)
        cache_store(p, threads);
}

void cpu_probe(CpuProbe *p, int threads)
{
    int stored_threads = 0;
    name_cpu(p);
    p->from_cache = cache_load(p, &stored_threads);
    if (!p->from_cache)
        measure_and_store(p, threads > 0 ? threads : cpus_usable());
}

void cpu_measure(CpuProbe *p, int threads, bool renew)
{
    CpuProbe stored;
    int stored_threads = 0;
    threads = threads > 0 ? threads : cpus_usable();
    name_cpu(p);
    stored = *p;
    p->from_cache = !renew && cache_load(&stored, &stored_threads);
    if (!p->from_cache) {
        measure_and_store(p, threads);
        return;
    }
    measure(p, threads);
    strcpy(p->bf16_kernel, stored.bf16_kernel);
    CpuProbe best = *p;
    if (stored_threads == threads)
        keep_best(&best, &stored);
    if (stored_threads != threads || !same_peaks(&best, &stored))
        cache_store(&best, threads);
}
