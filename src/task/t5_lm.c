/* task/t5_lm.c: Flan-T5 behind a picture: the encoder reads picture and prompt once, and what the decoder
 * looks up of it is kept in slots that all rows of the prompt share; the decoder's rows lie in a cache of
 * their own and begin with the start id. */
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "task/lm.h"
#include "task/rows.h"

/* Positions are relative and have no end; the time of the encoder's attention grows with the square. */
enum { PROMPT_MAX = 8192 };

typedef struct T5Lm {
    Lm base;
    const Blip2 *m;
    LiveRows rows;    /* the decoder's */
    LiveRows sources; /* a row for each prompt: what its decoder rows look up */
    int *source;      /* by handle of a decoder row: its handle in sources */
    int *users;       /* by handle in sources: decoder rows of it */
    size_t cap_source, cap_users;
} T5Lm;

static int queries_of(const T5Lm *l)
{
    return l->m->config.qformer.queries;
}

static int room(const Lm *lm, int n)
{
    (void)lm, (void)n;
    return INT_MAX;
}

/* --- rows ---------------------------------------------------------------------------------------- */

static long long slots_of(const LmPrompt *p)
{
    return (p->n_decoder ? p->n_decoder : 1) + (long long)p->rows * p->steps;
}

static void release_all(T5Lm *l, const LmPrompt *prompt, int n)
{
    for (int i = 0; i < n; i++) {
        rows_release(&l->rows, slots_of(&prompt[i]));
        rows_release(&l->sources, queries_of(l) + prompt[i].n);
    }
}

static bool reserve(T5Lm *l, const LmPrompt *prompt, int n, Error *e)
{
    for (int i = 0; i < n; i++) {
        bool own = rows_reserve(&l->rows, slots_of(&prompt[i]), e);
        if (own && rows_reserve(&l->sources, queries_of(l) + prompt[i].n, e))
            continue;
        if (own)
            rows_release(&l->rows, slots_of(&prompt[i]));
        release_all(l, prompt, i);
        return false;
    }
    return true;
}

static void release(Lm *lm, const LmPrompt *prompt)
{
    release_all((T5Lm *)lm, prompt, 1);
}

/* n decoder rows and the lists by their handles. */
static bool take(T5Lm *l, int n, int *row, Error *e)
{
    if (!rows_take(&l->rows, n, row, e))
        return false;
    if (MEM_GROW(l->source, &l->cap_source, (size_t)l->rows.room) &&
        MEM_GROW(l->users, &l->cap_users, (size_t)l->sources.room))
        return true;
    rows_drop(&l->rows, row, n);
    return error_memory(e, "sequences", (size_t)l->rows.room * sizeof *l->source);
}

static void use(T5Lm *l, int row, int source)
{
    l->source[row] = source;
    l->users[source]++;
}

static void drop(Lm *lm, const int *row, int n)
{
    T5Lm *l = (T5Lm *)lm;
    for (int i = n; i-- > 0;)
        if (--l->users[l->source[row[i]]] == 0)
            rows_drop(&l->sources, &l->source[row[i]], 1);
    rows_drop(&l->rows, row, n);
}

/* Each prompt's rows: row[i] of the decoder, with its source. */
static bool take_prompts(T5Lm *l, int n, int *row, Error *e)
{
    int *source = mem_alloc(sizeof *source * (size_t)n);
    bool ok = source ? rows_take(&l->sources, n, source, e)
                     : error_memory(e, "prompt", sizeof *source * (size_t)n);
    if (ok && !take(l, n, row, e)) {
        rows_drop(&l->sources, source, n);
        ok = false;
    }
    for (int i = 0; ok && i < n; i++) {
        l->users[source[i]] = 0;
        use(l, row[i], source[i]);
    }
    mem_free(source);
    return ok;
}

/* --- the encoder --------------------------------------------------------------------------------- */

