/* emulate/choice.c: in place of cpu/probe.c where AVX-512 is emulated. There is nothing to measure: the kernel for
 * bf16 weights is the one with vdpbf16ps, which is what shall be tested. */
#include <stdio.h>
#include <string.h>
#include "cpu/cpu.h"

const char *cpu_better_bf16(const CpuPeaks *p)
{
    (void)p;
    return "bf16";
}

void cpu_probe(CpuProbe *p, int threads, bool renew)
{
    (void)threads, (void)renew;
    memset(p, 0, sizeof *p);
    snprintf(p->cpu, sizeof p->cpu, "emulated");
    snprintf(p->isa, sizeof p->isa, "avx512bf16");
    snprintf(p->bf16_kernel, sizeof p->bf16_kernel, "bf16");
}
