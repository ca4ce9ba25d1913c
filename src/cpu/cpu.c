/* cpu/cpu.c: opening the CPU as a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/sys.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "cpu/kernels.h"

void *cpu_scratch(Stream *on, int which, size_t bytes)
{
    CpuStream *c = (CpuStream *)on;
    if (bytes > c->scratch_size[which] || !c->scratch[which]) {
        mem_free(c->scratch[which]);
        c->scratch[which] = mem_alloc(bytes);
        c->scratch_size[which] = c->scratch[which] ? bytes : 0;
    }
    return c->scratch[which];
}

static void cpu_close(Stream *on)
{
    CpuStream *c = (CpuStream *)on;
    for (int i = 0; i < SCRATCH_COUNT; i++)
        mem_free(c->scratch[i]);
    mem_free(c);
}

static const char *best_isa(void)
{
    const char *const *all = cpu_isas();
    int n = 0;
    while (all[n])
        n++;
    return all[n - 1];
}

static const Isa *choose_isa(const char *asked, Error *e)
{
    if (!asked)
        asked = getenv("BLIP2_ISA");
    if (!asked || !*asked)
        asked = best_isa();
    const Isa *isa = isa_find(asked);
    if (isa)
        return isa;
    char list[128] = "";
    for (const char *const *p = cpu_isas(); *p; p++) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", *p);
    }
    error_set(e, ERR_USAGE, "cpu: instruction set: expected one of %s, got %.40s", list, asked);
    return NULL;
}

/* In PREC_F32 there is nothing to choose: 16-bit weights are widened. */
static bool choose_kernels(CpuStream *c, Error *e)
{
    c->bf16 = c->f16 = K16_WIDENED;
    if (c->base.precision != PREC_FAST || strcmp(c->base.isa, "avx512bf16") != 0)
        return true;
    CpuProbe probe;
    if (!cpu_probe(&probe, c->base.threads, e))
        return false;
    if (!strcmp(probe.bf16_kernel, "bf16"))
        c->bf16 = K16_NATIVE;
    return true;
}

Stream *cpu_open(const CpuOptions *o, Error *e)
{
    const Isa *isa = choose_isa(o->isa, e);
    if (!isa)
        return NULL;
    CpuStream *c = mem_calloc(1, sizeof *c);
    if (!c) {
        error_memory(e, "cpu: device", sizeof *c);
        return NULL;
    }
    c->table.name = "cpu";
    for (size_t i = 0; i < sizeof isa->install / sizeof *isa->install; i++)
        isa->install[i](&c->table);
    c->base.k = &c->table;
    c->base.precision = o->precision;
    c->base.threads = o->threads > 0 ? o->threads : cpus_usable();
    c->base.close = cpu_close;
    snprintf(c->base.isa, sizeof c->base.isa, "%s", isa->name);
    if (!choose_kernels(c, e)) {
        cpu_close(&c->base);
        return NULL;
    }
    return &c->base;
}

const char *cpu_kernel_name(const Stream *on, DType weight)
{
    const CpuStream *c = (const CpuStream *)on;
    bool fast = on->precision == PREC_FAST;
    switch (weight) {
    case BF16: return fast && c->bf16 == K16_NATIVE ? "bf16" : "widened";
    case F16: return fast && c->f16 == K16_NATIVE ? "fp16" : "widened";
    case I8: return "widened";
    default: return "f32";
    }
}
