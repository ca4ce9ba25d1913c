/* api/generate.c: pictures and a request in, texts out: prompt, encode, prefill, generate, decode
 * in batches. A batch that fails as a whole is done again one by one, so that one picture's trouble
 * stays its own. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/sys.h"

typedef struct Item {
    blip2_error error;
    blip2_candidate *candidate;
    size_t count;
    blip2_timings timings;
    StrBuf shown; /* what on_token has been given so far */
    Ids so_far;
} Item;

struct blip2_result {
    Item *item;
    size_t count;
    char notice[256];
};

/* One call of blip2_generate. */
typedef struct Job {
    blip2_session *s;
    const blip2_request *request;
    GenOptions o;
    Ids prompt;  /* behind the picture */
    Ids history; /* what the library counts as already there */
    blip2_result *result;
    size_t first; /* index of the batch's first picture */
    Error failed; /* out of memory inside a callback */
} Job;

/* --- text ---------------------------------------------------------------------------------------- */

/* ids -> text as the library's own decoding gives it: special tokens skipped, LAVIS' clean-up of
 * spaces, stripped. false: out of memory. */
static bool final_text(const Job *j, const int *ids, size_t n, StrBuf *out)
{
    if (!tokenizer_decode(j->s->model->tokenizer, ids, n, true, out) || !strbuf_cstr(out))
        return false;
    if (!out->data)
        return true;
    if (j->o.library == LIB_LAVIS)
        out->len = text_cleanup(out->data, out->len);
    out->len = text_strip(out->data, out->len);
    out->data[out->len] = 0;
    return true;
}

/* Characters of which only the first bytes are there show up as U+FFFD at the end: not yet. */
static size_t complete(const StrBuf *s)
{
    size_t n = s->len;
    while (n >= 3 && memcmp(s->data + n - 3, "\xef\xbf\xbd", 3) == 0)
        n -= 3;
    return n;
}

static bool on_token(void *user, int index, int id)
{
    Job *j = user;
    Item *it = &j->result->item[j->first + (size_t)index];
    StrBuf now = {0};
    bool ok = ids_push(&it->so_far, id) && final_text(j, it->so_far.id, it->so_far.n, &now);
    const char *more = "";
    size_t n = ok ? complete(&now) : 0;
    if (n > it->shown.len &&
        (!it->shown.len || memcmp(now.data, it->shown.data, it->shown.len) == 0)) {
        now.data[n] = 0;
        more = now.data + it->shown.len;
    }
    bool go = ok && j->request->on_token(j->request->user, j->first + (size_t)index, id, more);
    strbuf_puts(&it->shown, more);
    if (!ok || it->shown.failed)
        error_memory(&j->failed, "text", now.len);
    strbuf_free(&now);
    return go && !j->failed.code;
}

static bool keep_candidate(const Job *j, blip2_candidate *to, GenSequence *from)
{
    StrBuf text = {0};
    if (!final_text(j, from->ids, (size_t)from->n, &text)) {
        strbuf_free(&text);
        return false;
    }
    char *s = text.data ? text.data : mem_strdup("");
    *to = (blip2_candidate){s, from->score, from->ids, (size_t)from->n};
    from->ids = NULL; /* the candidate owns them now */
    return s != NULL;
}

static bool keep_item(const Job *j, Item *it, GenSequence *seq)
{
    size_t n = (size_t)j->o.num_captions;
    it->candidate = mem_calloc(n, sizeof *it->candidate);
    for (size_t i = 0; it->candidate && i < n; i++) {
        it->count++;
        if (!keep_candidate(j, &it->candidate[i], &seq[i]))
            return false;
    }
    return it->candidate != NULL;
}

/* --- one batch ----------------------------------------------------------------------------------- */

static int steps_wanted(const Job *j)
{
    int room = j->s->model->net->config.opt.positions, n = j->o.max_new_tokens;
    if (!n && j->o.max_length)
        n = j->o.max_length - (int)j->history.n;
    if (!n)
        n = 20;
    return n < 1 ? 1 : n < room ? n : room;
}

