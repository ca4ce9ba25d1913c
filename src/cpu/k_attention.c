/* cpu/k_attention.c: attention over packed keys and values, and over a cache of token slots.
 *
 * `attention` takes one head of one group at a time: it packs the head's keys as columns of panels
 * and its values as rows of panels, and then takes MR queries at once: scores, softmax, values, all
 * in a few tens of KB (the formula: Vaswani et al. 2017, section 3.2.1; the softmax is not divided
 * by its sum, the output row is). A row's bits depend on its query and the keys that it sees. */
#include "cpu/kernels.h"
#include "cpu/rows.h"
#include "cpu/softmax.h"

/* --- attention --------------------------------------------------------------------------------- */

/* One thread's memory. */
typedef struct Work {
    AttnSpan span;         /* the group whose head is packed */
    float *keys;           /* per W keys: a panel of hd rows */
    float *values;         /* per W columns of the head: a panel of nk rows */
    float *query, *scores; /* tiles */
    float *out;            /* MR rows of W */
    float *bias;           /* the head's, and W more that nobody looks at */
} Work;

/* The sizes of one call. */
typedef struct Shape {
    int nq, nk, hd;                          /* of the longest groups */
    int chunks, chunk_rows;                  /* queries of a head are split into chunks of work */
    size_t keys, values, query, scores, all; /* floats in Work */
} Shape;

static AttnSpan span_of(const AttentionArgs *a, const Shape *s, int group)
{
    return a->span ? a->span[group] : (AttnSpan){group * s->nq, s->nq, group * s->nk, s->nk};
}

static Shape shape_of(const AttentionArgs *a, int threads)
{
    Shape s = {.nq = a->span ? a->most_q : a->q->rows / a->groups,
               .nk = a->span ? a->most_k : a->k->rows / a->groups,
               .hd = a->q->cols / a->heads};
    /* Chunks pack the same keys again, so there are none where the heads alone fill the threads,
     * and none of less than 4 blocks. */
    int heads = a->groups * a->heads, blocks = (s.nq + MR - 1) / MR;
    int want = heads >= 4 * threads || heads % threads == 0 ? 1 : (4 * threads + heads - 1) / heads;
    int most = (blocks + 3) / 4;
    want = want < most ? want : most;
    s.chunk_rows = (blocks + want - 1) / (want > 0 ? want : 1) * MR;
    s.chunks = s.chunk_rows > 0 ? (s.nq + s.chunk_rows - 1) / s.chunk_rows : 0;
    s.keys = (size_t)panels(s.nk) * (size_t)s.hd * W;
    s.values = (size_t)panels(s.hd) * (size_t)s.nk * W;
    s.query = (size_t)tiles(s.hd) * TILE;
    s.scores = (size_t)tiles(s.nk) * TILE;
    s.all = s.keys + s.values + s.query + s.scores + TILE;
    if (a->bias)
        s.all += (size_t)(a->bias->rows + W - 1) / W * W + W;
    return s;
}

static Work work_of(float *memory, const Shape *s)
{
    Work w = {.keys = memory};
    w.values = w.keys + s->keys;
    w.query = w.values + s->values;
    w.scores = w.query + s->query;
    w.out = w.scores + s->scores;
    w.bias = w.out + TILE;
    return w;
}

static void pack_head(Work *w, const Shape *s, const AttentionArgs *a, int group, int head)
{
    w->span = span_of(a, s, group);
    const float *k = row_f32(a->k, w->span.k) + head * s->hd;
    const float *v = row_f32(a->v, w->span.k) + head * s->hd;
    panel_columns(w->keys, k, (size_t)a->k->ld, w->span.nk, s->hd);
    panel_rows(w->values, v, (size_t)a->v->ld, w->span.nk, s->hd);
    for (int i = 0; a->bias && i < a->bias->rows; i++)
        w->bias[i] = row_f32(a->bias, i)[head];
}

/* Number of keys that query `row` of a group sees. */
static int keys_seen(const AttnSpan *s, bool causal, int row)
{
    return causal ? row + 1 + s->nk - s->nq : s->nk;
}

/* The scores of query `row` with n keys, with what the bias adds at their distances. */
static void add_bias(float *scores, const Work *w, const AttentionArgs *a, int row, int n)
{
    int far = a->bias->rows / 2, at = row + w->span.nk - w->span.nq;
    const float *bias = w->bias + far - at;
    for (int j = 0; j < n; j += VL) {
        float *p = scores + tile_at(j);
        vf_storeu(p, vf_loadu(p) + vf_loadu(bias + j));
    }
}

