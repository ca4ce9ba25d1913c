/* nn/kvcache.h: a cache of keys and values in token slots.
 *
 * A slot holds one token's key and value rows in every layer. A sequence is a list of slots in
 * reading order; sequences share slots (a picture and its prompt by all beams), each slot knows how
 * many lists it is in. Forking beams copies lists of ints, never a cache row. Keys and values lie in
 * device memory, one block per layer for each, outside every arena: they outlive the passes that
 * fill them. Used by one thread at a time. */
#ifndef NN_KVCACHE_H
#define NN_KVCACHE_H

#include "base/error.h"
#include "base/mem.h"
#include "ops/ops.h"

typedef struct KvCache {
    Stream *on;
    int layers, width, capacity; /* width: elements per row, all heads; capacity in slots */
    SlotBlock *k, *v;            /* [layers] blocks of [capacity, width] */
    int *refs;                   /* [capacity] how many sequences list the slot; 0: free */
    int *free;                   /* the free slots; the last one is taken next */
    int n_free;
    int written; /* slots from here on have not been written since their memory was new */
} KvCache;

/* An empty sequence is {0}. Only the functions here change it. */
typedef struct KvSeq {
    int *slots;
    int n, cap;
} KvSeq;

/* A cache without slots: it has no memory yet. */
void kv_init(KvCache *c, Stream *on, int layers, int width);
void kv_free(KvCache *c); /* sequences first: their lists are not the cache's */
/* Grows to at least `capacity` slots, and by half of what there is; what slots hold stays. It never
 * shrinks: fresh memory is slow. ERR_MEMORY when that does not fit, also
 * when the device says beforehand that it has not so much: nothing has changed then. */
bool kv_reserve(KvCache *c, long long capacity, Error *e);

/* n fresh slots at the end. All or nothing: ERR_FAILED "out of slots", ERR_MEMORY. */
bool kv_append(KvCache *c, KvSeq *s, int n, Error *e);
/* `to`, empty before, becomes a second sequence over the same slots; its list's memory is used. */
bool kv_fork(KvCache *c, const KvSeq *from, KvSeq *to, Error *e);
/* Gives back what nobody else uses; s is empty afterwards and keeps its list's memory. */
void kv_drop(KvCache *c, KvSeq *s);
/* Frees the list of a sequence that is empty. */
void kv_seq_free(KvSeq *s);

/* What the rows of a pass see of their sequences. */
typedef enum KvSee {
    KV_CAUSAL, /* each its sequence up to itself */
    KV_WHOLE,  /* each all of its sequence, what comes behind it in this pass too */
    KV_READ    /* all of it, which earlier passes have written: this one writes nothing */
} KvSee;

/* What one pass over n sequences writes and reads: fresh[i] rows (fresh NULL: 1 each) belong to *seq[i], sequence
 * by sequence, and their keys and values to its last fresh[i] slots; with KV_READ to none.
 * Returns one CacheRows per layer, in the arenas of the pass; *n_rows receives the number of rows.
 * NULL: c->err. */
const CacheRows *kv_rows(Ctx *c, const KvCache *cache, const KvSeq *const *seq, int n,
                         const int *fresh, KvSee see, int *n_rows);

#endif
