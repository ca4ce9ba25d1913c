#include "task/lm.h"

#include <limits.h>
#include <string.h>

void opt_lm_init(OptLm *l, Ctx *c, const Blip2 *m)
{
    *l = (OptLm){.c = c, .m = m};
}

static void drop_all(OptLm *l)
{
    for (int i = 0; i < l->live; i++)
        kv_drop(&l->cache, &l->seq[i]);
    l->live = 0;
}

void opt_lm_free(OptLm *l)
{
    drop_all(l);
    kv_free(&l->cache);
    mem_free(l->seq);
    *l = (OptLm){0};
}

/* Copies the context's error out. Always returns false. */
static bool pass_error(const Ctx *c, Error *e)
{
    return error_set(e, c->err.code, "%s", c->err.message);
}

/* Room for `rows` live sequences and `slots` cache slots; what is there is kept when it serves.
 * Slots are counted in long long: beams and lengths are the caller's wishes. */
static bool reserve(OptLm *l, int rows_wanted, long long slots, Error *e)
{
    const OptConfig *k = &l->m->config.opt;
    drop_all(l);
    if (slots > INT_MAX)
        return error_memory(e, "key/value cache",
                            (unsigned long long)slots * (unsigned)k->layers * (unsigned)k->width);
    if (rows_wanted > l->room) {
        mem_free(l->seq);
        l->room = 0;
        l->seq = mem_calloc((size_t)rows_wanted, sizeof *l->seq);
        if (!l->seq)
            return error_memory(e, "sequences", sizeof *l->seq * (size_t)rows_wanted);
        l->room = rows_wanted;
    }
    if (slots <= l->cache.capacity)
        return true;
    kv_free(&l->cache);
    return kv_init(&l->cache, k->layers, k->width, (int)slots, e);
}

/* --- one pass through the network ---------------------------------------------------------------- */

/* The cache rows of every layer for the last fresh[i] slots of the live sequences. */
static const CacheRows *cache_rows(OptLm *l, const int *fresh)
{
    int layers = l->m->config.opt.layers, n;
    CacheRows base, *all = arena_alloc(&l->c->mem, sizeof *all * (size_t)layers);
    if (!all || !kv_rows(&l->c->mem, l->seq, l->live, fresh, &base, &n)) {
        error_memory(&l->c->err, "cache rows", sizeof *all * (size_t)layers);
        return NULL;
    }
    for (int i = 0; i < layers; i++) {
        all[i] = base;
        kv_layer(&l->cache, i, &all[i]);
    }
    return all;
}

/* Position of every row of the pass: its place in its sequence. */
static int *row_positions(OptLm *l, const int *fresh, int total)
{
    int *at = arena_alloc(&l->c->mem, sizeof *at * (size_t)total);
    if (!at) {
        error_memory(&l->c->err, "positions", sizeof *at * (size_t)total);
        return NULL;
    }
    for (int i = 0, r = 0; i < l->live; i++)
        for (int j = l->seq[i].n - (fresh ? fresh[i] : 1); j < l->seq[i].n; j++)
            at[r++] = j;
    return at;
}

static Tensor *pass(OptLm *l, Tensor *x, const int *fresh)
{
    const int *at = x ? row_positions(l, fresh, x->rows) : NULL;
    const CacheRows *cache = at ? cache_rows(l, fresh) : NULL;
    return cache ? opt_forward(l->c, &l->m->opt, x, at, cache, 1) : NULL;
}

/* --- prompts ------------------------------------------------------------------------------------- */

/* Soft tokens of all items, one after another. */
static Tensor *soft_rows(OptLm *l, const LmItem *item, int items)
{
    int q = l->m->config.qformer.queries, d = l->m->config.opt.width;
    Tensor *t = tensor_new(l->c, items * q, d);
    for (int i = 0; t && i < items; i++)
        memcpy(row_f32(t, i * q), item[i].soft, sizeof(float) * (size_t)q * (size_t)d);
    return t;
}

/* [picture, prompt] of each item, items one after another. */
static Tensor *embed_prompts(OptLm *l, const LmItem *item, int items, int words)
{
    int q = l->m->config.qformer.queries, n = items * q + words, w = 0, r = 0;
    int *ids = arena_alloc(&l->c->mem, sizeof *ids * (size_t)(words + 1));
    int *from = arena_alloc(&l->c->mem, sizeof *from * (size_t)n);
    if (!ids || !from)
        return ctx_fail(l->c, ERR_MEMORY, "prompt: out of memory");
    for (int i = 0; i < items; i++) {
        for (int j = 0; j < q; j++)
            from[r++] = i * q + j;
        for (int j = 0; j < item[i].n; j++) {
            from[r++] = items * q + w;
            ids[w++] = item[i].ids[j];
        }
    }
    Tensor *text = embed(l->c, &l->m->opt.tokens, ids, words);
    return splice(l->c, soft_rows(l, item, items), text, from, n);
}

