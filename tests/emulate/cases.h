/* emulate/cases.h: instructions of AVX-512 over memory, once as avx512.h emulates them, once as the CPU has them. */
#ifndef EMULATE_CASES_H
#define EMULATE_CASES_H

#include <stdint.h>

enum { CASE_LANES = 16 };

/* What goes into an instruction and what comes out. */
typedef struct Case {
    uint32_t sum[CASE_LANES], a[CASE_LANES], b[CASE_LANES], y[CASE_LANES];
} Case;

typedef struct CaseOp {
    const char *name;
    void (*run)(Case *c);
} CaseOp;

/* Both end with a name that is NULL, and have the same order. */
extern const CaseOp cases_emulated[], cases_native[];

#endif
