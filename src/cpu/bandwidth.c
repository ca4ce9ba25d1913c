/* cpu/bandwidth.c: how fast this machine reads memory, the limit of decoding. */
#define _GNU_SOURCE
#include <omp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/sys.h"
#include "cpu/cpu.h"

enum { MIB = 1 << 20, HUGE_PAGE = 2 * MIB, MEASURE_MS = 150 };

/* Several times the last cache, at most 512 MiB and a quarter of what is free. */
static size_t buffer_size(void)
{
    long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t size = l3 > 0 ? 4 * (size_t)l3 : 0, spare = mem_available() / 4;
    size = size < 96 * (size_t)MIB ? 96 * (size_t)MIB : size;
    size = size > 512 * (size_t)MIB ? 512 * (size_t)MIB : size;
    if (spare && size > spare)
        size = spare;
    return size & ~(size_t)(HUGE_PAGE - 1);
}

/* A memory file lies on small pages, as mapped model files do. NULL: no memory. */
static void *map_buffer(size_t size, bool huge)
{
    void *p = MAP_FAILED;
    if (huge) {
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p != MAP_FAILED)
            madvise(p, size, MADV_HUGEPAGE);
    } else {
        int fd = memfd_create("blip2", 0);
        if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
            p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd >= 0)
            close(fd);
    }
    return p == MAP_FAILED ? NULL : p;
}

typedef uint64_t Line __attribute__((vector_size(64)));

/* Two streams: one alone leaves a core with half of what it can take (docs/SPEED.md). */
static uint64_t read_all(const char *p, size_t n)
{
    const size_t half = n / 128 * 64;
    const char *q = p + half;
    Line seen = {0};
    for (size_t i = 0; i < half; i += 64) {
        __builtin_prefetch(p + i + 8192);
        __builtin_prefetch(q + i + 8192);
        seen |= *(const Line *)(p + i) | *(const Line *)(q + i);
    }
    return seen[0] | seen[1] | seen[2] | seen[3] | seen[4] | seen[5] | seen[6] | seen[7];
}

double cpu_bandwidth(int threads, bool huge)
{
    const size_t size = buffer_size();
    char *p = size ? map_buffer(size, huge) : NULL;
    if (threads < 1)
        threads = cpus_usable();
    if (!p)
        return 0;
    const size_t part = size / (size_t)threads & ~(size_t)127;
    double best = 1e9, start = now_ms();
    volatile uint64_t sink = 0;
    uint64_t seen = 0;
    for (int pass = 0; pass < 3 || now_ms() - start < MEASURE_MS; pass++) {
        double t = now_ms();
#pragma omp parallel num_threads(threads) reduction(| : seen)
        {
            char *mine = p + (size_t)omp_get_thread_num() * part;
            if (pass == 0)
                memset(mine, 1, part);
            else
                seen |= read_all(mine, part);
        }
        t = now_ms() - t;
        best = pass > 0 && t < best ? t : best;
    }
    sink = seen;
    (void)sink;
    munmap(p, size);
    return (double)(part * (size_t)threads) / best * 1e-6;
}