/* The spans of n prompts, [picture, words] of each one after another; NULL: c->err. */
static Spans *spans_of(T5Lm *l, const LmPrompt *prompt, int n)
{
    Ctx *c = l->base.c;
    AttnSpan *span = arena_alloc(&c->mem, sizeof *span * (size_t)n);
    Spans *all = arena_alloc(&c->mem, sizeof *all);
    if (!span || !all) {
        ctx_fail(c, ERR_MEMORY, "prompt: out of memory");
        return NULL;
    }
    for (int i = 0, at = 0; i < n; i++) {
        int rows = queries_of(l) + prompt[i].n;
        span[i] = (AttnSpan){.q = at, .nq = rows, .k = at, .nk = rows};
        at += rows;
    }
    *all = spans_upload(c, span, n);
    return all;
}

/* Slots for the encoder's rows, in the order of the pass; NULL: e or c->err. */
static int *source_slots(T5Lm *l, const LmPrompt *prompt, int n, const int *row, Error *e)
{
    Ctx *c = l->base.c;
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += (size_t)(queries_of(l) + prompt[i].n);
    int *slot = arena_alloc(&c->mem, sizeof *slot * total), *to = slot;
    if (!slot) {
        error_memory(e, "prompt", sizeof *slot * total);
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        int rows = queries_of(l) + prompt[i].n, source = l->source[row[i]];
        if (!rows_append(&l->sources, source, rows, e))
            return NULL;
        memcpy(to, l->sources.seq[source].slots, sizeof *to * (size_t)rows);
        to += rows;
    }
    return slot;
}

static bool encode(T5Lm *l, const LmPrompt *prompt, int n, const int *row, Error *e)
{
    Ctx *c = l->base.c;
    const T5 *t5 = &l->m->t5;
    ctx_begin(c, ROLE_ENCODE);
    int *slot = source_slots(l, prompt, n, row, e);
    Spans *spans = slot ? spans_of(l, prompt, n) : NULL;
    Tensor *x = spans ? lm_embed(c, &t5->tokens, prompt, n, queries_of(l)) : NULL;
    x = x ? t5_encode(c, t5, x, spans) : NULL;
    return (x && t5_keep(c, t5, x, &l->sources.cache, slot)) || lm_error(c, e);
}

/* --- the decoder --------------------------------------------------------------------------------- */

/* The states of the last fresh[i] slots (NULL: 1 each) of n rows, whose embeddings are x. */
static Tensor *run_rows(T5Lm *l, Tensor *x, const int *row, int n, const int *fresh)
{
    Ctx *c = l->base.c;
    int *at, *unused, *source = arena_alloc(&c->mem, sizeof *source * (size_t)n);
    if (!source)
        return ctx_fail(c, ERR_MEMORY, "sequences: out of memory");
    for (int i = 0; i < n; i++)
        source[i] = l->source[row[i]];
    const CacheRows *self = x ? rows_pass(&l->rows, c, row, n, fresh, KV_CAUSAL, &at) : NULL;
    const CacheRows *read =
        self ? rows_pass(&l->sources, c, source, n, fresh, KV_READ, &unused) : NULL;
    return read ? t5_decode(c, &l->m->t5, x, at, self, read) : NULL;
}

static Tensor *logits_of(T5Lm *l, Tensor *states)
{
    return t5_logits(l->base.c, &l->m->t5, states);
}

/* The start id of n rows that have only that. */
static Tensor *begin(T5Lm *l, const int *row, int n, Error *e)
{
    Ctx *c = l->base.c;
    ctx_begin(c, ROLE_DECODE);
    int *ids = arena_alloc(&c->mem, sizeof *ids * (size_t)n);
    bool ok = ids || error_memory(e, "prompt", sizeof *ids * (size_t)n);
    for (int i = 0; ok && i < n; i++) {
        ids[i] = l->base.start;
        ok = rows_append(&l->rows, row[i], 1, e);
    }
    Tensor *x = ok ? embed(c, &l->m->t5.tokens, ids, n) : NULL;
    return logits_of(l, run_rows(l, x, row, n, NULL));
}

