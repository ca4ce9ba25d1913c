#include "nn/kvcache.h"

#include <limits.h>
#include <string.h>

static bool alloc_layers(KvCache *c, size_t bytes)
{
    c->k = mem_calloc((size_t)c->layers, sizeof(*c->k));
    c->v = mem_calloc((size_t)c->layers, sizeof(*c->v));
    if (!c->k || !c->v)
        return false;
    for (int i = 0; i < c->layers; i++) {
        c->k[i] = mem_alloc(bytes);
        c->v[i] = mem_alloc(bytes);
        if (!c->k[i] || !c->v[i])
            return false;
    }
    return true;
}

bool kv_init(KvCache *c, int layers, int width, int capacity, Error *e)
{
    *c = (KvCache){.layers = layers, .width = width, .capacity = capacity};
    size_t slots = (size_t)capacity, bytes = 0;
    bool fits = !__builtin_mul_overflow(slots * sizeof(float), (size_t)width, &bytes);
    c->refs = mem_calloc(slots, sizeof(int));
    c->free = mem_alloc(slots * sizeof(int));
    if (!fits || !c->refs || !c->free || !alloc_layers(c, bytes)) {
        kv_free(c);
        return error_memory(e, "key/value cache", 2ull * (unsigned)layers * bytes);
    }
    for (int i = 0; i < capacity; i++) /* slot 0 is taken first */
        c->free[i] = capacity - 1 - i;
    c->n_free = capacity;
    return true;
}

void kv_free(KvCache *c)
{
    for (int i = 0; i < c->layers; i++) {
        if (c->k)
            mem_free(c->k[i]);
        if (c->v)
            mem_free(c->v[i]);
    }
    mem_free(c->k);
    mem_free(c->v);
    mem_free(c->refs);
    mem_free(c->free);
    *c = (KvCache){0};
}

static bool list_reserve(KvSeq *s, int n, Error *e)
{
    if (n <= s->cap)
        return true;
    int cap = n < INT_MAX / 2 ? n + n / 2 : n;
    int *slots = mem_realloc(s->slots, (size_t)cap * sizeof(int));
    if (!slots)
        return error_memory(e, "list of cache slots", (size_t)cap * sizeof(int));
    s->slots = slots;
    s->cap = cap;
    return true;
}

bool kv_append(KvCache *c, KvSeq *s, int n, Error *e)
{
    if (n > c->n_free)
        return error_set(e, ERR_FAILED,
                         "key/value cache: out of slots, expected %d free of %d, got %d", n,
                         c->capacity, c->n_free);
    if (!list_reserve(s, s->n + n, e))
        return false;
    for (int i = 0; i < n; i++) {
        int slot = c->free[--c->n_free];
        c->refs[slot] = 1;
        s->slots[s->n++] = slot;
    }
    return true;
}

bool kv_fork(KvCache *c, const KvSeq *from, KvSeq *to, Error *e)
{
    *to = (KvSeq){0};
    if (!list_reserve(to, from->n, e))
        return false;
    for (int i = 0; i < from->n; i++) {
        to->slots[i] = from->slots[i];
        c->refs[from->slots[i]]++;
    }
    to->n = from->n;
    return true;
}

/* From the end, so that a later append takes the slots in the order they had. */
void kv_drop(KvCache *c, KvSeq *s)
{
    for (int i = s->n; i-- > 0;)
        if (--c->refs[s->slots[i]] == 0)
            c->free[c->n_free++] = s->slots[i];
    mem_free(s->slots);
    *s = (KvSeq){0};
}

static bool fork_all(KvCache *c, const KvSeq *seq, const int *parent, int n, KvSeq *made, Error *e)
{
    for (int i = 0; i < n; i++)
        if (!kv_fork(c, &seq[parent[i]], &made[i], e)) {
            while (i-- > 0)
                kv_drop(c, &made[i]);
            return false;
        }
    return true;
}

bool kv_reorder(KvCache *c, KvSeq *seq, int n_old, const int *parent, int n, Error *e)
{
    KvSeq *made = mem_calloc((size_t)n, sizeof(*made));
    if (!made)
        return error_memory(e, "cache sequences", (size_t)n * sizeof(*made));
    bool ok = fork_all(c, seq, parent, n, made, e);
    for (int i = 0; ok && i < n_old; i++)
        kv_drop(c, &seq[i]);
    if (ok && n)
        memcpy(seq, made, (size_t)n * sizeof(*made));
    mem_free(made);
    return ok;
}

bool kv_rows(Arena *a, const KvSeq *seq, int n, const int *fresh, CacheRows *rows, int *n_rows)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += fresh ? (size_t)fresh[i] : 1;
    int *write = arena_alloc(a, total * sizeof(*write));
    int *sees = arena_alloc(a, total * sizeof(*sees));
    const int **read = arena_alloc(a, total * sizeof(*read));
    if (!write || !sees || !read)
        return false;
    int row = 0;
    for (int i = 0; i < n; i++)
        for (int at = seq[i].n - (fresh ? fresh[i] : 1); at < seq[i].n; at++, row++) {
            write[row] = seq[i].slots[at];
            read[row] = seq[i].slots;
            sees[row] = at + 1;
        }
    *rows = (CacheRows){.write = write, .read = read, .n = sees};
    *n_rows = row;
    return true;
}

void kv_layer(const KvCache *c, int layer, CacheRows *rows)
{
    rows->k = c->k[layer];
    rows->v = c->v[layer];
}
