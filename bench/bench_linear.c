/* bench/bench_linear.c: the speed of `linear` at the shapes of BLIP-2 with ViT-g and OPT-2.7B.
 *
 *     bench_linear [--json] [ISA|all] [THREADS] [f32|fast] [TYPE [SHAPE]]    SHAPE: a part of its name
 *
 * --json prints one object per line, of the median call, and does not measure the machine.
 * Every call takes another copy of the weights, enough of them that none is found in a cache. The
 * figures are of the median call and of the best. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/mem.h"
#include "cpu/cpu.h"
#include "tensor/host.h"
#include "tensor/panel.h"
#include "timing.h"

typedef struct Shape {
    const char *name;
    int m, in, out;
    Role role;
} Shape;

static const Shape shapes[] = {
    {"vit qkv", 257, 1408, 4224, ROLE_ENCODE},     {"vit proj", 257, 1408, 1408, ROLE_ENCODE},
    {"vit fc1", 257, 1408, 6144, ROLE_ENCODE},     {"vit fc2", 257, 6144, 1408, ROLE_ENCODE},
    {"opt qkv", 41, 2560, 2560, ROLE_ENCODE},      {"opt fc1", 41, 2560, 10240, ROLE_ENCODE},
    {"opt fc2", 41, 10240, 2560, ROLE_ENCODE},     {"step proj", 1, 2560, 2560, ROLE_DECODE},
    {"step fc1", 1, 2560, 10240, ROLE_DECODE},     {"step fc2", 1, 10240, 2560, ROLE_DECODE},
    {"step head", 1, 2560, 50272, ROLE_DECODE},    {"beams proj", 5, 2560, 2560, ROLE_DECODE},
    {"beams fc1", 5, 2560, 10240, ROLE_DECODE},    {"beams fc2", 5, 10240, 2560, ROLE_DECODE},
    {"beams head", 5, 2560, 50272, ROLE_DECODE},   {"8 beams proj", 40, 2560, 2560, ROLE_DECODE},
    {"8 beams fc1", 40, 2560, 10240, ROLE_DECODE}, {"8 beams fc2", 40, 10240, 2560, ROLE_DECODE},
};

static const size_t FOOTPRINT = 400u << 20; /* bytes of weights, all copies together */

static size_t weight_bytes(const Shape *s, DType t)
{
    return t == I4 ? panels_bytes(I4, (size_t)s->out, (size_t)s->in)
                   : (size_t)s->in * (size_t)s->out * dtype_size(t);
}

/* Small values of any type: the same bytes everywhere, denormal in none. */
static char *weights(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    memset(p, 0x3c, bytes);
    return p;
}

typedef struct Job {
    Stream *on;
    LinearArgs args;
    Param w;
    const char *copies;
    size_t one, n, next; /* bytes of a copy, how many there are, calls so far */
} Job;

static void call(void *job)
{
    Job *j = job;
    j->w.data = j->copies + j->next++ % j->n * j->one;
    j->on->k->linear(j->on, &j->args);
}

static Timing time_linear(Stream *on, const Shape *s, DType type, Layout layout, const char *data,
                          size_t footprint)
{
    static float scale[65536];
    Tensor x = {.dtype = F32, .rows = s->m, .cols = s->in, .ld = s->in};
    Tensor y = {.dtype = F32, .rows = s->m, .cols = s->out, .ld = s->out};
    Job j = {.on = on, .copies = data, .one = weight_bytes(s, type)};
    j.n = footprint / j.one ? footprint / j.one : 1;
    j.w = (Param){.dtype = type, .rows = s->out, .cols = s->in, .layout = layout};
    j.w.scale = type == I8 ? scale : NULL;
    j.args = (LinearArgs){.x = &x, .w = &j.w, .y = &y, .role = s->role};
    x.data = mem_alloc((size_t)s->m * (size_t)s->in * 4);
    y.data = mem_alloc((size_t)s->m * (size_t)s->out * 4);
    for (int i = 0; i < s->m * s->in; i++)
        f32(&x)[i] = (float)(i % 201 - 100) * 0.01f;
    Timing t = time_calls(call, &j);
    mem_free(x.data);
    mem_free(y.data);
    return t;
}

