/* cpu/isa.c: cpuid, and the table of kernel sets. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "cpu/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static CpuFeatures features;
static const char *usable[8];
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)

static bool bit(unsigned word, int i)
{
    return word >> i & 1;
}

/* Which register files the operating system saves: XCR0 (SDM volume 1, 13.3). */
static unsigned xcr0(void)
{
    unsigned lo, hi;
    __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

static void read_model(void)
{
    unsigned r[12] = {0}, a = 0, b, c, d;
    char name[49] = "x86-64";
    if (__get_cpuid(0x80000004, &a, &b, &c, &d)) {
        for (unsigned i = 0; i < 3; i++)
            __get_cpuid(0x80000002 + i, r + 4 * i, r + 4 * i + 1, r + 4 * i + 2, r + 4 * i + 3);
        memcpy(name, r, 48);
        name[48] = 0;
    }
    for (size_t n = strlen(name); n > 0 && name[n - 1] == ' '; n--)
        name[n - 1] = 0;
    __get_cpuid(1, &a, &b, &c, &d);
    unsigned family = (a >> 8 & 15) == 15 ? 15 + (a >> 20 & 255) : a >> 8 & 15;
    unsigned model = (a >> 4 & 15) | (a >> 16 & 15) << 4;
    snprintf(features.model, sizeof features.model, "%s (family %u model %u stepping %u)", name,
             family, model, a & 15);
}

static void read_features(void)
{
    unsigned a = 0, b, c = 0, d, b7 = 0, c7 = 0, d7 = 0, a71 = 0;
    read_model();
    if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27)) /* OSXSAVE */
        return;
    unsigned c1 = c, saved = xcr0();
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
        return;
    if (a >= 1)
        __get_cpuid_count(7, 1, &a71, &b, &c, &d);
    bool ymm = (saved & 6) == 6, zmm = (saved & 0xe6) == 0xe6;
    features.avx2 = ymm && bit(c1, 12) && bit(c1, 28) && bit(c1, 29) && bit(b7, 5);
    features.avx512 =
        features.avx2 && zmm && bit(b7, 16) && bit(b7, 17) && bit(b7, 30) && bit(b7, 31);
    features.avx512vnni = features.avx512 && bit(c7, 11);
    features.avx512fp16 = features.avx512 && bit(d7, 23);
    features.avx512bf16 = features.avx512vnni && bit(a71, 5);
}

#else

static void read_features(void)
{
    snprintf(features.model, sizeof features.model, "generic");
}

#endif

#define ISA_ENTRY(isa)                                                         \
    {                                                                          \
#isa,                                                                  \
        {                                                                      \
            install_linear_##isa, install_attention_##isa, install_rows_##isa, \
                install_select_##isa, install_back_##isa                       \
        }                                                                      \
    }

/* Best last. */
static const Isa built_in[] = {
    ISA_ENTRY(portable),
#ifdef HAVE_ISA_neon
    ISA_ENTRY(neon),
#endif
#ifdef HAVE_ISA_avx2
    ISA_ENTRY(avx2),
#endif
#ifdef HAVE_ISA_avx512
    ISA_ENTRY(avx512),
#endif
#ifdef HAVE_ISA_avx512bf16
    ISA_ENTRY(avx512bf16),
#endif
};

/* Sets of AVX-512 that are computed with AVX2, for tests only: tests/emulate. */
#ifdef EMULATED_ISA
static const bool emulated = true;
#else
static const bool emulated = false;
#endif

static bool runs_here(const char *name)
{
    if (emulated && !strncmp(name, "avx512", 6))
        return features.avx2;
    if (!strcmp(name, "avx2"))
        return features.avx2;
    if (!strcmp(name, "avx512"))
        return features.avx512;
    if (!strcmp(name, "avx512bf16"))
        return features.avx512bf16;
    return true;
}

static void look(void)
{
    int n = 0;
    read_features();
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        if (runs_here(built_in[i].name))
            usable[n++] = built_in[i].name;
}

const CpuFeatures *cpu_features(void)
{
    pthread_once(&once, look);
    return &features;
}

const char *const *cpu_isas(void)
{
    pthread_once(&once, look);
    return usable;
}

const Isa *isa_find(const char *name)
{
    pthread_once(&once, look);
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        if (!strcmp(built_in[i].name, name) && runs_here(name))
            return &built_in[i];
    return NULL;
}