static bool run_batch(Job *j, const float **soft, int n, GenSequence *seq, double *prefill_ms,
                      Error *e)
{
    LmItem items[BATCH_MAX];
    GenItem gen[BATCH_MAX];
    size_t vocab = (size_t)j->s->model->net->config.opt.vocab;
    float *logits = mem_alloc(sizeof *logits * vocab * (size_t)n);
    if (!logits)
        return error_memory(e, "logits", sizeof *logits * vocab * (size_t)n);
    for (int i = 0; i < n; i++) {
        items[i] = (LmItem){soft[i], j->prompt.id, (int)j->prompt.n};
        gen[i] = (GenItem){.history = j->history.id, .n_history = (int)j->history.n};
    }
    int rows = n * (j->o.num_beams > j->o.num_captions ? j->o.num_beams : j->o.num_captions);
    double start = now_ms();
    bool ok = opt_lm_start(&j->s->lm, items, n, rows, steps_wanted(j), logits, e);
    *prefill_ms = now_ms() - start;
    ok = ok && generate(&j->s->lm.lm, logits, gen, n, &j->o, j->request->on_token ? on_token : NULL,
                        j, seq, e);
    mem_free(logits);
    return ok;
}

static void share_times(Item *it, size_t n, const blip2_timings *t, blip2_image *const *images,
                        double prefill, double decode)
{
    for (size_t i = 0; i < n; i++) {
        blip2_timings *to = &it[i].timings;
        *to = t[i];
        to->decode_image = images[i]->decode_ms;
        to->prefill = prefill / (double)n;
        to->decode = decode / (double)n;
        to->total =
            to->decode_image + to->preprocess + to->encode + to->qformer + to->prefill + to->decode;
    }
}

/* Keeps also what a stopped generation has so far. */
static bool do_batch(Job *j, blip2_image *const *images, size_t n, Error *e)
{
    const float *soft[BATCH_MAX];
    blip2_timings times[BATCH_MAX] = {{0}};
    size_t per = (size_t)j->o.num_captions;
    GenSequence *seq = mem_calloc(n * per, sizeof *seq);
    Item *it = &j->result->item[j->first];
    if (!seq)
        return error_memory(e, "results", n * per * sizeof *seq);
    double prefill = 0, start = now_ms();
    bool ok = api_encode(j->s, images, n, soft, times, e);
    if (ok) {
        start = now_ms();
        ok = run_batch(j, soft, (int)n, seq, &prefill, e);
    }
    share_times(it, n, times, images, prefill, now_ms() - start - prefill);
    for (size_t i = 0; (ok || e->code == ERR_STOPPED) && i < n; i++)
        if (!keep_item(j, &it[i], &seq[i * per])) {
            e->code = ERR_NONE; /* out of memory weighs more than stopped */
            ok = error_memory(e, "texts", n);
        }
    if (j->failed.code)
        *e = j->failed;
    generate_free(seq, (int)(n * per));
    mem_free(seq);
    return ok && !j->failed.code;
}

static void item_clear(Item *it)
{
    for (size_t i = 0; i < it->count; i++) {
        mem_free((void *)(uintptr_t)it->candidate[i].text);
        mem_free((void *)(uintptr_t)it->candidate[i].ids);
    }
    mem_free(it->candidate);
    it->candidate = NULL;
    it->count = 0;
    strbuf_free(&it->shown);
    ids_free(&it->so_far);
}

static void do_one(Job *j, blip2_image *const *image, Error *stop)
{
    Error e = {0};
    Item *it = &j->result->item[j->first];
    item_clear(it);
    if (do_batch(j, image, 1, &e))
        return;
    api_error(&it->error, &e);
    if (e.code == ERR_STOPPED)
        *stop = e;
}

/* false: the caller's callback wants everything to end. */
static bool do_batch_or_each(Job *j, blip2_image *const *images, size_t n)
{
    Error e = {0};
    Item *it = &j->result->item[j->first];
    if (do_batch(j, images, n, &e))
        return true;
    bool again = n > 1 && (e.code == ERR_FAILED || e.code == ERR_MEMORY);
    if (!again) {
        for (size_t i = 0; i < n; i++)
            api_error(&it[i].error, &e);
        return e.code != ERR_STOPPED;
    }
    size_t first = j->first;
    Error stop = {0};
    for (size_t i = 0; i < n && !stop.code; i++, j->first++)
        do_one(j, &images[i], &stop);
    j->first = first;
    return !stop.code;
}

/* --- the call ------------------------------------------------------------------------------------ */

/* What processors and lengths take as already there: LAVIS' one phantom start id, or all prompt ids
 * with the image placeholders in front (models.md 6.1). */
static bool make_history(Job *j)
{
    const ModelConfig *k = &j->s->model->net->config;
    if (j->o.library == LIB_LAVIS || k->legacy_layout)
        return ids_push(&j->history, k->gen.bos);
    for (int i = 0; i < k->qformer.queries; i++)
        if (!ids_push(&j->history, k->image_token))
            return false;
    for (size_t i = 0; i < j->prompt.n; i++)
        if (!ids_push(&j->history, j->prompt.id[i]))
            return false;
    return true;
}

