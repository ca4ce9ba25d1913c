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

/* What the instructions of this CPU are worth, and which kernel was chosen for that. Stored per CPU
 * model in $XDG_CACHE_HOME/blip2/cpu-MODEL.json (or ~/.cache), so that results do not change from one
 * start to the next. */
typedef struct CpuProbe {
    char cpu[128];        /* model name from cpuid */
    char isa[32];         /* best kernel set */
    char bf16_kernel[16]; /* "bf16" (vdpbf16ps) or "widened" (f32 FMA on widened weights) */
    double gops_f32, gops_bf16, gops_fp16, gops_int8; /* peak of the instruction, 0: not there */
    bool from_cache;                                  /* the choice was made earlier */
} CpuProbe;
/* The stored choice with the peaks stored beside it, of any number of threads; measured (a few ms) and
 * stored when there is none. threads 0: as many as this process may use. */
void cpu_probe(CpuProbe *p, int threads);
/* Peaks measured now. The stored choice stays, and a stored peak stays unless it is exceeded: it may
 * come from a busy moment. `renew`: choice and peaks are stored afresh, whatever was there. */
void cpu_measure(CpuProbe *p, int threads, bool renew);
/* The kernel for bf16 weights that these peaks speak for. */
const char *cpu_better_bf16(const CpuProbe *p);

/* Name of the kernel that `linear` uses on a stream of the CPU for a weight type: "f32", "widened",
 * "bf16". */
const char *cpu_kernel_name(const Stream *on, DType weight);

/* Measured read bandwidth in GB/s: of a mapped file on small pages, and of huge pages. */
double cpu_bandwidth(int threads, bool huge);

#endif
