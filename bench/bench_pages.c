/* bench/bench_pages.c: how fast weights are read by the pages that they lie on, and what it costs to get them there.
 *
 *     bench_pages ROWS FILE WAY [FILE WAY]...
 *
 * Each FILE is gone through as bf16 matrices [10240,2560], ROWS rows of x by each, one file after another and that 15 times: what a
 * way is worth stands in the ratio of neighbours, medians, since memory is faster at one time than at another. The ways are in
 * the table below; `small`, `readahead` and `huge` drop FILE from the page cache and have it read anew in pages of 4 KiB, as the system
 * does by itself, and as it does when asked for huge pages. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/sys.h"
#include "cpu/cpu.h"
#include "tensor/host.h"
#include "timing.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum {
    IN = 2560,
    OUT = 10240,
    ROWS_MAX = 257,
    ROUNDS = 15,
    SETS_MAX = 8,
    HUGE = 2 << 20,
    PAGE = 4096
};

typedef struct Weights {
    int fd;
    size_t bytes;
    unsigned char *data;
    int refused; /* not 0: the kernel said no */
    const char *way;
    double setup, speed[ROUNDS], ratio[ROUNDS]; /* ms; GB/s; to the first set */
} Weights;

static unsigned char *room(size_t bytes)
{
    char *p = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : (void *)(((uintptr_t)p + HUGE - 1) / HUGE * HUGE);
}

static void fill(Weights *w)
{
    for (size_t at = 0; at < w->bytes;) {
        ssize_t got = pread(w->fd, w->data + at, w->bytes - at, (off_t)at);
        if (got <= 0)
            exit(3);
        at += (size_t)got;
    }
}

static void map(Weights *w)
{
    w->data = mmap(NULL, w->bytes, PROT_READ, MAP_PRIVATE, w->fd, 0);
}

static void map_populate(Weights *w)
{
    map(w);
    w->refused = madvise(w->data, w->bytes, MADV_POPULATE_READ);
}

static void map_advise(Weights *w)
{
    map(w);
    w->refused = madvise(w->data, w->bytes, MADV_HUGEPAGE);
}

static void map_collapse(Weights *w)
{
    map(w);
    w->refused = madvise(w->data, w->bytes / HUGE * HUGE, MADV_COLLAPSE);
}

static void anon_small(Weights *w)
{
    w->data = room(w->bytes);
    w->refused = madvise(w->data, w->bytes, MADV_NOHUGEPAGE);
    fill(w);
}

static void anon_huge(Weights *w)
{
    w->data = room(w->bytes);
    w->refused = madvise(w->data, w->bytes, MADV_HUGEPAGE);
    fill(w);
}

static void shared_collapse(Weights *w)
{
    int fd = memfd_create("weights", 0);
    size_t bytes = (w->bytes + HUGE - 1) / HUGE * HUGE;
    w->refused = ftruncate(fd, (off_t)bytes);
    w->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    w->refused = madvise(w->data, bytes, MADV_HUGEPAGE);
    fill(w);
    w->refused |= madvise(w->data, bytes, MADV_COLLAPSE);
}

static void drop(const Weights *w)
{
    fdatasync(w->fd);
    posix_fadvise(w->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void small(Weights *w)
{
    static char page[PAGE];
    drop(w);
    posix_fadvise(w->fd, 0, 0, POSIX_FADV_RANDOM);
    for (size_t at = 0; at < w->bytes; at += PAGE)
        if (pread(w->fd, page, PAGE, (off_t)at) < 0)
            exit(3);
    map(w);
}

static void touch(const Weights *w)
{
    for (size_t at = 0; at < w->bytes; at += PAGE)
        (void)*(volatile unsigned char *)(w->data + at);
}

static void readahead_cold(Weights *w)
{
    drop(w);
    map(w);
    touch(w);
}

static void huge_cold(Weights *w)
{
    drop(w);
    map_advise(w);
    touch(w);
}

static const struct Way {
    const char *name;
    void (*get)(Weights *);
} WAYS[] = {{"map", map},
            {"populate", map_populate},
            {"advise", map_advise},
            {"collapse", map_collapse},
            {"copy-small", anon_small},
            {"copy-huge", anon_huge},
            {"memfd", shared_collapse},
            {"small", small},
            {"readahead", readahead_cold},
            {"huge", huge_cold}};

/* Bytes of the mapping that begins at w->data that lie on pages of 2 MiB. */
static double huge_bytes(const Weights *w)
{
    char line[512];
    unsigned long from, to;
    double kib = 0;
    bool inside = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof line, f)) {
        long n;
        char name[64];
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from < (uintptr_t)w->data + w->bytes && to > (uintptr_t)w->data;
        else if (inside && sscanf(line, "%63[^:]: %ld", name, &n) == 2 &&
                 (strstr(name, "PmdMapped") || !strcmp(name, "AnonHugePages")))
            kib += (double)n;
    }
    if (f)
        fclose(f);
    return kib * 1024;
}

