/* cpu/peak.c: see cpu/peak.h. */
#include <math.h>
#include <stdatomic.h>
#include "base/sys.h"
#include "cpu/isa.h"
#include "cpu/peak.h"

enum { ROUNDS = 2000, UNROLL = 12, MEET_MS = 1 };

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

void peaks_measure(CpuPeaks *p, Pool *pool, int threads)
{
    *p = (CpuPeaks){0};
#if defined(__x86_64__)
    const CpuFeatures *f = cpu_features();
    if (f->avx512)
        p->f32 = peak(burst_fma_zmm, 32, pool, threads);
    else if (f->avx2)
        p->f32 = peak(burst_fma_ymm, 16, pool, threads);
    else
        p->f32 = peak(burst_sse, 4, pool, threads);
    p->bf16 = f->avx512bf16 ? peak(burst_bf16, 64, pool, threads) : 0;
    p->fp16 = f->avx512fp16 ? peak(burst_fp16, 64, pool, threads) : 0;
    p->int8 = f->avx512vnni ? peak(burst_int8, 128, pool, threads) : 0;
#elif defined(__aarch64__)
    p->f32 = peak(burst_fmla, 8, pool, threads);
#else
    (void)pool, (void)threads;
#endif
}

void cpu_peaks_keep(CpuPeaks *best, const CpuPeaks *other)
{
    best->f32 = fmax(best->f32, other->f32);
    best->bf16 = fmax(best->bf16, other->bf16);
    best->fp16 = fmax(best->fp16, other->fp16);
    best->int8 = fmax(best->int8, other->int8);
}
