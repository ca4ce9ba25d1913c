/* task/qformer_lm.c: captions by the Q-Former alone (LAVIS models/blip2_models/blip2_qformer.py, generate): the
 * queries read the picture once, and the words that follow see their keys and values, and each other's. */
#include "base/mem.h"
#include "task/lm.h"
#include "task/rows.h"

typedef struct QformerLm {
    Lm base;
    const Blip2 *m;
    LiveRows rows; /* the queries, then the words */
} QformerLm;

static int queries_of(const QformerLm *l)
{
    return l->m->config.qformer.queries;
}

/* The first word is the start id. */
static int room(const Lm *lm, int n)
{
    (void)n;
    return ((const QformerLm *)lm)->m->config.qformer.positions - 1;
}

static int words_of(const LmPrompt *p)
{
    return p->n_decoder ? p->n_decoder : 1;
}

static long long slots_of(const QformerLm *l, const LmPrompt *p)
{
    return queries_of(l) + words_of(p) + (long long)p->rows * p->steps;
}

static void release(Lm *lm, const LmPrompt *prompt)
{
    QformerLm *l = (QformerLm *)lm;
    rows_release(&l->rows, slots_of(l, prompt));
}

static bool reserve(QformerLm *l, const LmPrompt *prompt, int n, Error *e)
{
    long long slots = 0;
    for (int i = 0; i < n; i++)
        slots += slots_of(l, &prompt[i]);
    return rows_reserve(&l->rows, slots, e);
}

static void drop(Lm *lm, const int *row, int n)
{
    rows_drop(&((QformerLm *)lm)->rows, row, n);
}

/* --- passes -------------------------------------------------------------------------------------- */

/* The tokens of n pictures, one picture after another; NULL: c->err. */
static Tensor *images_of(Ctx *c, const LmPrompt *prompt, int n)
{
    Tensor **part = arena_alloc(&c->mem, sizeof(Tensor *) * (size_t)n);
    if (!part)
        return ctx_fail(c, ERR_MEMORY, "pictures: out of memory");
    for (int i = 0; i < n; i++) {
        const Tensor *t = prompt[i].image_embeds;
        if (t->rows != prompt[0].image_embeds->rows)
            return ctx_fail(c, ERR_USAGE, "pictures: expected all of one size");
        part[i] = tensor_of(c, t);
    }
    return concat(c, part, n);
}

/* The queries of n pictures, into the empty rows. */
static bool look(QformerLm *l, const LmPrompt *prompt, int n, const int *row, Error *e)
{
    Ctx *c = l->base.c;
    int *at;
    ctx_begin(c, ROLE_ENCODE);
    int *fresh = arena_alloc(&c->mem, sizeof *fresh * (size_t)n);
    bool ok = fresh || error_memory(e, "pictures", sizeof *fresh * (size_t)n);
    for (int i = 0; ok && i < n; i++) {
        fresh[i] = queries_of(l);
        ok = rows_append(&l->rows, row[i], fresh[i], e);
    }
    if (!ok)
        return false;
    const CacheRows *cache = rows_pass(&l->rows, c, row, n, fresh, KV_WHOLE, &at);
    Tensor *image = cache ? images_of(c, prompt, n) : NULL;
    return qformer_queries_into(c, &l->m->qformer, image, n, cache) || lm_error(c, e);
}

/* The logits behind the last fresh[i] slots (NULL: 1 each) of n rows, which hold ids. */
static Tensor *read_words(QformerLm *l, const int *ids, int n_ids, const int *row, int n,
                          const int *fresh)
{
    Ctx *c = l->base.c;
    const Blip2 *m = l->m;
    int *at;
    const CacheRows *cache = rows_pass(&l->rows, c, row, n, fresh, KV_CAUSAL, &at);
    for (int i = 0; cache && i < n_ids; i++)
        at[i] -= queries_of(l);
    Tensor *x = cache ? qformer_words_into(c, &m->qformer, ids, at, n_ids, cache) : NULL;
    return heads_words(c, &m->heads, &m->qformer.words, x);
}