/* GB/s of one pass over all matrices. */
static double pass(Stream *on, LinearArgs *args, Param *p, const Weights *w)
{
    const size_t one = (size_t)IN * OUT * 2, n = w->bytes / one;
    double start = now_ms();
    for (size_t i = 0; i < n; i++) {
        p->data = w->data + i * one;
        on->k->linear(on, args);
    }
    return (double)(n * one) / (now_ms() - start) * 1e-6;
}

static void measure(Weights *w, int sets, int rows)
{
    static float in[ROWS_MAX * IN], out[ROWS_MAX * OUT];
    Device *dev = cpu_device(NULL);
    Stream *on = dev ? dev->stream(dev, &(StreamOptions){0, NULL, PREC_FAST}, NULL) : NULL;
    Tensor x = {.dtype = F32, .rows = rows, .cols = IN, .ld = IN, .data = in};
    Tensor y = {.dtype = F32, .rows = rows, .cols = OUT, .ld = OUT, .data = out};
    Param p = {.dtype = BF16, .rows = OUT, .cols = IN, .layout = LAYOUT_ROWS};
    LinearArgs args = {.x = &x, .w = &p, .y = &y, .role = rows > 16 ? ROLE_ENCODE : ROLE_DECODE};
    for (int i = 0; i < rows * IN; i++)
        in[i] = (float)(i % 201 - 100) * 0.01f;
    for (int round = 0; on && round < ROUNDS; round++)
        for (int i = 0; i < sets; i++) {
            w[i].speed[round] = pass(on, &args, &p, &w[i]);
            w[i].ratio[round] = w[i].speed[round] / w[0].speed[round];
        }
}

static bool get(Weights *w, const char *file, const char *name)
{
    struct stat st;
    const struct Way *way = WAYS, *end = WAYS + sizeof WAYS / sizeof *WAYS;
    while (way < end && strcmp(way->name, name) != 0)
        way++;
    *w = (Weights){.fd = open(file, O_RDONLY), .way = name};
    if (way == end || w->fd < 0 || fstat(w->fd, &st))
        return false;
    w->bytes = (size_t)st.st_size;
    double start = now_ms();
    way->get(w);
    w->setup = now_ms() - start;
    return w->data && w->data != MAP_FAILED;
}

int main(int argc, char **argv)
{
    static Weights w[SETS_MAX];
    int rows = argc > 3 ? atoi(argv[1]) : 0, sets = 0;
    for (; sets < SETS_MAX && 2 * sets + 3 < argc; sets++)
        if (!get(&w[sets], argv[2 + 2 * sets], argv[3 + 2 * sets]))
            break;
    if (rows < 1 || rows > ROWS_MAX || 2 * sets + 2 != argc) {
        fprintf(stderr, "usage: bench_pages ROWS FILE WAY [FILE WAY]...\n");
        return 2;
    }
    measure(w, sets, rows);
    for (int i = 0; i < sets; i++) {
        double first = w[i].speed[0];
        printf("%-10s set up in %6.1f ms%s, %3.0f %% on huge pages; first pass %5.2f GB/s, median "
               "%5.2f, to "
               "the first way %.3f\n",
               w[i].way, w[i].setup, w[i].refused ? " (refused)" : "",
               100 * huge_bytes(&w[i]) / (double)w[i].bytes, first,
               timing_of(w[i].speed, ROUNDS).median, timing_of(w[i].ratio, ROUNDS).median);
    }
    return 0;
}
