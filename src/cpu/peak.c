/* cpu/peak.c: see cpu/peak.h. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include "base/sys.h"
#include "cpu/isa.h"
#include "cpu/peak.h"

enum { ROUNDS = 2000, UNROLL = 12, MEET_MS = 1, SOME = 12, SUSTAINED_MS = 10 };

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
BURST(burst_vnni16, "avx512f", "vpdpwssd", "zmm")

/* Without VNNI it takes two instructions. */
#define BURST_MADD16(name, features, reg)                                                        \
    __attribute__((target(features), noinline)) static void name(void)                           \
    {                                                                                            \
        int rounds = ROUNDS;                                                                     \
        __asm__ volatile("1:\n .irp r,0,1,2,3,4,5,6,7,8,9,10,11\n"                               \
                         "vpmaddwd %%" reg "14, %%" reg "15, %%" reg "13\n"                      \
                         "vpaddd %%" reg "13, %%" reg "\\r, %%" reg "\\r\n .endr\n"              \
                         "dec %0\n jnz 1b\n vzeroupper\n"                                        \
                         : "+r"(rounds)                                                          \
                         :                                                                       \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
                           "xmm8", "xmm9", "xmm10", "xmm11", "xmm13", "xmm14", "xmm15");         \
    }
BURST_MADD16(burst_madd16_ymm, "avx2", "ymm")
BURST_MADD16(burst_madd16_zmm, "avx512f", "zmm")

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

/* The instruction of a kernel, and its operations; none where there is none. */
typedef struct Kind {
    Burst burst;
    double ops;
} Kind;

static Kind kind_of(const char *kernel)
{
    const CpuFeatures *f = cpu_features();
#if defined(__x86_64__)
    if (!strcmp(kernel, "bf16"))
        return f->avx512bf16 ? (Kind){burst_bf16, 64} : (Kind){0};
    if (!strcmp(kernel, "fp16"))
        return f->avx512fp16 ? (Kind){burst_fp16, 64} : (Kind){0};
    if (!strcmp(kernel, "int8"))
        return f->avx512vnni ? (Kind){burst_int8, 128} : (Kind){0};
    if (!strcmp(kernel, "int16"))
        return f->avx512bf16 ? (Kind){burst_vnni16, 64}
               : f->avx512   ? (Kind){burst_madd16_zmm, 64}
               : f->avx2     ? (Kind){burst_madd16_ymm, 32}
                             : (Kind){0};
    return f->avx512 ? (Kind){burst_fma_zmm, 32}
           : f->avx2 ? (Kind){burst_fma_ymm, 16}
                     : (Kind){burst_sse, 4};
#elif defined(__aarch64__)
    (void)f;
    return !strcmp(kernel, "f32") || !strcmp(kernel, "widened") ? (Kind){burst_fmla, 8} : (Kind){0};
#else
    (void)f, (void)kernel;
    return (Kind){0};
#endif
}

typedef struct Peak {
    Burst burst;
    double instructions; /* operations of one, times those of a burst */
    int threads;
    bool sustained;
    atomic_int *here;
    atomic_llong *total; /* operations per second, of all threads */
} Peak;

/* ms of one burst: the best of a few. */
static double best_burst(Burst burst)
{
    double best = 1e9;
    for (int i = 0; i < SOME; i++) {
        double start = now_ms();
        burst();
        double t = now_ms() - start;
        best = t > 0 && t < best ? t : best;
    }
    return best;
}

/* The mean of as many as fill the time. */
static double mean_burst(Burst burst)
{
    double start = now_ms(), took = 0;
    int n = 0;
    while (took < SUSTAINED_MS) {
        for (int i = 0; i < SOME; i++, n++)
            burst();
        took = now_ms() - start;
    }
    return took / n;
}

/* One thread's part, begun when all are there, as far as they come soon: threads of one core take from each other.
 * Each counts once: the jobs of those that do not come are passed over. */
static void measure_peak(const void *args, Part *part)
{
    const Peak *p = args;
    double start = now_ms();
    part_next(part);
    atomic_fetch_add(p->here, 1);
    while (atomic_load(p->here) < p->threads && now_ms() - start < MEET_MS)
        ;
    double ms = p->sustained ? mean_burst(p->burst) : best_burst(p->burst);
    atomic_fetch_add(p->total, (long long)(p->instructions / ms * 1e3));
    while (part_next(part) >= 0)
        ;
}

/* Gop/s of all threads together. */
static double peak(const char *kernel, bool sustained, Pool *pool, int threads)
{
    const Kind k = kind_of(kernel);
    atomic_int here = 0;
    atomic_llong total = 0;
    Peak p = {k.burst, k.ops * ROUNDS * UNROLL, threads, sustained, &here, &total};
    if (!k.burst)
        return 0;
    pool_run(pool, threads, threads, 1, measure_peak, &p);
    return (double)total * 1e-9;
}

void peaks_measure(CpuPeaks *p, Pool *pool, int threads)
{
    p->f32 = peak("f32", false, pool, threads);
    p->bf16 = peak("bf16", false, pool, threads);
    p->fp16 = peak("fp16", false, pool, threads);
    p->int8 = peak("int8", false, pool, threads);
}

double peak_sustained(const char *kernel, Pool *pool, int threads)
{
    return peak(kernel, true, pool, threads);
}

void cpu_peaks_keep(CpuPeaks *best, const CpuPeaks *other)
{
    best->f32 = fmax(best->f32, other->f32);
    best->bf16 = fmax(best->bf16, other->bf16);
    best->fp16 = fmax(best->fp16, other->fp16);
    best->int8 = fmax(best->int8, other->int8);
}
