/* cpu/cpu.c: the CPU as a device, and its streams. */
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

/* Device memory is the host's, and work is done when a kernel returns. */
static bool cpu_copy(Stream *on, void *to, const void *from, size_t bytes)
{
    (void)on;
    memcpy(to, from, bytes);
    return true;
}

static bool cpu_sync(Stream *on, Error *e)
{
    (void)on;
    (void)e;
    return true;
}

static void cpu_zero(Stream *on, void *p, size_t bytes)
{
    (void)on;
    memset(p, 0, bytes);
}

static void stream_close(Stream *on)
{
    CpuStream *c = (CpuStream *)on;
    for (int i = 0; i < SCRATCH_COUNT; i++)
        mem_free(c->scratch[i]);
    pool_free(c->pool);
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
static Kernel16 choose_bf16(const Stream *on)
{
    CpuProbe probe;
    if (on->precision != PREC_FAST || strcmp(on->isa, "avx512bf16") != 0)
        return K16_WIDENED;
    cpu_probe(&probe, on->threads, false);
    return strcmp(probe.bf16_kernel, "bf16") == 0 ? K16_NATIVE : K16_WIDENED;
}

static void fill_table(Backend *b, const Isa *isa)
{
    *b = (Backend){.upload = cpu_copy, .download = cpu_copy, .sync = cpu_sync, .zero = cpu_zero};
    for (size_t i = 0; i < sizeof isa->install / sizeof *isa->install; i++)
        isa->install[i](b);
}

static Stream *cpu_stream(Device *dev, const StreamOptions *o, Error *e)
{
    const Isa *isa = choose_isa(o->isa, e);
    if (!isa)
        return NULL;
    CpuStream *c = mem_calloc(1, sizeof *c);
    if (!c) {
        error_memory(e, "cpu: stream", sizeof *c);
        return NULL;
    }
    fill_table(&c->table, isa);
    c->base = (Stream){.k = &c->table,
                       .dev = dev,
                       .precision = o->precision,
                       .threads = o->threads > 0 ? o->threads : cpus_usable(),
                       .close = stream_close};
    snprintf(c->base.isa, sizeof c->base.isa, "%s", isa->name);
    c->pool = pool_new(c->base.threads);
    if (!c->pool) {
        mem_free(c);
        error_set(e, ERR_MEMORY, "cpu: threads: out of memory");
        return NULL;
    }
    c->bf16 = choose_bf16(&c->base);
    return &c->base;
}

/* --- the device -------------------------------------------------------------------------------- */

static void *cpu_alloc(Device *dev, size_t bytes)
{
    (void)dev;
    return mem_alloc(bytes);
}

static void cpu_free(Device *dev, void *p)
{
    (void)dev;
    mem_free(p);
}

static const void *cpu_place(Device *dev, const void *host, size_t bytes)
{
    (void)dev;
    (void)bytes;
    return host;
}

/* An eighth is left to what lies beside, the pages of mapped weights among it. Where the system does not
 * say, only alloc can tell. */
static size_t cpu_available(Device *dev)
{
    (void)dev;
    size_t n = mem_available();
    return n ? n - n / 8 : SIZE_MAX;
}

static void device_close(Device *dev)
{
    mem_free(dev);
}

Device *cpu_device(Error *e)
{
    Device *dev = mem_alloc(sizeof *dev);
    if (!dev) {
        error_memory(e, "cpu: device", sizeof *dev);
        return NULL;
    }
    *dev = (Device){.name = "cpu",
                    .alloc = cpu_alloc,
                    .free = cpu_free,
                    .place = cpu_place,
                    .available = cpu_available,
                    .late = true,
                    .stream = cpu_stream,
                    .close = device_close};
    return dev;
}

const char *cpu_kernel_name(const Stream *on, DType weight, Role role)
{
    const bool fast = on->precision == PREC_FAST;
    switch (weight) {
    case BF16:
        return role == ROLE_ENCODE && ((const CpuStream *)on)->bf16 == K16_NATIVE ? "bf16"
                                                                                  : "widened";
    case I8: return fast ? "int16" : "widened";
    case I4: return !fast ? "widened" : role == ROLE_DECODE ? "int8" : "int16";
    case F16: return "widened";
    default: return "f32";
    }
}
