/* api/generate.c: pictures and a request in, texts out: prompt, encode, prefill, generate, decode
 * in batches. A batch that fails as a whole is done again one by one, so that one picture's trouble
 * stays its own. */
#include <string.h>

#include "api/job.h"
#include "base/sys.h"

typedef struct Times {
    blip2_timings image[BATCH_MAX]; /* each picture's own part */
    double prefill, decode;         /* of all together */
} Times;

/* --- one batch ----------------------------------------------------------------------------------- */

static bool run_language(Job *j, const float **soft, GenSequence *seq, Times *t, Error *e)
{
    LmItem items[BATCH_MAX];
    GenItem gen[BATCH_MAX];
    GenToken on_token = j->request->on_token ? job_token : NULL;
    size_t bytes = sizeof(float) * (size_t)j->s->model->net->config.opt.vocab * (size_t)j->n;
    float *logits = mem_alloc(bytes);
    if (!logits)
        return error_memory(e, "logits", bytes);
    for (int i = 0; i < j->n; i++) {
        items[i] = (LmItem){soft[i], j->prompt.id, (int)j->prompt.n};
        gen[i] = (GenItem){.history = j->history.id, .n_history = (int)j->history.n};
    }
    int rows = j->n * (j->o.num_beams > j->o.num_captions ? j->o.num_beams : j->o.num_captions);
    double start = now_ms();
    bool ok = opt_lm_start(&j->s->lm, items, j->n, rows, j->room, logits, e);
    double middle = now_ms();
    ok = ok && generate(&j->s->lm.lm, logits, gen, j->n, &j->o, on_token, j, seq, e);
    t->prefill = middle - start;
    t->decode = now_ms() - middle;
    mem_free(logits);
    return ok;
}

static void keep_times(Job *j, const Times *t)
{
    for (int i = 0; i < j->n; i++) {
        blip2_timings *to = &job_item(j, i)->timings;
        *to = t->image[i];
        to->decode_image = j->image[i]->decode_ms;
        to->prefill = t->prefill / j->n;
        to->decode = t->decode / j->n;
        to->total =
            to->decode_image + to->preprocess + to->encode + to->qformer + to->prefill + to->decode;
    }
}

static bool keep_all(Job *j, GenSequence *seq)
{
    for (int i = 0; i < j->n; i++)
        if (!job_keep(j, job_item(j, i), seq + i * j->o.num_captions))
            return false;
    return true;
}

/* Keeps also what a stopped generation has so far. */
static bool do_batch(Job *j, Error *e)
{
    const float *soft[BATCH_MAX];
    Times t = {.prefill = 0};
    int sequences = j->n * j->o.num_captions;
    GenSequence *seq = mem_calloc((size_t)sequences, sizeof *seq);
    if (!seq)
        return error_memory(e, "results", (size_t)sequences * sizeof *seq);
    for (int i = 0; i < j->n; i++)
        job_item(j, i)->again = 0;
    j->failed = (Error){0};
    bool ok = api_encode(j->s, j->image, (size_t)j->n, soft, t.image, e) &&
              run_language(j, soft, seq, &t, e);
    if (j->failed.code) /* the reason why job_token stopped it */
        *e = j->failed;
    if ((ok || e->code == ERR_STOPPED) && !keep_all(j, seq)) {
        *e = (Error){0};
        ok = error_memory(e, "texts", (size_t)sequences);
    }
    for (int i = 0; !ok && e->code != ERR_STOPPED && i < j->n; i++)
        item_drop_candidates(job_item(j, i));
    keep_times(j, &t);
    generate_free(seq, sequences);
    mem_free(seq);
    return ok;
}

/* Pictures whose text is complete are none of a stop's business. */
static void note_error(Job *j, const Error *e)
{
    for (int i = 0; i < j->n; i++)
        if (e->code != ERR_STOPPED || !job_item(j, i)->ended)
            api_error(&job_item(j, i)->error, e);
}

/* false: the caller's callback wants everything to end. */
static bool do_each(Job *j)
{
    Job all = *j;
    Error e = {0};
    for (int i = 0; i < all.n && e.code != ERR_STOPPED; i++) {
        e = (Error){0};
        j->n = 1;
        j->image[0] = all.image[i];
        j->index[0] = all.index[i];
        if (!do_batch(j, &e))
            note_error(j, &e);
    }
    return e.code != ERR_STOPPED;
}

static bool do_batch_or_each(Job *j)
{
    Error e = {0};
    if (j->n == 0 || do_batch(j, &e))
        return true;
    if (j->n > 1 && (e.code == ERR_FAILED || e.code == ERR_MEMORY))
        return do_each(j);
    note_error(j, &e);
    return e.code != ERR_STOPPED;
}

/* --- the call ------------------------------------------------------------------------------------ */

/* The next pictures into the batch; returns where to go on. */
static size_t fill_batch(Job *j, blip2_image *const *images, size_t i, size_t count)
{
    for (j->n = 0; i < count && j->n < BATCH_MAX; i++) {
        if (images[i]) {
            j->image[j->n] = images[i];
            j->index[j->n++] = i;
        } else {
            Error e = {0};
            error_set(&e, ERR_FAILED, "picture %zu: expected one, got NULL", i);
            api_error(&j->result->item[i].error, &e);
        }
    }
    return i;
}

static void do_all(Job *j, blip2_image *const *images, size_t count)
{
    static const Error STOPPED = {ERR_STOPPED, "generation: stopped by the caller"};
    bool go = true;
    for (size_t i = 0; go && i < count;) {
        i = fill_batch(j, images, i, count);
        go = do_batch_or_each(j);
    }
    for (size_t i = 0; !go && i < count; i++)
        if (!j->result->item[i].count) /* not reached any more */
            api_error(&j->result->item[i].error, &STOPPED);
}

blip2_result *blip2_generate(blip2_session *session, blip2_image *const *images, size_t count,
                             const blip2_request *request, blip2_error *err)
{
    Error e = {0};
    Job j = {0};
    bool ok = job_check(&j, session, images, count, request, &e) &&
              (j.result = result_new(count, &e)) && job_prompt(&j, &e);
    if (ok) {
        do_all(&j, images, count);
    } else {
        blip2_result_free(j.result);
        j.result = NULL;
        api_error(err, &e);
    }
    ids_free(&j.prompt);
    ids_free(&j.history);
    return j.result;
}
