/* nn/kvcache.c: token slots, who lists them, and their memory. */
#include "nn/kvcache.h"

#include <limits.h>
#include <string.h>

void kv_init(KvCache *c, Stream *on, int layers, int width)
{
    *c = (KvCache){.on = on, .layers = layers, .width = width};
}

void kv_free(KvCache *c)
{
    for (int i = 0; c->k && i < 2 * c->layers; i++)
        slots_free(c->on, &c->k[i]);
    mem_free(c->k);
    mem_free(c->refs);
    mem_free(c->free);
    *c = (KvCache){0};
}

/* --- memory -------------------------------------------------------------------------------------- */

/* The blocks, still without memory: all keys', then all values'. */
static bool blocks_new(KvCache *c, Error *e)
{
    size_t n = 2 * (size_t)c->layers;
    if (c->k)
        return true;
    c->k = mem_alloc(n * sizeof(*c->k));
    if (!c->k)
        return error_memory(e, "key/value cache", n * sizeof(*c->k));
    for (size_t i = 0; i < n; i++)
        c->k[i] = (SlotBlock){.dtype = F32};
    c->v = c->k + c->layers;
    return true;
}

/* Blocks grow one after another, so one is there twice at a time. */
static bool fits(const KvCache *c, size_t capacity, Error *e)
{
    size_t n = 2 * (size_t)c->layers, block, bytes;
    Device *dev = c->on->dev;
    if (__builtin_mul_overflow(capacity * sizeof(float), (size_t)c->width, &block) ||
        __builtin_mul_overflow(block, n + 1, &bytes))
        return error_memory(e, "key/value cache", ULLONG_MAX);
    size_t slots =
        (size_t)(dev->late ? c->written : c->capacity); /* that are not available any more */
    size_t held = n * sizeof(float) * slots * (size_t)c->width;
    size_t left = dev->available(dev);
    return bytes - held <= left ||
           error_set(e, ERR_MEMORY,
                     "key/value cache: out of memory (%zu bytes more for %zu slots, %zu available)",
                     bytes - held, capacity, left);
}

static bool grow_list(int **list, size_t n, Error *e)
{
    int *more = mem_realloc(*list, n * sizeof(*more));
    if (!more)
        return error_memory(e, "key/value cache", n * sizeof(*more));
    *list = more;
    return true;
}

/* The new slots go below the free ones, so that lower slots are taken first. */
static void add_free(KvCache *c, int capacity)
{
    int extra = capacity - c->capacity;
    memmove(c->free + extra, c->free, (size_t)c->n_free * sizeof(int));
    for (int i = 0; i < extra; i++) {
        c->free[i] = capacity - 1 - i;
        c->refs[c->capacity + i] = 0;
    }
    c->n_free += extra;
    c->capacity = capacity;
}

/* Slots that hold something lie below this one. */
static int used_end(const KvCache *c)
{
    int n = c->capacity;
    while (n > 0 && c->refs[n - 1] == 0)
        n--;
    return n;
}

static bool grow_to(KvCache *c, int capacity, Error *e)
{
    size_t n = (size_t)capacity;
    int kept = used_end(c);
    if (!fits(c, n, e) || !blocks_new(c, e) || !grow_list(&c->refs, n, e) ||
        !grow_list(&c->free, n, e))
        return false;
    for (int i = 0; i < 2 * c->layers; i++) /* one that has grown already holds what it held */
        if (!slots_resize(c->on, &c->k[i], c->width, kept, capacity, e))
            return false;
    add_free(c, capacity);
    c->written = kept;
    return true;
}

bool kv_reserve(KvCache *c, long long capacity, Error *e)
{
    Error ignored = {0};
    if (capacity <= c->capacity)
        return true;
    if (capacity > INT_MAX)
        return error_set(e, ERR_MEMORY, "key/value cache: expected at most %d slots, got %lld",
                         INT_MAX, capacity);
    long long more =
        c->capacity + c->capacity / 2LL; /* items that come one by one copy it seldom */
    if (more > capacity && more <= INT_MAX && grow_to(c, (int)more, &ignored))
        return true;
    return grow_to(c, (int)capacity, e);
}

/* --- sequences ----------------------------------------------------------------------------------- */

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
        c->written = slot < c->written ? c->written : slot + 1;
        s->slots[s->n++] = slot;
    }
    return true;
}

bool kv_fork(KvCache *c, const KvSeq *from, KvSeq *to, Error *e)
{
    if (to->n)
        BUG("a fork into a sequence that is not empty");
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
    s->n = 0;
}

void kv_seq_free(KvSeq *s)
{
    if (s->n)
        BUG("a sequence that still holds slots");
    mem_free(s->slots);
    *s = (KvSeq){0};
}

/* --- a pass -------------------------------------------------------------------------------------- */

typedef struct Lists {
    int rows, slots; /* rows of the pass; slots of all sequences together */
    int *all;        /* write [rows], first [rows], n [rows], slots [slots] */
} Lists;

static int fresh_of(const int *fresh, int i)
{
    return fresh ? fresh[i] : 1;
}

static bool lists_new(Ctx *c, const KvSeq *const *seq, int n, const int *fresh, Lists *l)
{
    long long rows = 0, slots = 0;
    for (int i = 0; i < n; i++) {
        rows += fresh_of(fresh, i);
        slots += seq[i]->n;
    }
    size_t bytes = sizeof(int) * (size_t)(3 * rows + slots);
    *l = (Lists){(int)rows, (int)slots, NULL};
    if (3 * rows + slots <= INT_MAX)
        l->all = arena_alloc(&c->mem, bytes);
    return l->all || error_memory(&c->err, "lists of cache slots", bytes);
}

static void lists_fill(const Lists *l, const KvSeq *const *seq, int n, const int *fresh, KvSee see)
{
    int *write = l->all, *first = write + l->rows, *sees = first + l->rows;
    int *slots = sees + l->rows, row = 0, at = 0;
    for (int i = 0; i < n; at += seq[i++]->n) {
        const KvSeq *s = seq[i];
        memcpy(slots + at, s->slots, sizeof(int) * (size_t)s->n);
        for (int j = s->n - fresh_of(fresh, i); j < s->n; j++, row++) {
            write[row] = see == KV_READ ? 0 : s->slots[j];
            first[row] = at;
            sees[row] = see == KV_CAUSAL ? j + 1 : s->n;
        }
    }
}

/* One upload for all lists; the layers differ in their blocks only. */
const CacheRows *kv_rows(Ctx *c, const KvCache *cache, const KvSeq *const *seq, int n,
                         const int *fresh, KvSee see, int *n_rows)
{
    Lists l;
    CacheRows *rows = arena_alloc(&c->mem, sizeof(*rows) * (size_t)cache->layers);
    if (!rows)
        error_memory(&c->err, "cache rows", sizeof(*rows) * (size_t)cache->layers);
    if (!rows || !lists_new(c, seq, n, fresh, &l))
        return NULL;
    lists_fill(&l, seq, n, fresh, see);
    const int *there = ints_upload(c, l.all, 3 * l.rows + l.slots);
    for (int i = 0; there && i < cache->layers; i++)
        rows[i] = (CacheRows){.k = cache->k[i],
                              .v = cache->v[i],
                              .write = see == KV_READ ? NULL : there,
                              .first = there + l.rows,
                              .n = there + 2 * l.rows,
                              .slots = there + 3 * l.rows};
    *n_rows = l.rows;
    return there ? rows : NULL;
}
