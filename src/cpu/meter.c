/* cpu/meter.c: this machine, measured in turn with what shall be set against it: the peaks of its instructions, and how fast
 * it reads memory, the limit of decoding. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/sys.h"
#include "cpu/cpu.h"
#include "cpu/peak.h"

enum { MIB = 1 << 20, HUGE_PAGE = 2 * MIB, MEASURE_MS = 150, PIECE = MIB };

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

typedef struct Buffer {
    char *p;
    _Atomic uint64_t *seen; /* so that reading is not left out */
} Buffer;

static void fill_piece(const void *args, int i)
{
    const Buffer *b = args;
    memset(b->p + (size_t)i * PIECE, 1, PIECE);
}

static void read_piece(const void *args, int i)
{
    const Buffer *b = args;
    atomic_fetch_or(b->seen, read_all(b->p + (size_t)i * PIECE, PIECE));
}

struct CpuMeter {
    Pool *pool;
    int threads;
    char *buffer[2]; /* on small and on huge pages; NULL: not needed yet */
    size_t size;
};

CpuMeter *cpu_meter_new(int threads)
{
    CpuMeter *m = mem_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->threads = threads > 0 ? threads : cpus_usable();
    m->pool = pool_new(m->threads);
    m->size = buffer_size();
    if (m->pool)
        return m;
    mem_free(m);
    return NULL;
}

void cpu_meter_free(CpuMeter *m)
{
    if (!m)
        return;
    for (int i = 0; i < 2; i++)
        if (m->buffer[i])
            munmap(m->buffer[i], m->size);
    pool_free(m->pool);
    mem_free(m);
}

void cpu_meter_peaks(CpuMeter *m, CpuPeaks *best)
{
    CpuPeaks now;
    peaks_measure(&now, m->pool, m->threads);
    cpu_peaks_keep(best, &now);
}

double cpu_meter_gops(CpuMeter *m, const char *kernel)
{
    return peak_sustained(kernel, m->pool, m->threads);
}

double cpu_meter_read(CpuMeter *m, bool huge)
{
    _Atomic uint64_t seen = 0;
    const int pieces = (int)(m->size / PIECE);
    char **buffer = &m->buffer[huge];
    bool fresh = !*buffer && m->size && (*buffer = map_buffer(m->size, huge));
    Buffer b = {*buffer, &seen};
    if (!*buffer)
        return 0;
    if (fresh)
        pool_each(m->pool, m->threads, pieces, fill_piece, &b);
    double start = now_ms();
    pool_each(m->pool, m->threads, pieces, read_piece, &b);
    return (double)m->size / (now_ms() - start) * 1e-6;
}

size_t cpu_meter_bytes(const CpuMeter *m)
{
    return m->size * (size_t)((m->buffer[0] != NULL) + (m->buffer[1] != NULL));
}

double cpu_bandwidth(int threads, bool huge)
{
    CpuMeter *m = cpu_meter_new(threads);
    double best = 0, start = now_ms();
    for (int pass = 0; m && (pass < 3 || now_ms() - start < MEASURE_MS); pass++) {
        double gbs = cpu_meter_read(m, huge);
        best = gbs > best ? gbs : best;
    }
    cpu_meter_free(m);
    return best;
}
