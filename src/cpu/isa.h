/* cpu/isa.h: which kernel sets are built in, and which of them this CPU can run. */
#ifndef CPU_ISA_H
#define CPU_ISA_H

#include "tensor/backend.h"

typedef struct CpuFeatures {
    char model[128]; /* "AMD EPYC (family 26 model 2 stepping 1)": hypervisors hide the rest */
    bool avx2;       /* AVX2, FMA, F16C, and the system saves their registers */
    bool avx512;     /* F, BW, VL, DQ, likewise */
    bool avx512bf16; /* and BF16, VNNI */
    bool avx512vnni, avx512fp16;
} CpuFeatures;

const CpuFeatures *cpu_features(void);

typedef struct Isa {
    const char *name;
    void (*install[5])(Backend *);
} Isa;

/* NULL: unknown, not built in, or not usable on this CPU. */
const Isa *isa_find(const char *name);

#endif