static int room_for_prompt(const Job *j)
{
    const ModelConfig *k = &j->s->model->net->config;
    int room = k->opt.positions - k->qformer.queries;
    if (j->request->task == BLIP2_CHAT) /* leave room for the answer, or at least half */
        room -= steps_wanted(j) < room / 2 ? steps_wanted(j) : room / 2;
    return room;
}

static bool encode_prompt(Job *j, const Turn *turns, Error *e)
{
    const blip2_request *r = j->request;
    PromptSpec p = {.task = (Task)r->task,
                    .library = j->o.library,
                    .text = r->text,
                    .prompt = r->prompt,
                    .raw = r->raw_prompt,
                    .turns = turns,
                    .n_turns = r->turn_count,
                    .model_prompt = j->s->model->net->config.prompt,
                    .room = room_for_prompt(j)};
    return prompt_ids(&p, j->s->model->tokenizer, &j->prompt, j->result->notice, e);
}

static bool make_prompt(Job *j, Error *e)
{
    const blip2_request *r = j->request;
    if (!j->s->model->tokenizer)
        return error_set(e, ERR_BAD_MODEL, "%s", j->s->model->no_tokenizer.message);
    Turn *turns = mem_calloc(r->turn_count + 1, sizeof *turns);
    if (!turns)
        return error_memory(e, "dialogue", r->turn_count * sizeof *turns);
    for (size_t i = 0; i < r->turn_count; i++)
        turns[i] = (Turn){r->turns[i].question, r->turns[i].answer};
    bool ok = encode_prompt(j, turns, e);
    mem_free(turns);
    return ok && (make_history(j) || error_memory(e, "prompt", j->prompt.n));
}

static blip2_result *result_new(size_t count, Error *e)
{
    blip2_result *r = mem_calloc(1, sizeof *r);
    if (r)
        *r = (blip2_result){.item = mem_calloc(count ? count : 1, sizeof *r->item), .count = count};
    if (r && r->item)
        return r;
    mem_free(r);
    error_memory(e, "results", count * sizeof(Item));
    return NULL;
}

static void do_all(Job *j, blip2_image *const *images, size_t count)
{
    bool go = true;
    for (j->first = 0; go && j->first < count; j->first += BATCH_MAX) {
        size_t n = count - j->first < BATCH_MAX ? count - j->first : BATCH_MAX;
        go = do_batch_or_each(j, images + j->first, n);
    }
    Error stopped = {ERR_STOPPED, "stopped by the caller"};
    for (size_t i = j->first; !go && i < count; i++)
        api_error(&j->result->item[i].error, &stopped);
}

blip2_result *blip2_generate(blip2_session *session, blip2_image *const *images, size_t count,
                             const blip2_request *request, blip2_error *err)
{
    Error e = {0};
    blip2_options def = blip2_options_default(session->model, request->task, BLIP2_LAVIS);
    Job j = {.s = session,
             .request = request,
             .o = api_gen_options(session->model, request->options ? request->options : &def)};
    j.result = result_new(count, &e);
    if (j.result && !make_prompt(&j, &e)) {
        blip2_result_free(j.result);
        j.result = NULL;
    }
    if (j.result)
        do_all(&j, images, count);
    else
        api_error(err, &e);
    ids_free(&j.prompt);
    ids_free(&j.history);
    return j.result;
}

/* --- results ------------------------------------------------------------------------------------- */

void blip2_result_free(blip2_result *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        item_clear(&r->item[i]);
    mem_free(r->item);
    mem_free(r);
}

const char *blip2_result_text(const blip2_result *r, size_t i)
{
    return i < r->count && r->item[i].count ? r->item[i].candidate[0].text : NULL;
}

const blip2_error *blip2_result_error(const blip2_result *r, size_t i)
{
    return &r->item[i].error;
}

const char *blip2_result_notice(const blip2_result *r, size_t i)
{
    return i < r->count && r->notice[0] ? r->notice : NULL;
}

size_t blip2_result_count(const blip2_result *r, size_t i)
{
    return r->item[i].count;
}

blip2_candidate blip2_result_candidate(const blip2_result *r, size_t i, size_t k)
{
    return r->item[i].candidate[k];
}

blip2_timings blip2_result_timings(const blip2_result *r, size_t i)
{
    return r->item[i].timings;
}
