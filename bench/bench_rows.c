/* bench/bench_rows.c: the speed of what is no product with weights: norms, sums and copies of rows, and attention, at
 * the shapes of BLIP-2 with ViT-g, OPT-2.7B and Flan-T5 XL.
 *
 *     bench_rows [ISA] [THREADS]
 *
 * Per line: the median of the calls in microseconds, and GB/s of what is read and written, or GFLOP/s. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "cpu/cpu.h"
#include "tensor/host.h"
#include "timing.h"

static Tensor matrix(int rows, int cols)
{
    Tensor t = {.dtype = F32, .rows = rows, .cols = cols, .ld = cols};
    t.data = mem_alloc(sizeof(float) * (size_t)rows * (size_t)cols);
    if (!t.data)
        exit(1);
    for (size_t i = 0; i < (size_t)rows * (size_t)cols; i++)
        f32(&t)[i] = (float)rng_normal(1, i);
    return t;
}

/* --- rows ---------------------------------------------------------------------------------------- */

typedef struct Rows {
    Stream *on;
    Tensor x, y, mean, other;
    Param gamma, beta;
} Rows;

enum { MEAN_OF = 32 }; /* rows: the queries of a picture */

static void do_layernorm(void *with)
{
    Rows *r = with;
    r->on->k->layernorm(r->on, &r->y, &r->x, &r->gamma, &r->beta, 1e-5f);
}

static void do_rmsnorm(void *with)
{
    Rows *r = with;
    r->on->k->rmsnorm(r->on, &r->y, &r->x, &r->gamma, 1e-6f);
}

static void do_l2norm(void *with)
{
    Rows *r = with;
    r->on->k->l2norm(r->on, &r->y, &r->x, 1e-12f);
}

static void do_add(void *with)
{
    Rows *r = with;
    r->on->k->add(r->on, &r->y, &r->x, &r->other);
}

static void do_multiply(void *with)
{
    Rows *r = with;
    r->on->k->multiply(r->on, &r->y, &r->x, &r->other);
}

static void do_scale(void *with)
{
    Rows *r = with;
    r->on->k->accumulate(r->on, r->y.data, r->y.ld, r->x.data, r->x.ld, r->x.rows, r->x.cols, 0.5f);
}

static void do_mean(void *with)
{
    Rows *r = with;
    r->on->k->mean_rows(r->on, &r->mean, &r->x, MEAN_OF);
}

static void do_gelu(void *with)
{
    Rows *r = with;
    r->on->k->activate(r->on, &r->y, &r->x, ACT_GELU);
}

typedef struct RowKernel {
    const char *name;
    void (*call)(void *);
    int touched; /* matrices that are read or written */
} RowKernel;

