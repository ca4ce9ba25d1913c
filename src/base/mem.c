/* base/mem.c: the counter behind all allocations, growing arrays, the chunks of arenas. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGN = 64 };

/* Every block is preceded by one aligned line that holds its size. */
typedef struct Header {
    size_t size;
} Header;

static atomic_size_t in_use, peak;
static atomic_long fail_at;
static atomic_bool fail_hit;

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_at, memory_order_relaxed) <= 0)
        return false;
    if (atomic_fetch_sub(&fail_at, 1) != 1)
        return false;
    atomic_store(&fail_hit, true);
    return true;
}

static void count(size_t n)
{
    size_t now = atomic_fetch_add(&in_use, n) + n;
    size_t seen = atomic_load(&peak);
    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now)) {
    }
}

static Header *header(void *p)
{
    return (Header *)((char *)p - ALIGN);
}

void *mem_alloc(size_t n)
{
    if (n > SIZE_MAX / 2 || must_fail())
        return NULL;
    size_t total = (n + 2 * ALIGN - 1) & ~(size_t)(ALIGN - 1);
    char *base = aligned_alloc(ALIGN, total);
    if (!base)
        return NULL;
    ((Header *)base)->size = n;
    count(n);
    return base + ALIGN;
}

void *mem_calloc(size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    void *p = mem_alloc(n * size);
    return p ? memset(p, 0, n * size) : NULL;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = mem_alloc(n);
    if (q && p) {
        size_t old = header(p)->size;
        memcpy(q, p, old < n ? old : n);
        mem_free(p);
    }
    return q;
}

/* Advice: where the system does not take it, nothing is lost. */
void mem_large_pages(void *p)
{
#ifdef MADV_HUGEPAGE
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)p & ~(page - 1);
    madvise((void *)from, ((uintptr_t)p + header(p)->size - from) & ~(page - 1), MADV_HUGEPAGE);
#endif
}

char *mem_strndup(const char *s, size_t n)
{
    char *d = mem_alloc(n + 1);
    if (!d)
        return NULL;
    memcpy(d, s, n);
    d[n] = 0;
    return d;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

void mem_free(void *p)
{
    if (!p)
        return;
    atomic_fetch_sub(&in_use, header(p)->size);
    free(header(p));
}

/* The first block is no smaller than the line that it occupies anyway. The pointer is copied by
 * its bytes, since its type is the caller's. */
bool mem_grow(void *array_at, size_t *cap, size_t need, size_t each)
{
    size_t n = *cap ? 2 * *cap : ALIGN / each + 8;
    void *old;
    memcpy(&old, array_at, sizeof old);
    if (n < need)
        n = need;
    void *more = n <= SIZE_MAX / each ? mem_realloc(old, n * each) : NULL;
    if (!more)
        return false;
    memcpy(array_at, &more, sizeof more);
    *cap = n;
    return true;
}

size_t mem_in_use(void)
{
    return atomic_load(&in_use);
}

size_t mem_peak(void)
{
    return atomic_load(&peak);
}

void mem_fail_at(long n)
{
    atomic_store(&fail_hit, false);
    atomic_store(&fail_at, n);
}

bool mem_fail_hit(void)
{
    return atomic_load(&fail_hit);
}

/* --- arena -------------------------------------------------------------------------------------- */

struct ArenaChunk {
    ArenaChunk *next;
    size_t size, used;
    char *data;
};

enum { CHUNK_MIN = 1 << 18 };

static void *chunk_memory(const Arena *a, size_t n)
{
    return a->source.alloc ? a->source.alloc(a->source.self, n) : mem_alloc(n);
}

static void chunk_free(const Arena *a, ArenaChunk *k)
{
    if (a->source.alloc)
        a->source.free(a->source.self, k->data);
    else
        mem_free(k->data);
    mem_free(k);
}

static ArenaChunk *chunk_new(const Arena *a, size_t n)
{
    size_t size = n > CHUNK_MIN ? n : CHUNK_MIN;
    ArenaChunk *k = mem_alloc(sizeof *k);
    if (!k)
        return NULL;
    *k = (ArenaChunk){.size = size, .data = chunk_memory(a, size)};
    if (k->data)
        return k;
    mem_free(k);
    return NULL;
}

/* Moves on to a chunk with room for n bytes: a later one that is free, or a new one. Chunks behind
 * `now` are always empty; one that is too small is skipped until the next release. */
static ArenaChunk *chunk_with_room(Arena *a, size_t n)
{
    ArenaChunk *last = a->now;
    if (last && last->size - last->used >= n)
        return last;
    ArenaChunk *k = last ? last->next : a->first;
    for (; k; last = k, k = k->next)
        if (k->size >= n) {
            k->used = 0;
            return k;
        }
    size_t grow = a->used / 2; /* few chunks however large the whole becomes */
    k = chunk_new(a, n > grow ? n : grow);
    if (!k && grow > n)
        k = chunk_new(a, n);
    if (!k)
        return NULL;
    *(last ? &last->next : &a->first) = k;
    return k;
}

void *arena_alloc(Arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    ArenaChunk *k = chunk_with_room(a, n);
    if (!k)
        return NULL;
    a->now = k;
    void *p = k->data + k->used;
    k->used += n;
    a->used += n;
    if (a->used > a->peak)
        a->peak = a->used;
    return p;
}

void *arena_calloc(Arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

char *arena_strdup(Arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    char *d = arena_alloc(a, n);
    return d ? memcpy(d, s, n) : NULL;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *d = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (d)
        vsnprintf(d, (size_t)n + 1, fmt, again);
    va_end(again);
    return d;
}

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){a->now, a->now ? a->now->used : 0, a->used};
}

void arena_release(Arena *a, ArenaMark m)
{
    for (ArenaChunk *k = m.chunk ? m.chunk->next : a->first; k; k = k->next)
        k->used = 0;
    if (m.chunk)
        m.chunk->used = m.chunk_used;
    a->now = m.chunk;
    a->used = m.used;
}

void arena_free(Arena *a)
{
    for (ArenaChunk *k = a->first, *next; k; k = next) {
        next = k->next;
        chunk_free(a, k);
    }
    *a = (Arena){.source = a->source};
}
