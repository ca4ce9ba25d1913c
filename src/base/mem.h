/* base/mem.h: counted memory and arenas.
 *
 * All memory of the library comes from here, so that it can be counted, and so that tests can make
 * the n-th allocation fail. Blocks are aligned to 64 bytes. Nothing here aborts: NULL is returned
 * and the caller reports it (error_memory). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

void *mem_alloc(size_t n);                /* not zeroed; n = 0 gives a valid block */
void *mem_calloc(size_t count, size_t n); /* zeroed; NULL when count * n overflows */
void *mem_realloc(void *p, size_t n);     /* p may be NULL; p stays valid when NULL is returned */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
void mem_free(void *p); /* NULL is fine */

/* For a block of megabytes, before it is written: large pages, where the system has them for whoever asks. Writing
 * fresh memory for the first time costs about 2 us for each of its pages, and a large one is 512 of them. */
void mem_large_pages(void *p);

/* Room for at least `need` elements in an array that grows. array: the pointer to its first
 * element, NULL to begin with; cap: where its size_t of elements allocated is, 0 to begin with.
 * Both are changed; the room at least doubles, so that n pushes copy O(n) elements. What is new is
 * not zeroed. False: out of memory, and all is as it was. Freed with mem_free. */
#define MEM_GROW(array, cap, need) \
    ((need) <= *(cap) || mem_grow(&(array), (cap), (need), sizeof *(array)))
bool mem_grow(void *array_at, size_t *cap, size_t need, size_t each); /* behind MEM_GROW */

size_t mem_in_use(void); /* bytes handed out and not yet freed, whole process */
size_t mem_peak(void);   /* the largest value mem_in_use has had */

/* Test hook: the n-th allocation from now on (1 = the next) fails, once. 0 switches it off.
 * mem_fail_hit() says whether it has fired. */
void mem_fail_at(long n);
bool mem_fail_hit(void);

/* --- Arena: many allocations, freed together or back to a mark ---------------------------------
 * Grows in chunks that never move, and keeps them: fresh memory is slow. The same allocations after
 * the same release give the same addresses. Not thread-safe: one arena belongs to one context. */
typedef struct ArenaChunk ArenaChunk;

/* Where chunks come from; {0}: mem_alloc and mem_free. The arena only hands their addresses out, so
 * they may be of memory that the host cannot read. */
typedef struct ArenaSource {
    void *(*alloc)(void *self, size_t n); /* 64-byte aligned; NULL: out of memory */
    void (*free)(void *self, void *p);
    void *self;
} ArenaSource;

typedef struct Arena {
    ArenaChunk *first, *now; /* chunks in order of use */
    size_t used, peak;       /* bytes in use over all chunks, and the largest that has been */
    ArenaSource source;      /* set before the first allocation */
} Arena;

typedef struct ArenaMark {
    ArenaChunk *chunk;
    size_t chunk_used, used;
} ArenaMark;

void *arena_alloc(Arena *a, size_t n); /* 64-byte aligned, not zeroed; NULL: out of memory */
/* These three write to the memory: for arenas over memory of the host. */
void *arena_calloc(Arena *a, size_t n); /* zeroed */
char *arena_strdup(Arena *a, const char *s);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
ArenaMark arena_mark(const Arena *a);
void arena_release(Arena *a, ArenaMark m); /* everything allocated since the mark is gone */
void arena_free(Arena *a);                 /* gives all chunks back; the source stays */

#endif