/* The start id of n rows. */
static Tensor *begin(QformerLm *l, const int *row, int n, Error *e)
{
    Ctx *c = l->base.c;
    ctx_begin(c, ROLE_DECODE);
    int *ids = arena_alloc(&c->mem, sizeof *ids * (size_t)n);
    bool ok = ids || error_memory(e, "prompt", sizeof *ids * (size_t)n);
    for (int i = 0; ok && i < n; i++) {
        ids[i] = l->base.start;
        ok = rows_append(&l->rows, row[i], 1, e);
    }
    return ok ? read_words(l, ids, n, row, n, NULL) : NULL;
}

/* What the decoder is fed, in one row. */
static Tensor *follow(QformerLm *l, const LmPrompt *p, int row, Error *e)
{
    Ctx *c = l->base.c;
    int n = words_of(p);
    const int *ids = p->n_decoder ? p->decoder : &l->base.start;
    ctx_begin(c, ROLE_DECODE);
    bool ok = rows_append(&l->rows, row, n, e);
    return ok ? tap(c, read_words(l, ids, n, &row, 1, &n), "logits") : NULL;
}

/* --- what an Lm does ------------------------------------------------------------------------------ */

static Tensor *prefill(Lm *lm, const LmPrompt *prompt, int n, int *row, Error *e)
{
    QformerLm *l = (QformerLm *)lm;
    if (!lm_check(lm, prompt, n, e) || !reserve(l, prompt, n, e))
        return NULL;
    bool taken = rows_take(&l->rows, n, row, e);
    Tensor *logits = taken && look(l, prompt, n, row, e) ? begin(l, row, n, e) : NULL;
    if (logits)
        return logits;
    if (taken) {
        lm_error(lm->c, e);
        drop(lm, row, n);
    }
    for (int i = 0; i < n; i++)
        release(lm, &prompt[i]);
    return NULL;
}

static Tensor *forward(Lm *lm, const LmPrompt *prompt, Error *e)
{
    QformerLm *l = (QformerLm *)lm;
    LmPrompt one = *prompt;
    int row;
    one.rows = one.steps = 0;
    if (!lm_check(lm, &one, 1, e) || !reserve(l, &one, 1, e))
        return NULL;
    bool taken = rows_take(&l->rows, 1, &row, e);
    Tensor *logits = taken && look(l, &one, 1, &row, e) ? follow(l, &one, row, e) : NULL;
    if (taken && !logits)
        lm_error(lm->c, e);
    if (taken)
        drop(lm, &row, 1);
    release(lm, &one);
    return logits;
}

static Tensor *advance(Lm *lm, int n, const int *parent, const int *ids, int *row, Error *e)
{
    QformerLm *l = (QformerLm *)lm;
    if (!rows_take(&l->rows, n, row, e))
        return NULL;
    ctx_begin(lm->c, ROLE_DECODE);
    bool ok = rows_fork(&l->rows, n, parent, row, e);
    Tensor *logits = ok ? read_words(l, ids, n, row, n, NULL) : NULL;
    if (logits)
        return logits;
    lm_error(lm->c, e);
    drop(lm, row, n);
    return NULL;
}

static void qformer_lm_free(Lm *lm)
{
    QformerLm *l = (QformerLm *)lm;
    rows_free(&l->rows);
    mem_free(l);
}

Lm *qformer_lm_new(Ctx *c, const Blip2 *m, Error *e)
{
    const QformerConfig *k = &m->config.qformer;
    QformerLm *l = mem_calloc(1, sizeof *l);
    if (!l) {
        error_memory(e, "language model", sizeof *l);
        return NULL;
    }
    l->base = (Lm){.vocab = k->vocab,
                   .prompt_max = 0,
                   .start = m->config.start,
                   .c = c,
                   .room = room,
                   .prefill = prefill,
                   .advance = advance,
                   .drop = drop,
                   .release = release,
                   .forward = forward,
                   .free = qformer_lm_free};
    l->m = m;
    rows_init(&l->rows, c->on, k->layers, k->width);
    return &l->base;
}
