/* cpu/peak.h: what this CPU's instructions are worth at this moment. */
#ifndef CPU_PEAK_H
#define CPU_PEAK_H

#include "cpu/cpu.h"
#include "cpu/pool.h"

/* One round: of each instruction the best of a few short bursts, on all threads together; 1 to 2 ms each. */
void peaks_measure(CpuPeaks *p, Pool *pool, int threads);

#endif