static bool check_room(const OptLm *l, const LmItem *item, int items, int *words, int *longest,
                       Error *e)
{
    int q = l->m->config.qformer.queries, room = l->m->config.opt.positions;
    *words = *longest = 0;
    for (int i = 0; i < items; i++) {
        if (item[i].n > room - q)
            return error_set(e, ERR_FAILED,
                             "prompt: expected at most %d tokens beside the image, got %d",
                             room - q, item[i].n);
        *words += item[i].n;
        *longest = q + item[i].n > *longest ? q + item[i].n : *longest;
    }
    return true;
}

/* Sequences with their slots, then the states of all prompt rows. */
static Tensor *read_prompts(OptLm *l, const LmItem *item, int items, int words, Error *e)
{
    int q = l->m->config.qformer.queries;
    ctx_reset(l->c);
    l->c->role = ROLE_ENCODE;
    int *fresh = arena_alloc(&l->c->mem, sizeof *fresh * (size_t)items);
    bool ok = fresh || error_memory(e, "prompt", sizeof *fresh * (size_t)items);
    for (int i = 0; ok && i < items; i++) {
        l->seq[i] = (KvSeq){0};
        l->live = i + 1;
        fresh[i] = q + item[i].n;
        ok = kv_append(&l->cache, &l->seq[i], fresh[i], e);
    }
    Tensor *x = ok ? pass(l, embed_prompts(l, item, items, words), fresh) : NULL;
    if (ok && !x)
        pass_error(l->c, e);
    return x;
}

static bool put_logits(OptLm *l, Tensor *states, float *logits, Error *e)
{
    l->c->role = ROLE_DECODE; /* whatever the number of rows: the head is read once per step */
    Tensor *t = opt_logits(l->c, &l->m->opt, states);
    if (!t)
        return pass_error(l->c, e);
    memcpy(logits, t->data, sizeof(float) * (size_t)t->rows * (size_t)t->cols);
    return true;
}

static bool advance(void *self, int n, const int *parent, const int *ids, float *logits, Error *e)
{
    OptLm *l = self;
    if (n > l->room)
        BUG("more rows than were asked for");
    if (!kv_reorder(&l->cache, l->seq, l->live, parent, n, e))
        return false;
    l->live = n;
    for (int i = 0; i < n; i++)
        if (!kv_append(&l->cache, &l->seq[i], 1, e))
            return false;
    ctx_reset(l->c);
    l->c->role = ROLE_DECODE;
    Tensor *x = pass(l, embed(l->c, &l->m->opt.tokens, ids, n), NULL);
    return x ? put_logits(l, x, logits, e) : pass_error(l->c, e);
}

/* The state of each item's last row: what comes next follows from it. */
static Tensor *last_rows(OptLm *l, Tensor *x, int items)
{
    int *last = arena_alloc(&l->c->mem, sizeof *last * (size_t)items);
    if (!last)
        return ctx_fail(l->c, ERR_MEMORY, "prompt: out of memory");
    for (int i = 0, end = 0; i < items; i++) {
        end += l->seq[i].n;
        last[i] = end - 1;
    }
    return splice(l->c, x, x, last, items);
}

bool opt_lm_start(OptLm *l, const LmItem *item, int items, int rows_wanted, int max_new,
                  float *logits, Error *e)
{
    int words, longest, positions = l->m->config.opt.positions;
    if (!check_room(l, item, items, &words, &longest, e))
        return false;
    int left = positions - longest, steps = max_new < left ? max_new : left;
    long long slots = (long long)items * l->m->config.qformer.queries + words;
    slots += (long long)rows_wanted * steps;
    if (!reserve(l, rows_wanted > items ? rows_wanted : items, slots, e))
        return false;
    Tensor *x = read_prompts(l, item, items, words, e);
    if (!x)
        return false;
    l->lm = (Lm){.self = l, .vocab = l->m->config.opt.vocab, .max_new = left, .advance = advance};
    Tensor *last = last_rows(l, x, items);
    return last ? put_logits(l, last, logits, e) : pass_error(l->c, e);
}

Tensor *opt_lm_read(OptLm *l, const LmItem *item, Error *e)
{
    int words, longest;
    if (!check_room(l, item, 1, &words, &longest, e) || !reserve(l, 1, longest, e))
        return NULL;
    Tensor *x = read_prompts(l, item, 1, words, e);
    Tensor *logits = x ? tap(l->c, opt_logits(l->c, &l->m->opt, x), "logits") : NULL;
    if (x && !logits)
        pass_error(l->c, e);
    return logits;
}