/* Queries row..row+mr of a packed head. */
static void attend_block(const Work *w, const Shape *s, const AttentionArgs *a, int head, int row,
                         int mr)
{
    const float *q = row_f32(a->q, w->span.q + row) + head * s->hd;
    float *out = row_f32(a->out, w->span.q + row) + head * s->hd;
    int least = keys_seen(&w->span, a->causal, row);
    int most = keys_seen(&w->span, a->causal, row + mr - 1);
    tile_pack(w->query, q, (size_t)a->q->ld, mr, s->hd, a->scale);
    for (int j = 0; j < most; j += W)
        tile_product(mr, most - j, w->query, 0, s->hd, w->keys + (size_t)j * (size_t)s->hd,
                     w->scores + tile_at(j), TILE_SET);
    float sum[MR];
    for (int i = 0; i < mr; i++) {
        int n = keys_seen(&w->span, a->causal, row + i);
        if (a->bias)
            add_bias(w->scores + i * TILE_LD, w, a, row + i, n);
        sum[i] = softmax_exp_tiles(w->scores + i * TILE_LD, n).sum;
    }
    for (int c = 0; c < s->hd; c += W) {
        tile_product_to(mr, s->hd - c, w->scores, least, a->causal,
                        w->values + (size_t)c * (size_t)w->span.nk, w->out);
        for (int i = 0; i < mr; i++)
            tile_row_set(out + (size_t)i * (size_t)a->out->ld + c, w->out + i * TILE_LD,
                         s->hd - c < W ? s->hd - c : W, 1.0f / sum[i]);
    }
}

/* One chunk of queries, in blocks of at most MR rows that differ by one row at most. */
static void attend_chunk(const Work *w, const Shape *s, const AttentionArgs *a, int head, int chunk)
{
    int from = chunk * s->chunk_rows, rest = w->span.nq - from;
    int n = rest < s->chunk_rows ? rest > 0 ? rest : 0 : s->chunk_rows;
    int blocks = (n + MR - 1) / MR;
    for (int b = 0; b < blocks; b++) {
        int first = n * b / blocks, end = n * (b + 1) / blocks;
        attend_block(w, s, a, head, from + first, end - first);
    }
}

typedef struct Attention {
    const AttentionArgs *a;
    Shape s;
    float *memory; /* a Work per thread */
} Attention;

/* Jobs are the chunks of the heads in turn: a head is packed when its first chunk comes. */
static void attend_part(const void *args, Part *part)
{
    const Attention *c = args;
    const AttentionArgs *a = c->a;
    Work w = work_of(c->memory + (size_t)part->thread * c->s.all, &c->s);
    int packed = -1;
    for (int job; (job = part_next(part)) >= 0;) {
        int head = job / c->s.chunks;
        if (head != packed)
            pack_head(&w, &c->s, a, head / a->heads, head % a->heads);
        packed = head;
        attend_chunk(&w, &c->s, a, head % a->heads, job % c->s.chunks);
    }
}

static bool attention(Stream *on, const AttentionArgs *a)
{
    if (a->q->rows == 0)
        return true;
    Shape s = shape_of(a, on->threads);
    int jobs = a->groups * a->heads * s.chunks;
    int threads = team_for(on, jobs, a->q->rows, s.nk, 2 * a->q->cols);
    float *memory = cpu_scratch(on, SCRATCH_ATTENTION, (size_t)threads * s.all * sizeof(float));
    if (!memory)
        return false;
    run_parts(on, threads, jobs, 1, attend_part, &(Attention){a, s, memory});
    return true;
}

/* --- attention over slots ---------------------------------------------------------------------- */

#define AHEAD 8 /* slots that are asked for before their turn: a slot's memory is nowhere near */

typedef struct SlotJob {
    const float *q;     /* one head of one row, scaled */
    const float *k, *v; /* that head's columns of slot 0 */
    const int *slots;
    size_t ld;
    int n, hd;
} SlotJob;

VEC_INLINE void prefetch_slot(const float *p, int hd)
{
    for (int i = 0; i < hd; i += 16)
        __builtin_prefetch(p + i);
}

/* x . y over n, in vectors of VL with one running sum, lanes last. */
VEC_INLINE float dot(const float *x, const float *y, int n)
{
    vf sum = vf_zero();
    int i = 0;
    for (; i + VL <= n; i += VL)
        sum = vf_fma(vf_loadu(x + i), vf_loadu(y + i), sum);
    if (i < n)
        sum = vf_fma(vf_load_n(x + i, n - i), vf_load_n(y + i, n - i), sum);
    return vf_hsum(sum);
}

/* The bias of the slots of a row, whose last one is at distance 0. */
static void add_slot_bias(float *scores, const Tensor *bias, int n, int head)
{
    for (int i = 0; i < n; i++)
        scores[i] += row_f32(bias, bias->rows - n + i)[head];
}

static void slot_scores(const SlotJob *j, float *scores)
{
    for (int i = 0; i < j->n; i++) {
        if (i + AHEAD < j->n)
            prefetch_slot(j->k + (size_t)j->slots[i + AHEAD] * j->ld, j->hd);
        scores[i] = dot(j->q, j->k + (size_t)j->slots[i] * j->ld, j->hd);
    }
}

