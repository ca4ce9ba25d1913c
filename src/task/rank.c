/* task/rank.c: the picture and the prompt are read once; the choices behind them are walked in groups, in
 * order of their ids, so that what several begin with is fed once. */
#include "task/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "tensor/profile.h"

/* Choices walked together: their rows fill a pass, and their log-probabilities stay a few megabytes. */
enum { GROUP = 32 };

typedef struct Choice {
    const Ids *ids;
    double *score;
    int node; /* of the level: the row of what has been fed */
} Choice;

typedef struct Walk {
    Lm *lm;
    int root; /* the row of the prompt */
    float *first,
        *level; /* log-probabilities behind the root [vocab], behind each row of a level [GROUP, vocab] */
    int row[GROUP], rows; /* of the level; none: the root */
} Walk;

static int by_ids(const void *a, const void *b)
{
    const Ids *x = ((const Choice *)a)->ids, *y = ((const Choice *)b)->ids;
    for (size_t i = 0; i < x->n && i < y->n; i++)
        if (x->id[i] != y->id[i])
            return x->id[i] < y->id[i] ? -1 : 1;
    return x->n == y->n ? 0 : x->n < y->n ? -1 : 1;
}

static bool read_logprobs(Lm *lm, Tensor *logits, float *to, Error *e)
{
    Tensor *t = logits ? log_softmax(lm->c, logits) : NULL;
    return (t && tensor_download(lm->c, to, t)) || lm_error(lm->c, e);
}

/* --- a group ------------------------------------------------------------------------------------- */

/* Token `at` of every choice that has one is added. */
static bool add_level(const Walk *w, Choice *c, int n, size_t at, Error *e)
{
    for (int i = 0; i < n; i++) {
        if (at >= c[i].ids->n)
            continue;
        const float *row = at ? w->level + (size_t)c[i].node * (size_t)w->lm->vocab : w->first;
        *c[i].score += (double)row[c[i].ids->id[at]];
        if (isnan(*c[i].score))
            return error_set(e, ERR_FAILED, "logits: step %zu: expected numbers, got not-a-number",
                             at);
    }
    return true;
}

/* Feeds token `at` where another one follows: choices of one beginning share a row. */
static bool feed_level(Walk *w, Choice *c, int n, size_t at, Error *e)
{
    int parent[GROUP], id[GROUP], row[GROUP], rows = 0, last = -1;
    for (int i = 0; i < n; i++) {
        if (at + 1 >= c[i].ids->n)
            continue;
        int from = at ? c[i].node : 0, token = c[i].ids->id[at];
        if (last < 0 || (at && from != last) || token != id[rows - 1]) {
            parent[rows] = at ? w->row[from] : w->root;
            id[rows++] = token;
        }
        last = from;
        c[i].node = rows - 1;
    }
    Tensor *logits = rows ? lm_advance(w->lm, rows, parent, id, row, e) : NULL;
    if (rows && !logits)
        return false;
    bool ok = !rows || read_logprobs(w->lm, logits, w->level, e);
    w->lm->drop(w->lm, w->row, w->rows);
    memcpy(w->row, row, sizeof *row * (size_t)rows);
    w->rows = rows;
    return ok;
}

static bool walk_group(Walk *w, Choice *c, int n, Error *e)
{
    bool ok = add_level(w, c, n, 0, e);
    for (size_t at = 0; ok; at++) {
        ok = feed_level(w, c, n, at, e);
        if (!w->rows)
            break;
        ok = ok && add_level(w, c, n, at + 1, e);
    }
    w->lm->drop(w->lm, w->row, w->rows);
    w->rows = 0;
    return ok;
}

/* --- a picture ----------------------------------------------------------------------------------- */

static int longest(const Choice *c, int n)
{
    size_t most = 0;
    for (int i = 0; i < n; i++)
        most = c[i].ids->n > most ? c[i].ids->n : most;
    return (int)most;
}

static bool walk_all(Walk *w, Choice *c, int n, const LmPrompt *p, Error *e)
{
    if (w->lm->room(w->lm, p->n) < p->steps)
        return error_set(e, ERR_FAILED,
                         "choices: expected at most %d tokens behind this prompt, got %d",
                         w->lm->room(w->lm, p->n) + 1, p->steps + 1);
    Tensor *logits = lm_prefill(w->lm, p, 1, &w->root, e);
    if (!logits)
        return false;
    bool ok = read_logprobs(w->lm, logits, w->first, e);
    for (int i = 0; ok && i < n; i += GROUP)
        ok = walk_group(w, c + i, n - i < GROUP ? n - i : GROUP, e);
    w->lm->drop(w->lm, &w->root, 1);
    w->lm->release(w->lm, p);
    return ok;
}