static Device *dev;
static bool json;

static void print_time(const Stream *d, const Shape *s, DType type, Layout layout, Timing took,
                       size_t bytes)
{
    const char *kernel = cpu_kernel_name(d, type, s->role);
    const char *order = layout == LAYOUT_PANEL ? "panels" : "rows";
    double flop = 2.0 * s->m * s->in * s->out;
    if (json)
        printf("{\"isa\": \"%s\", \"type\": \"%s\", \"kernel\": \"%s\", \"order\": \"%s\", "
               "\"rows\": %d, \"in\": %d, \"out\": %d, \"ms\": %.5f, \"bytes\": %zu}\n",
               d->isa, dtype_name(type), kernel, order, s->m, s->in, s->out, took.median, bytes);
    else
        printf("%-10s %-4s %-7s %-6s %-12s M=%-3d %5d -> %-5d %9.3f ms %7.1f GFLOP/s %5.1f GB/s "
               "(best %.1f, %.1f)\n",
               d->isa, dtype_name(type), kernel, order, s->name, s->m, s->in, s->out, took.median,
               flop / took.median * 1e-6, (double)bytes / took.median * 1e-6,
               flop / took.best * 1e-6, (double)bytes / took.best * 1e-6);
}

/* Of all types and shapes, those. NULL: all. */
typedef struct Only {
    const char *type, *shape;
} Only;

static void run_isa(const char *isa, int threads, Precision precision, Only only, char *data)
{
    static const DType types[] = {F32, BF16, F16, I8, I4};
    Error e = {0};
    Stream *d = dev->stream(dev, &(StreamOptions){threads, isa, precision}, &e);
    if (!d) {
        fprintf(stderr, "%s\n", e.message);
        exit(2);
    }
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        if (only.type && strcmp(only.type, dtype_name(types[t])) != 0)
            continue;
        /* each shape in turn: weights in rows, in panels */
        for (size_t i = 0; i < 2 * sizeof shapes / sizeof *shapes; i++) {
            const Shape *s = &shapes[i / 2];
            const Layout layout = i % 2 ? LAYOUT_PANEL : LAYOUT_ROWS;
            if (types[t] == (layout == LAYOUT_PANEL ? I8 : I4) ||
                (only.shape && !strstr(s->name, only.shape)))
                continue;
            size_t bytes = weight_bytes(s, types[t]);
            Timing took =
                time_linear(d, s, types[t], layout, data, FOOTPRINT > bytes ? FOOTPRINT : bytes);
            print_time(d, s, types[t], layout, took, bytes);
            fflush(stdout);
        }
    }
    d->close(d);
}

static void print_machine(int threads)
{
    CpuPeaks p = {0};
    CpuMeter *meter = cpu_meter_new(threads);
    for (int i = 0; meter && i < 5; i++)
        cpu_meter_peaks(meter, &p);
    cpu_meter_free(meter);
    printf("%d threads: f32 %.0f, bf16 %.0f, fp16 %.0f, int8 %.0f Gop/s; memory %.1f GB/s, "
           "huge pages %.1f\n",
           threads ? threads : cpus_usable(), p.f32, p.bf16, p.fp16, p.int8,
           cpu_bandwidth(threads, false), cpu_bandwidth(threads, true));
}

int main(int argc, char **argv)
{
    json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= json;
    argv += json;
    const char *isa = argc > 1 ? argv[1] : "all";
    Only only = {argc > 4 ? argv[4] : NULL, argc > 5 ? argv[5] : NULL};
    int threads = argc > 2 ? atoi(argv[2]) : 0;
    Precision precision = argc > 3 && !strcmp(argv[3], "f32") ? PREC_F32 : PREC_FAST;
    size_t most = (size_t)50272 * 2560 * 4;
    char *data = weights(most > FOOTPRINT ? most : FOOTPRINT);
    dev = cpu_device(NULL);
    if (!data || !dev)
        return 1;
    if (!json)
        print_machine(threads);
    if (strcmp(isa, "all") != 0) {
        run_isa(isa, threads, precision, only, data);
        return 0;
    }
    for (const char *const *i = cpu_isas(); *i; i++)
        run_isa(*i, threads, precision, only, data);
    return 0;
}
