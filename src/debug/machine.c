/* debug/machine.c: what this machine is and can do, and models that exist only to be timed. */
#include "blip2_debug.h"

#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/sys.h"
#include "cpu/cpu.h"
#include "cpu/isa.h"
#include "cuda/cuda.h"
#include "image/image.h"
#include "models/facts.h"
#include "net/http.h"

/* The kernel set that a session gets here, which $BLIP2_ISA may have fixed. */
static bool kernels_in_use(blip2_machine *m, Error *e)
{
    Device *dev = cpu_device(e);
    StreamOptions o = {.threads = m->threads, .precision = PREC_FAST};
    Stream *on = dev ? dev->stream(dev, &o, e) : NULL;
    if (on) {
        snprintf(m->isa, sizeof m->isa, "%s", on->isa);
        snprintf(m->bf16_kernel, sizeof m->bf16_kernel, "%s",
                 cpu_kernel_name(on, BF16, ROLE_ENCODE));
        snprintf(m->f16_kernel, sizeof m->f16_kernel, "%s", cpu_kernel_name(on, F16, ROLE_ENCODE));
        on->close(on);
    }
    if (dev)
        dev->close(dev);
    return on != NULL;
}

static void measure(blip2_machine *m, blip2_measure how)
{
    enum { ROUNDS = 5 };
    CpuProbe p;
    CpuPeaks best = {0};
    CpuMeter *meter = cpu_meter_new(m->threads);
    cpu_probe(&p, m->threads, how == BLIP2_MEASURE_RENEW);
    for (int i = 0; meter && i < ROUNDS; i++)
        cpu_meter_peaks(meter, &best);
    cpu_meter_free(meter);
    m->gops_f32 = best.f32;
    m->gops_bf16 = best.bf16;
    m->gops_fp16 = best.fp16;
    m->gops_int8 = best.int8;
    m->probe_cached = p.from_cache;
    m->probe_doubtful = strcmp(p.bf16_kernel, cpu_better_bf16(&best)) != 0;
    m->gbs_mapped = cpu_bandwidth(m->threads, false);
    m->gbs_huge = cpu_bandwidth(m->threads, true);
}

/* The card that models go to, or why none. */
static bool look_for_card(blip2_machine *m, const char *device, Error *e)
{
    DeviceChoice on;
    CudaCard card;
    Error why = {0};
    snprintf(m->device, sizeof m->device, "cpu");
    if (!api_device_choice(device, &on, e) || on.kind == DEVICE_CPU)
        return !e->code;
    if (!cuda_card(on.card, &card, on.kind == DEVICE_CUDA ? e : &why)) {
        snprintf(m->no_card, sizeof m->no_card, "%.*s", (int)sizeof m->no_card - 1, why.message);
        return on.kind == DEVICE_AUTO;
    }
    snprintf(m->device, sizeof m->device, "cuda:%d", on.card);
    snprintf(m->card, sizeof m->card, "%s", card.name);
    m->card_memory = card.memory;
    m->card_available = card.available;
    m->driver = card.driver;
    return true;
}

bool blip2_debug_machine(blip2_machine *m, const char *device, int threads, blip2_measure how,
                         blip2_error *err)
{
    Error e = {0};
    *m = (blip2_machine){.threads = threads > 0 ? threads : cpus_usable()};
    if (how != BLIP2_MEASURE_NOTHING)
        measure(m, how);
    if (!look_for_card(m, device, &e) ||
        !kernels_in_use(m, &e)) /* opens a stream, which makes the choice where there is none */
        return api_error(err, &e);
    snprintf(m->cpu, sizeof m->cpu, "%s", cpu_features()->model);
    m->isas = cpu_isas();
    m->memory = mem_physical();
    m->memory_available = mem_available();
    return true;
}

_Static_assert((int)BLIP2_DEBUG_FORMATS == (int)PICTURE_FORMATS, "the same list");

void blip2_debug_formats(const char *name[BLIP2_DEBUG_FORMATS])
{
    picture_formats(name);
}

const char *blip2_debug_downloads(void)
{
    return http_library();
}

/* Of what is not quantised. */
static DType synthetic_type(blip2_dtype dtype)
{
    return dtype == BLIP2_F32 ? F32 : dtype == BLIP2_F16 ? F16 : BF16;
}

static bool bytes_needed(const ModelConfig *k, blip2_dtype dtype, uint64_t *bytes, Error *e)
{
    bool ok = model_random_bytes(k, synthetic_type(dtype), api_preset(dtype), bytes, e);
    *bytes += ok ? model_working_bytes(k) : 0;
    return ok;
}

/* The system gives memory when it is written to, and ends the process when there is no more: so it is asked
 * before. */
static bool synthetic_fits(Device *dev, const ModelConfig *k, const char *name, blip2_dtype dtype,
                           Error *e)
{
    uint64_t need = 0, small = 0, have = dev->available(dev);
    const char *preset = preset_name(api_preset(dtype));
    if (!bytes_needed(k, dtype, &need, e) || !bytes_needed(k, BLIP2_INT4, &small, e))
        return false;
    if (need <= have)
        return true;
    error_set(e, ERR_MEMORY, "%s: memory: expected %.1f GB for %s, got %.1f GB available", name,
              (double)need / 1e9, preset ? preset : dtype_name(synthetic_type(dtype)),
              (double)have / 1e9);
    if (dtype != BLIP2_INT4)
        error_add(e, "; --dtype int4 needs %.1f GB", (double)small / 1e9);
    return false;
}

blip2_model *blip2_synthetic(const char *type, blip2_dtype dtype, const char *device,
                             blip2_error *err)
{
    Error e = {0};
    DeviceChoice on;
    ModelConfig config;
    blip2_model *m = NULL;
    if (api_device_choice(device, &on, &e) && zoo_config(&config, type, &e) &&
        api_check_dtype(dtype, &e))
        m = api_model_new(dtype, &on, type, &e);
    if (m && synthetic_fits(m->dev, &config, type, dtype, &e)) {
        error_set(&m->no_tokenizer, ERR_NO_MODEL, "%s: a synthetic model has no tokenizer", type);
        m->net = model_random(m->dev, &config, synthetic_type(dtype), api_preset(dtype), 1, &e);
    }
    if (m && m->net && api_describe(m, type, &e))
        return m;
    blip2_model_free(m);
    api_error(err, &e);
    return NULL;
}