static void rank_one(Engine *en, RankJob *job, Choice *c, int n, float *probs)
{
    Ids prompt = {0};
    double start = now_ms();
    EncodeJob *image = &job->request.image;
    image->parts = 1u << engine_part(en);
    job->request.options.max_new_tokens = longest(c, n); /* what a dialogue leaves room for */
    if (engine_prompt(en, &job->request, &prompt, job->notice, &job->error)) {
        encoder_encode(&en->encoder, image, 1);
        job->error = image->error;
    }
    if (image->encoded) {
        if (image->picture && image->picture->notice)
            note_append(job->notice, sizeof job->notice, image->picture->notice);
        job->times = (EngineTimes){.preprocess = image->times.preprocess,
                                   .encode = image->times.encode,
                                   .qformer = image->times.qformer};
        start = now_ms();
        Tensor embeds = image->encoded->part[engine_part(en)];
        LmPrompt p = {.image_embeds = &embeds,
                      .ids = prompt.id,
                      .n = (int)prompt.n,
                      .rows = n < GROUP ? n : GROUP,
                      .steps = longest(c, n) - 1};
        Walk w = {.lm = en->lm, .first = probs, .level = probs + en->lm->vocab};
        ProfileStage before = profile_enter(en->text.on, STAGE_SELECT);
        walk_all(&w, c, n, &p, &job->error);
        profile_leave(en->text.on, before);
        encoder_release(&en->encoder, image->encoded);
        job->times.decode = now_ms() - start;
    }
    ids_free(&prompt);
}

void engine_rank(Engine *en, RankJob *job, int n, const Ids *choice, int choices)
{
    size_t bytes = sizeof(float) * (size_t)(GROUP + 1) * (size_t)en->lm->vocab;
    Choice *c = mem_calloc(choices ? (size_t)choices : 1, sizeof *c);
    float *probs = mem_alloc(bytes);
    for (int j = 0; j < n; j++) {
        job[j].error = (Error){0};
        job[j].request.image.encoded = NULL;
        if (!c || !probs) {
            error_memory(&job[j].error, "choices", bytes);
            continue;
        }
        for (int i = 0; i < choices; i++) {
            job[j].score[i] = 0;
            c[i] = (Choice){.ids = &choice[i], .score = &job[j].score[i]};
        }
        qsort(c, (size_t)choices, sizeof *c, by_ids);
        rank_one(en, &job[j], c, choices, probs);
    }
    mem_free(c);
    mem_free(probs);
}

static bool check_text(const char *text, Error *e)
{
    if (!text || !*text)
        return error_set(e, ERR_USAGE, "choices: expected texts, got an empty one");
    long at = utf8_invalid(text, strlen(text));
    return at < 0 || error_set(e, ERR_USAGE, "choices: byte %ld: expected UTF-8, got 0x%02x", at,
                               (unsigned char)text[at]);
}

static bool check_ids(const Engine *en, const Ids *ids, Error *e)
{
    if (!ids->n)
        return error_set(e, ERR_USAGE, "choices: expected words, got none");
    for (size_t i = 0; i < ids->n; i++)
        if (ids->id[i] >= en->lm->vocab)
            return error_set(e, ERR_FAILED,
                             "choices: expected ids below the vocabulary's %d, got %d",
                             en->lm->vocab, ids->id[i]);
    return true;
}

/* The end that generation would come to; a model may have several, of which the first counts. */
static bool add_end(const Engine *en, Ids *out, Error *e)
{
    const GenOptions *g = &en->net->config.gen;
    for (int i = 0; i < g->n_eos; i++)
        if (g->eos[i] >= 0 && g->eos[i] < en->lm->vocab)
            return ids_push(out, g->eos[i]) || error_memory(e, "choices", sizeof(int));
    return true;
}

bool rank_ids(const Engine *en, const char *text, Ids *out, Error *e)
{
    StrBuf s = {0};
    if (!en->tokenizer)
        return error_set(e, ERR_BAD_MODEL, "%s", "tokenizer: expected one, got none");
    if (!check_text(text, e))
        return false;
    strbuf_puts(&s, en->lm->start < 0 ? " " : ""); /* OPT's answers follow a space */
    strbuf_puts(&s, text);
    bool ok = !s.failed || error_memory(e, "choices", strlen(text));
    ok = ok && tokenizer_encode(en->tokenizer, s.data, s.len, false, false, out, e);
    strbuf_free(&s);
    return ok && check_ids(en, out, e) && add_end(en, out, e);
}
