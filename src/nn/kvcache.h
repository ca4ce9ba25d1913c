/* nn/kvcache.h: a cache of keys and values in token slots.
 *
 * A slot holds one token's key and value rows in every layer. A sequence is a list of slots in
 * reading order; sequences share slots (a picture and its prompt by all beams), each slot knows how
 * many lists it is in. Forking and reordering beams moves lists of ints, never a cache row. The
 * memory is one block per layer for keys and one for values, counted in base/mem, outside every
 * arena: it outlives the passes that fill it. Used by one thread at a time. */
#ifndef NN_KVCACHE_H
#define NN_KVCACHE_H

#include "base/error.h"
#include "base/mem.h"
#include "ops/ops.h"

typedef struct KvCache {
    int layers, width, capacity; /* width: floats per row, all heads; capacity in slots */
    float **k, **v;              /* [layers] blocks of [capacity, width] */
    int *refs;                   /* [capacity] how many sequences list the slot; 0: free */
    int *free;                   /* the free slots; the last one is taken next */
    int n_free;
} KvCache;

/* An empty sequence is {0}. Only the functions here change it. */
typedef struct KvSeq {
    int *slots;
    int n, cap;
} KvSeq;

/* ERR_MEMORY when it does not fit; *c is then empty, as after kv_free. */
bool kv_init(KvCache *c, int layers, int width, int capacity, Error *e);
void kv_free(KvCache *c); /* sequences first: their lists are not the cache's */

/* n fresh slots at the end. All or nothing: ERR_FAILED "out of slots", ERR_MEMORY. */
bool kv_append(KvCache *c, KvSeq *s, int n, Error *e);
/* to (empty before) becomes a second sequence over the same slots. */
bool kv_fork(KvCache *c, const KvSeq *from, KvSeq *to, Error *e);
/* Gives back what nobody else uses; s is empty afterwards. */
void kv_drop(KvCache *c, KvSeq *s);
/* Row i of the n new sequences continues the old row parent[i] < n_old; old rows that are nobody's
 * parent are dropped. seq has room for max(n_old, n). On error nothing has changed. */
bool kv_reorder(KvCache *c, KvSeq *seq, int n_old, const int *parent, int n, Error *e);

/* What one pass over n sequences writes and reads: the last fresh[i] slots of seq[i] (fresh NULL: 1
 * each) are this pass's rows, sequence by sequence, and each of them sees its sequence up to
 * itself. Arrays come from the arena; the read lists are the sequences' own, so the result is good
 * until the next append, reorder or drop. rows->k and v are left to kv_layer. *n_rows receives the
 * number of rows. False: out of memory. */
bool kv_rows(Arena *a, const KvSeq *seq, int n, const int *fresh, CacheRows *rows, int *n_rows);
/* Points rows at one layer of the cache. */
void kv_layer(const KvCache *c, int layer, CacheRows *rows);

#endif
