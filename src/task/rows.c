/* task/rows.c: see task/rows.h. */
#include "task/rows.h"

#include "base/mem.h"

void rows_init(LiveRows *l, Stream *on, int layers, int width)
{
    *l = (LiveRows){.reserved = 0};
    kv_init(&l->cache, on, layers, width);
}

void rows_free(LiveRows *l)
{
    for (int i = 0; i < l->room; i++) {
        kv_drop(&l->cache, &l->seq[i]);
        kv_seq_free(&l->seq[i]);
    }
    kv_free(&l->cache);
    mem_free(l->seq);
    mem_free(l->free_rows);
}

bool rows_reserve(LiveRows *l, long long slots, Error *e)
{
    if (!kv_reserve(&l->cache, l->reserved + slots, e))
        return false;
    l->reserved += slots;
    return true;
}

void rows_release(LiveRows *l, long long slots)
{
    l->reserved -= slots;
}

static bool grow(LiveRows *l, int room, Error *e)
{
    size_t n = (size_t)room;
    if (!MEM_GROW(l->seq, &l->cap_seq, n) || !MEM_GROW(l->free_rows, &l->cap_free, n))
        return error_memory(e, "sequences", n * sizeof *l->seq);
    for (int i = room; i-- > l->room;) { /* the lowest is taken first */
        l->seq[i] = (KvSeq){0};
        l->free_rows[l->n_free++] = i;
    }
    l->room = room;
    return true;
}

bool rows_take(LiveRows *l, int n, int *row, Error *e)
{
    if (n > l->n_free && !grow(l, l->room + n, e))
        return false;
    for (int i = 0; i < n; i++)
        row[i] = l->free_rows[--l->n_free];
    return true;
}

void rows_drop(LiveRows *l, const int *row, int n)
{
    for (int i = n; i-- > 0;) {
        kv_drop(&l->cache, &l->seq[row[i]]);
        l->free_rows[l->n_free++] = row[i];
    }
}

bool rows_append(LiveRows *l, int row, int n, Error *e)
{
    return kv_append(&l->cache, &l->seq[row], n, e);
}

bool rows_fork(LiveRows *l, int n, const int *parent, const int *row, Error *e)
{
    for (int i = 0; i < n; i++)
        if (!kv_fork(&l->cache, &l->seq[parent[i]], &l->seq[row[i]], e) ||
            !rows_append(l, row[i], 1, e))
            return false;
    return true;
}

static int *positions(Ctx *c, const KvSeq *const *seq, int n, const int *fresh)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += (size_t)(fresh ? fresh[i] : 1);
    int *at = arena_alloc(&c->mem, sizeof *at * total);
    if (!at) {
        error_memory(&c->err, "positions", sizeof *at * total);
        return NULL;
    }
    for (int i = 0, r = 0; i < n; i++)
        for (int j = seq[i]->n - (fresh ? fresh[i] : 1); j < seq[i]->n; j++)
            at[r++] = j;
    return at;
}

const CacheRows *rows_pass(LiveRows *l, Ctx *c, const int *row, int n, const int *fresh, KvSee see,
                           int **at)
{
    int total;
    const KvSeq **seq = arena_alloc(&c->mem, sizeof *seq * (size_t)n);
    if (!seq) {
        error_memory(&c->err, "sequences", sizeof *seq * (size_t)n);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        seq[i] = &l->seq[row[i]];
    *at = positions(c, seq, n, fresh);
    return *at ? kv_rows(c, &l->cache, seq, n, fresh, see, &total) : NULL;
}
