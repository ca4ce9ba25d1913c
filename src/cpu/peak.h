/* cpu/peak.h: what this CPU's instructions are worth at this moment. */
#ifndef CPU_PEAK_H
#define CPU_PEAK_H

#include "cpu/cpu.h"
#include "cpu/pool.h"

/* One round: of each instruction the best of a few short bursts, on all threads together; 1 to 2 ms each. */
void peaks_measure(CpuPeaks *p, Pool *pool, int threads);

/* What a kernel's instruction ("f32", "widened", "bf16", "int16") gives on the whole while all threads run it for some
 * 10 ms, in Gop/s. The best of its bursts would be what other programs leave for a moment. 0: unknown. */
double peak_sustained(const char *kernel, Pool *pool, int threads);

#endif