/* out = sum of p[i] * v[slot i] over nv vectors of columns from c on; `tail` lanes in the last. */
VEC_INLINE void slot_values_body(const SlotJob *j, const float *p, float *out, int c, const int nv,
                                 int tail, float factor)
{
    vf sum[8];
    UNROLL for (int x = 0; x < nv; x++) sum[x] = vf_zero();
    for (int i = 0; i < j->n; i++) {
        const float *v = j->v + (size_t)j->slots[i] * j->ld + c;
        if (i + AHEAD < j->n)
            prefetch_slot(j->v + (size_t)j->slots[i + AHEAD] * j->ld + c, (nv - 1) * VL + tail);
        vf weight = vf_set1(p[i]);
        UNROLL for (int x = 0; x < nv; x++)
        {
            bool whole = x < nv - 1 || tail == VL;
            sum[x] =
                vf_fma(weight, whole ? vf_loadu(v + x * VL) : vf_load_n(v + x * VL, tail), sum[x]);
        }
    }
    UNROLL for (int x = 0; x < nv; x++)
    {
        vf y = sum[x] * vf_set1(factor);
        if (x < nv - 1 || tail == VL)
            vf_storeu(out + c + x * VL, y);
        else
            vf_store_n(out + c + x * VL, y, tail);
    }
}

static void slot_values(const SlotJob *j, const float *p, float *out, float factor)
{
    for (int c = 0; c < j->hd; c += 8 * VL) {
        int n = j->hd - c < 8 * VL ? j->hd - c : 8 * VL;
        int nv = (n + VL - 1) / VL, tail = n - (nv - 1) * VL;
        switch (nv) {
        case 1: slot_values_body(j, p, out, c, 1, tail, factor); break;
        case 2: slot_values_body(j, p, out, c, 2, tail, factor); break;
        case 3: slot_values_body(j, p, out, c, 3, tail, factor); break;
        case 4: slot_values_body(j, p, out, c, 4, tail, factor); break;
        case 5: slot_values_body(j, p, out, c, 5, tail, factor); break;
        case 6: slot_values_body(j, p, out, c, 6, tail, factor); break;
        case 7: slot_values_body(j, p, out, c, 7, tail, factor); break;
        default: slot_values_body(j, p, out, c, 8, tail, factor); break;
        }
    }
}

/* Head `head` of row `r`. scores: n floats, up to a multiple of W, then the scaled query. */
static void attend_slots(const SlotAttentionArgs *a, int r, int head, float *scores)
{
    int hd = a->q->cols / a->heads, n = a->n[r];
    float *query = scores + (size_t)panels(n) * W;
    const float *q = row_f32(a->q, r) + head * hd;
    for (int i = 0; i < hd; i++)
        query[i] = q[i] * a->scale;
    SlotJob j = {.q = query,
                 .k = (const float *)a->k.data + head * hd,
                 .v = (const float *)a->v.data + head * hd,
                 .slots = a->slots + a->first[r],
                 .ld = (size_t)a->q->cols,
                 .n = n,
                 .hd = hd};
    slot_scores(&j, scores);
    if (a->bias)
        add_slot_bias(scores, a->bias, n, head);
    float sum = softmax_exp_plain(scores, n).sum;
    slot_values(&j, scores, row_f32(a->out, r) + head * hd, 1.0f / sum);
}

typedef struct SlotAttention {
    const SlotAttentionArgs *a;
    float *memory; /* `each` floats per thread */
    size_t each;
} SlotAttention;

/* A thread takes a head through all rows, since rows often share slots (beams of one picture), and
 * then the next head, which lies beside it in memory. */
static void attend_slots_part(const void *args, Part *part)
{
    const SlotAttention *c = args;
    int rows = c->a->q->rows;
    for (int job; (job = part_next(part)) >= 0;)
        attend_slots(c->a, job % rows, job / rows, c->memory + (size_t)part->thread * c->each);
}

static bool attention_slots(Stream *on, const SlotAttentionArgs *a)
{
    int rows = a->q->rows, heads = a->heads, longest = 0;
    size_t all = 0;
    for (int r = 0; r < rows; r++) {
        longest = a->n[r] > longest ? a->n[r] : longest;
        all += (size_t)a->n[r];
    }
    int threads = all * (size_t)a->q->cols >= PARALLEL_FLOATS ? on->threads : 1;
    size_t each = ((size_t)panels(longest) + (size_t)panels(a->q->cols / heads)) * W;
    float *memory = cpu_scratch(on, SCRATCH_ATTENTION, (size_t)threads * each * sizeof(float));
    if (!memory)
        return false;
    int some = (heads + 2 * threads - 1) / (2 * threads); /* heads that a thread takes at a time */
    run_parts(on, threads, heads * rows, some * rows, attend_slots_part,
              &(SlotAttention){a, memory, each});
    return true;
}

void ISA_SYM(install_attention)(Backend *b)
{
    b->attention = attention;
    b->attention_slots = attention_slots;
}