static void measure_rows(Stream *on, int rows, int cols)
{
    static const RowKernel KERNELS[] = {
        {"layernorm", do_layernorm, 2}, {"rmsnorm", do_rmsnorm, 2},
        {"l2norm", do_l2norm, 2},       {"add", do_add, 3},
        {"multiply", do_multiply, 3},   {"accumulate", do_scale, 3},
        {"mean_rows", do_mean, 1},      {"gelu", do_gelu, 2},
    };
    Rows r = {.on = on, .x = matrix(rows, cols), .y = matrix(rows, cols)};
    Tensor gamma = matrix(1, cols);
    r.mean = matrix(rows / MEAN_OF + 1, cols);
    r.mean.rows = rows / MEAN_OF;
    r.other = matrix(rows, cols);
    r.gamma = (Param){.dtype = F32, .rows = 1, .cols = cols, .data = gamma.data};
    r.beta = r.gamma;
    for (size_t i = 0; i < sizeof KERNELS / sizeof *KERNELS; i++) {
        if (KERNELS[i].call == do_mean && rows % MEAN_OF)
            continue;
        double ms = time_calls(KERNELS[i].call, &r).median;
        double bytes = 4.0 * rows * cols * KERNELS[i].touched;
        printf("%-10s %4d x %-5d %10.1f us %6.1f GB/s\n", KERNELS[i].name, rows, cols, 1000 * ms,
               bytes / ms * 1e-6);
    }
    void *all[] = {r.x.data, r.y.data, r.mean.data, r.other.data, gamma.data};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

/* --- attention ----------------------------------------------------------------------------------- */

typedef struct Form {
    const char *name;
    int heads, width, nq, nk, groups; /* width: of a head */
    bool causal, bias;
} Form;

typedef struct Attend {
    Stream *on;
    AttentionArgs args;
    SlotAttentionArgs slots;
} Attend;

static void do_attention(void *with)
{
    Attend *a = with;
    a->on->k->attention(a->on, &a->args);
}

static void do_slots(void *with)
{
    Attend *a = with;
    a->on->k->attention_slots(a->on, &a->slots);
}

static void tell(const Form *f, const char *how, double ms, bool bytes)
{
    double pairs = (double)f->groups * f->nq * f->nk * (f->causal ? 0.5 : 1);
    double flop = 4 * pairs * f->heads * f->width;
    printf("%-26s %-6s %2d x %-3d %4d x %-4d of %d %10.1f us %6.1f %s\n", f->name, how, f->heads,
           f->width, f->nq, f->nk, f->groups, 1000 * ms, (bytes ? 2 : 1) * flop / ms * 1e-6,
           bytes ? "GB/s" : "GFLOP/s");
}

/* Groups in a row, or the same told as spans. */
static void measure_attention(Stream *on, const Form *f)
{
    int all = f->heads * f->width, far = f->nq > f->nk ? f->nq : f->nk;
    Tensor q = matrix(f->groups * f->nq, all), k = matrix(f->groups * f->nk, all);
    Tensor v = matrix(f->groups * f->nk, all), out = matrix(f->groups * f->nq, all);
    Tensor bias = matrix(2 * far + 1, f->heads);
    AttnSpan span[16];
    for (int i = 0; i < f->groups; i++)
        span[i] = (AttnSpan){i * f->nq, f->nq, i * f->nk, f->nk};
    Attend a = {.on = on};
    a.args = (AttentionArgs){.q = &q,
                             .k = &k,
                             .v = &v,
                             .out = &out,
                             .heads = f->heads,
                             .groups = f->groups,
                             .most_q = f->nq,
                             .most_k = f->nk,
                             .scale = 1 / sqrtf((float)f->width),
                             .bias = f->bias ? &bias : NULL,
                             .causal = f->causal};
    tell(f, "groups", time_calls(do_attention, &a).median, false);
    a.args.span = span;
    tell(f, "spans", time_calls(do_attention, &a).median, false);
    void *used[] = {q.data, k.data, v.data, out.data, bias.data};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        mem_free(used[i]);
}

/* Each of `groups` rows sees nk slots of its own in a cache. */
static void measure_slots(Stream *on, const Form *f)
{
    int all = f->heads * f->width, cached = f->groups * f->nk;
    Tensor q = matrix(f->groups, all), out = matrix(f->groups, all), k = matrix(cached, all);
    Tensor v = matrix(cached, all), bias = matrix(f->nk, f->heads);
    int *slots = mem_alloc(sizeof *slots * (size_t)cached), first[16], n[16];
    for (int i = 0; slots && i < cached; i++)
        slots[i] = i;
    for (int i = 0; i < f->groups; i++) {
        first[i] = i * f->nk;
        n[i] = f->nk;
    }
    Attend a = {.on = on};
    a.slots = (SlotAttentionArgs){.q = &q,
                                  .out = &out,
                                  .k = {F32, k.data},
                                  .v = {F32, v.data},
                                  .slots = slots,
                                  .first = first,
                                  .n = n,
                                  .heads = f->heads,
                                  .scale = 1,
                                  .bias = f->bias ? &bias : NULL};
    tell(f, "slots", time_calls(do_slots, &a).median, true);
    void *used[] = {q.data, out.data, k.data, v.data, bias.data, slots};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        mem_free(used[i]);
}

int main(int argc, char **argv)
{
    static const Form FULL[] = {
        {"ViT-g, 224 pixels", 16, 88, 257, 257, 1, false, false},
        {"ViT-g, 364 pixels", 16, 88, 677, 677, 1, false, false},
        {"Q-Former, picture", 12, 64, 32, 257, 8, false, false},
        {"Q-Former, pairs", 12, 64, 41, 41, 8, false, false},
        {"OPT, prompt", 32, 80, 41, 41, 1, true, false},
        {"T5, encoder", 32, 64, 41, 41, 8, false, true},
    };
    static const Form STEP[] = {
        {"OPT, step", 32, 80, 1, 48, 1, false, false},
        {"OPT, five beams", 32, 80, 1, 48, 5, false, false},
        {"T5, step", 32, 64, 1, 8, 5, false, true},
        {"T5, what was encoded", 32, 64, 1, 41, 5, false, false},
    };
    Error e = {0};
    StreamOptions o = {.threads = argc > 2 ? atoi(argv[2]) : 0};
    o.isa = argc > 1 && strcmp(argv[1], "auto") != 0 ? argv[1] : NULL;
    Device *dev = cpu_device(&e);
    Stream *on = dev ? dev->stream(dev, &o, &e) : NULL;
    if (!on) {
        fprintf(stderr, "%s\n", e.message);
        return 1;
    }
    printf("%s, %d threads\n", on->isa, on->threads);
    measure_rows(on, 257, 1408);
    measure_rows(on, 32, 768);
    measure_rows(on, 5, 2560);
    for (size_t i = 0; i < sizeof FULL / sizeof *FULL; i++)
        measure_attention(on, &FULL[i]);
    for (size_t i = 0; i < sizeof STEP / sizeof *STEP; i++)
        measure_slots(on, &STEP[i]);
    on->close(on);
    dev->close(dev);
    return 0;
}
