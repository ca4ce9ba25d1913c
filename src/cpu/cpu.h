/* cpu/cpu.h: the CPU backend. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "tensor/backend.h"

/* Opens the CPU: memory is the host's (base/mem.h), weights are read where they lie. NULL:
 * ERR_MEMORY. Free with dev->close(dev).
 *
 * StreamOptions.isa: portable, avx2, avx512, avx512bf16, neon; PREC_FAST may choose by measurement,
 * see cpu_probe. Errors of `stream`: ERR_USAGE (unknown ISA, or one this CPU lacks, with the list of
 * those it has), ERR_MEMORY. */
Device *cpu_device(Error *e);

/* NULL-terminated list of the kernel sets that are built in and that this CPU can run, best last. */
const char *const *cpu_isas(void);

/* Which kernels this CPU gets. Stored per CPU model in $XDG_CACHE_HOME/blip2/cpu-MODEL.json (or ~/.cache), so that
 * results do not change from one start to the next. */
typedef struct CpuProbe {
    char cpu[128];        /* model name from cpuid */
    char isa[32];         /* best kernel set */
    char bf16_kernel[16]; /* "bf16" (vdpbf16ps) or "widened" (f32 FMA on widened weights) */
    bool from_cache;      /* the choice was made earlier */
} CpuProbe;
/* The stored choice; measured (a few ms) and, unless other programs blur it, stored when there is none, or to
 * `renew` it. threads 0: as many as this process may use. */
void cpu_probe(CpuProbe *p, int threads, bool renew);

/* Peaks of instructions, of all threads together, in Gop/s; 0: not there. */
typedef struct CpuPeaks {
    double f32, bf16, fp16, int8;
} CpuPeaks;
/* Raises best to what is more in `other`. */
void cpu_peaks_keep(CpuPeaks *best, const CpuPeaks *other);
/* The kernel for bf16 weights that these peaks speak for. */
const char *cpu_better_bf16(const CpuPeaks *p);

/* Measures this machine, again and again, in turn with what shall be set against it: both see the same neighbours.
 * threads 0: as many as this process may use. NULL: out of memory. */
typedef struct CpuMeter CpuMeter;
CpuMeter *cpu_meter_new(int threads);
void cpu_meter_free(CpuMeter *m);
/* A few ms; raises best. */
void cpu_meter_peaks(CpuMeter *m, CpuPeaks *best);
/* What it gives now to the instruction of a kernel (cpu_kernel_name), for some 10 ms, in Gop/s; 0: unknown. */
double cpu_meter_gops(CpuMeter *m, const char *kernel);
/* GB/s of one pass over a buffer that no cache holds, of a mapped file on small pages or on huge ones; 0: no memory. */
double cpu_meter_read(CpuMeter *m, bool huge);
size_t cpu_meter_bytes(const CpuMeter *m); /* of its buffers */

/* What `linear` multiplies on a stream of the CPU, for a weight type: "f32", "widened" weights, "bf16" pairs, integers:
 * "int16", "int8". */
const char *cpu_kernel_name(const Stream *on, DType weight, Role role);

/* The best of such passes, for a sixth of a second. */
double cpu_bandwidth(int threads, bool huge);

#endif