/* What the decoder is fed, in one row. */
static Tensor *follow(T5Lm *l, const LmPrompt *p, int row, Error *e)
{
    Ctx *c = l->base.c;
    int n = p->n_decoder ? p->n_decoder : 1;
    const int *ids = p->n_decoder ? p->decoder : &l->base.start;
    ctx_begin(c, ROLE_DECODE);
    Tensor *x = rows_append(&l->rows, row, n, e) ? embed(c, &l->m->t5.tokens, ids, n) : NULL;
    return tap(c, logits_of(l, run_rows(l, x, &row, 1, &n)), "logits");
}

static Tensor *prefill(Lm *lm, const LmPrompt *prompt, int n, int *row, Error *e)
{
    T5Lm *l = (T5Lm *)lm;
    if (!lm_check(lm, prompt, n, e) || !reserve(l, prompt, n, e))
        return NULL;
    bool taken = take_prompts(l, n, row, e);
    Tensor *logits = taken && encode(l, prompt, n, row, e) ? begin(l, row, n, e) : NULL;
    if (logits)
        return logits;
    if (taken) {
        lm_error(lm->c, e);
        drop(lm, row, n);
    }
    release_all(l, prompt, n);
    return NULL;
}

static Tensor *forward(Lm *lm, const LmPrompt *prompt, Error *e)
{
    T5Lm *l = (T5Lm *)lm;
    LmPrompt one = *prompt;
    int row;
    one.rows = one.steps = 0;
    if (!lm_check(lm, &one, 1, e) || !reserve(l, &one, 1, e))
        return NULL;
    bool taken = take_prompts(l, 1, &row, e);
    Tensor *logits = taken && encode(l, &one, 1, &row, e) ? follow(l, &one, row, e) : NULL;
    if (taken && !logits)
        lm_error(lm->c, e);
    if (taken)
        drop(lm, &row, 1);
    release_all(l, &one, 1);
    return logits;
}

static Tensor *advance(Lm *lm, int n, const int *parent, const int *ids, int *row, Error *e)
{
    T5Lm *l = (T5Lm *)lm;
    Ctx *c = lm->c;
    if (!take(l, n, row, e))
        return NULL;
    for (int i = 0; i < n; i++)
        use(l, row[i], l->source[parent[i]]);
    ctx_begin(c, ROLE_DECODE);
    Tensor *x = rows_fork(&l->rows, n, parent, row, e) ? embed(c, &l->m->t5.tokens, ids, n) : NULL;
    Tensor *logits = logits_of(l, run_rows(l, x, row, n, NULL));
    if (logits)
        return logits;
    lm_error(c, e);
    drop(lm, row, n);
    return NULL;
}

/* --- begin and end ------------------------------------------------------------------------------- */

static void t5_lm_free(Lm *lm)
{
    T5Lm *l = (T5Lm *)lm;
    rows_free(&l->rows);
    rows_free(&l->sources);
    mem_free(l->source);
    mem_free(l->users);
    mem_free(l);
}

Lm *t5_lm_new(Ctx *c, const Blip2 *m, Error *e)
{
    const T5Config *k = &m->config.t5;
    T5Lm *l = mem_calloc(1, sizeof *l);
    if (!l) {
        error_memory(e, "language model", sizeof *l);
        return NULL;
    }
    l->base = (Lm){.vocab = k->vocab,
                   .prompt_max = PROMPT_MAX,
                   .start = m->config.start,
                   .c = c,
                   .room = room,
                   .prefill = prefill,
                   .advance = advance,
                   .drop = drop,
                   .release = release,
                   .forward = forward,
                   .free = t5_lm_free};
    l->m = m;
    rows_init(&l->rows, c->on, k->decoder_layers, k->heads * k->key_width);
    rows_init(&l->sources, c->on, k->decoder_layers, k->heads * k->key_width);
    return &l->base;
}
