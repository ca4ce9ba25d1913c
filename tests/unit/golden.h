/* golden.h: the tiny OPT model of tests/golden/opt and what the reference computed with it. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "card.h"
#include "ckpt/ckpt.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"
#include "models/blip2.h"

#ifndef GOLDEN
#define GOLDEN SOURCE_DIR "/tests/golden/opt"
#endif
enum { NQ = 6, BATCH = 2, PIXELS = 56, GOLDEN_VOCAB = 256 };

static Checkpoint *gold; /* opened by golden_setup */

static inline const CkptTensor *want(const char *name)
{
    CkptTensor *t = ckpt_find(gold, name);
    if (!t)
        fail_msg("goldens have no %s", name);
    return t;
}

static inline const float *want_f32(const char *name, size_t picture, size_t *n)
{
    const CkptTensor *t = want(name);
    assert_int_equal(t->dtype, F32);
    assert_int_equal((uintptr_t)t->data % 4, 0);
    *n = t->bytes / 4 / (size_t)t->shape[0];
    return (const float *)t->data + picture * *n;
}

static inline const float *golden_pixels(size_t picture)
{
    size_t n;
    const float *px = want_f32("pixel_values", picture, &n);
    assert_int_equal(n, 3 * PIXELS * PIXELS);
    return px;
}

static inline int64_t want_int(const char *name, size_t picture, size_t i)
{
    const CkptTensor *t = want(name);
    int64_t v;
    memcpy(&v, (const char *)t->data + 8 * (picture * (size_t)t->shape[1] + i), 8);
    return v;
}

/* The prompt ids of a picture without image placeholders and padding. */
static inline int prompt_of(size_t picture, int *ids)
{
    int n = 0, total = (int)want("input_ids")->shape[1];
    for (int i = NQ; i < total; i++)
        if (want_int("attention_mask", picture, (size_t)i))
            ids[n++] = (int)want_int("input_ids", picture, (size_t)i);
    return n;
}

/* The model on a device of its own. */
typedef struct Tiny {
    Device *dev;
    Stream *on;
    Blip2 *m;
} Tiny;

/* dev: NULL is a failure. isa: NULL is the best. */
static inline Tiny tiny_open_as(Device *dev, const char *isa, int threads, bool quantise)
{
    Error e = {0};
    Tiny t = {.dev = dev};
    if (dev)
        t.on = dev->stream(dev, &(StreamOptions){.threads = threads, .isa = isa}, &e);
    if (t.on)
        t.m = model_open(dev, GOLDEN, quantise ? PRESET_INT8 : PRESET_NONE, &e);
    if (!t.m)
        fail_msg("%s", e.message);
    return t;
}

/* The device of one of card_isas(). */
static inline Device *device_of(const char *isa, Error *e)
{
    return card_is(isa) ? cuda_device(0, e) : cpu_device(e);
}

static inline Tiny tiny_open(Device *dev, const char *isa, int threads)
{
    return tiny_open_as(dev, isa, threads, false);
}

static inline void tiny_close(Tiny *t)
{
    model_close(t->m);
    t->on->close(t->on);
    t->dev->close(t->dev);
}

static int golden_setup(void **state)
{
    Error e = {0};
    (void)state;
    gold = ckpt_open_file(GOLDEN "/goldens.safetensors", &e);
    if (!gold)
        print_error("%s\n", e.message);
    return gold ? 0 : 1;
}

static int golden_teardown(void **state)
{
    (void)state;
    ckpt_close(gold);
    return 0;
}

#endif
