/* task/greedy.c: one beam: the best id each time, or a drawn one; several drawn sequences per item.
 * Source: transformers generation/utils.py, greedy_search and sample (4.33), _sample (5.x). */
#include "task/decode.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"

typedef struct Stream {
    int item, sequence;
    int row;     /* its logits in the last pass */
    int node, n; /* what it has generated */
    int room;
    double score;
    bool ended;
} Stream;

/* The first of the highest scores; none when every id is forbidden. */
static int best_of_row(const float *row, int vocab, Cand *best)
{
    *best = (Cand){0, -INFINITY, -1};
    for (int i = 0; i < vocab; i++)
        if (row[i] > best->score)
            *best = (Cand){0, row[i], i};
    return best->index >= 0;
}

static bool choose(Decoder *d, const Stream *s, Cand *choice)
{
    int vocab = d->lm->vocab;
    memcpy(d->row, d->logits + (size_t)s->row * (size_t)vocab, (size_t)vocab * sizeof(float));
    if (!process_row(d, s->item, s->node, s->n))
        return false;
    int n;
    if (d->o->sample) {
        n = warp_row(d, 1, d->cand);
        n = draw(d->cand, n, 1, draw_stream(d, s->item, s->sequence, s->n), choice);
    } else {
        n = best_of_row(d->row, vocab, choice);
    }
    if (n == 0)
        return error_set(d->e, ERR_FAILED, "item %d: step %d: every id is forbidden", s->item,
                         s->n + 1);
    return true;
}

/* Chooses, adds and reports the stream's next id. */
static bool extend(Decoder *d, Stream *s)
{
    const float *x = d->logits + (size_t)s->row * (size_t)d->lm->vocab;
    float max, log_sum;
    Cand c;
    if (!row_norm(d, x, s->item, s->n + 1, &max, &log_sum) || !choose(d, s, &c))
        return false;
    int node = path_add(d, s->node, c.index);
    if (node < 0)
        return false;
    s->node = node;
    s->n++;
    s->score += (double)(x[c.index] - max - log_sum);
    s->ended = is_end(d->o, c.index) || s->n == s->room;
    if (s->sequence == 0 && d->on_token && !d->on_token(d->user, s->item, c.index))
        return error_set(d->e, ERR_STOPPED, "generation: stopped by the caller");
    return true;
}

/* Gives rows to the streams that go on; returns how many there are. */
static int next_rows(Decoder *d, Stream *stream, int n)
{
    int rows = 0;
    for (int i = 0; i < n; i++) {
        if (stream[i].ended)
            continue;
        d->parent[rows] = stream[i].row;
        d->ids[rows] = d->paths.node[stream[i].node].id;
        stream[i].row = rows++;
    }
    return rows;
}

static bool run_streams(Decoder *d, Stream *stream, int n)
{
    for (;;) {
        for (int i = 0; i < n; i++)
            if (!stream[i].ended && !extend(d, &stream[i]))
                return false;
        int rows = next_rows(d, stream, n);
        if (rows == 0)
            return true;
        if (!decoder_advance(d, rows))
            return false;
    }
}

static bool emit_streams(Decoder *d, const Stream *stream, int n, GenSequence *out)
{
    for (int i = 0; i < n; i++)
        if (!emit(d, &out[i], stream[i].node, stream[i].n, stream[i].score))
            return false;
    return true;
}

bool generate_streams(Decoder *d, GenSequence *out)
{
    int each = d->o->num_captions, n = d->items * each;
    Stream *stream = mem_calloc((size_t)n, sizeof(*stream));
    if (!stream)
        return error_memory(d->e, "sequences", (size_t)n * sizeof(*stream));
    for (int i = 0; i < n; i++)
        stream[i] = (Stream){.item = i / each,
                             .sequence = i % each,
                             .row = i / each,
                             .node = -1,
                             .room = item_room(d, i / each)};
    bool ok = run_streams(d, stream, n);
    if (ok || d->e->code == ERR_STOPPED)
        ok = emit_streams(d, stream, n, out) && ok;
    mem_free(stream);
    return ok;
}
