/* task/rows.h: live rows, sequences of token slots by handle, for the files that fill an Lm (task/lm.h).
 *
 * A handle is an int that is its row's own from rows_take to rows_drop. Used by one thread at a time. */
#ifndef TASK_ROWS_H
#define TASK_ROWS_H

#include "nn/kvcache.h"

typedef struct LiveRows {
    KvCache cache;      /* kept from item to item: fresh memory is slow */
    long long reserved; /* slots that live items may use */
    KvSeq *seq;         /* [room] by handle */
    int *free_rows;     /* handles that are free; the last one is taken next */
    int room, n_free;
    size_t cap_seq, cap_free;
} LiveRows;

/* Keys and values of `layers` layers, `width` numbers each. */
void rows_init(LiveRows *l, Stream *on, int layers, int width);
void rows_free(LiveRows *l);

/* Room for so many slots more; false, with nothing changed: ERR_MEMORY. rows_release gives it back. */
bool rows_reserve(LiveRows *l, long long slots, Error *e);
void rows_release(LiveRows *l, long long slots);

/* n handles of empty rows. false: ERR_MEMORY, none was taken. */
bool rows_take(LiveRows *l, int n, int *row, Error *e);
void rows_drop(LiveRows *l, const int *row, int n);

/* n slots more at the end of a row. false: ERR_MEMORY. */
bool rows_append(LiveRows *l, int row, int n, Error *e);
/* Empty row i becomes a copy of its parent, whose slots they share, with one slot more. false:
 * ERR_MEMORY. */
bool rows_fork(LiveRows *l, int n, const int *parent, const int *row, Error *e);

/* What a pass over the last fresh[i] slots (NULL: 1 each) of n rows reads and writes (kv_rows); at[r] receives
 * the place of the pass' row r in its sequence. In the pass' memory. NULL: the context has the error. */
const CacheRows *rows_pass(LiveRows *l, Ctx *c, const int *row, int n, const int *fresh, KvSee see,
                           int **at);

#endif
