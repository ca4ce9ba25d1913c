/* cpu/kernels.h: how the kernel files (k_*.c) meet the device's streams (cpu.c).
 *
 * Every k_*.c is compiled once per instruction set with ISA=<name> and ISA_<name>=1 defined. What
 * other files call is named by ISA_SYM, one symbol per set: install_<family>, which puts a family's
 * entries into a Backend table, and what families share (linear.h, tile.h). cpu.c fills the table of
 * the chosen set when a stream is opened.
 *
 * Work is shared out by cpu/pool.h; activations come from cpu/activation.h, SIMD from cpu/vec.h. */
#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include "cpu/pool.h"
#include "tensor/backend.h"
#include "tensor/host.h"

#define ISA_CAT2(a, b) a##_##b
#define ISA_CAT(a, b)  ISA_CAT2(a, b)
#define ISA_SYM(name)  ISA_CAT(name, ISA)

/* The five families, declared for every instruction set that the build knows. */
#define DECLARE_ISA(isa)                                                                      \
    void install_linear_##isa(Backend *b);    /* k_linear.c: linear */                        \
    void install_attention_##isa(Backend *b); /* k_attention.c: attention, attention_slots */ \
    void install_rows_##isa(Backend *b);      /* k_rows.c: the other forward functions */     \
    void install_select_##isa(Backend *b);    /* k_select.c: log_softmax, top_k */            \
    void install_back_##isa(Backend *b);      /* k_back.c: all *_back and accumulate */
DECLARE_ISA(portable)
DECLARE_ISA(avx2)
DECLARE_ISA(avx512)
DECLARE_ISA(avx512bf16)
DECLARE_ISA(neon)

/* Which of two possible kernels `linear` uses for a bf16 weight (chosen by cpu_probe). */
typedef enum Kernel16 { K16_WIDENED, K16_NATIVE } Kernel16;

enum {
    SCRATCH_PACK_X,
    SCRATCH_LINEAR,
    SCRATCH_ATTENTION,
    SCRATCH_BACK,
    SCRATCH_SELECT,
    SCRATCH_COUNT
};

typedef struct CpuStream {
    Stream base;
    Backend table; /* base.k points here */
    Kernel16 bf16;
    Pool *pool;
    void *scratch[SCRATCH_COUNT];
    size_t scratch_size[SCRATCH_COUNT];
} CpuStream;

/* At least `bytes` of 64-byte aligned memory that stays until the next call with the same `which`.
 * NULL: out of memory. Called before work is shared out, never by a part of it. */
void *cpu_scratch(Stream *on, int which, size_t bytes);

/* pool_run and pool_each on the stream's threads. */
static inline __attribute__((unused)) void run_parts(Stream *on, int team, int jobs, int chunk,
                                                     PartFn fn, const void *args)
{
    pool_run(((CpuStream *)on)->pool, team, jobs, chunk, fn, args);
}

static inline __attribute__((unused)) void run_each(Stream *on, int team, int n, EachFn fn,
                                                    const void *args)
{
    pool_each(((CpuStream *)on)->pool, team, n, fn, args);
}

#endif
