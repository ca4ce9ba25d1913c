/* api/request.c: what is asked for: whether it makes sense, and the ids that stand for it. */
#include <limits.h>

#include "api/job.h"

static bool check_choice(const char *what, int value, int last, Error *e)
{
    if (value >= 0 && value <= last)
        return true;
    return error_set(e, ERR_USAGE, "%s: expected one of 0 to %d, got %d", what, last, value);
}

static bool missing(const char *what, Error *e)
{
    return error_set(e, ERR_USAGE, "%s: expected one, got NULL", what);
}

static bool check_turns(const blip2_request *r, Error *e)
{
    if (r->turn_count && !r->turns)
        return missing("dialogue", e);
    for (size_t i = 0; i < r->turn_count; i++)
        if (!r->turns[i].question || !r->turns[i].answer)
            return error_set(e, ERR_USAGE,
                             "dialogue: round %zu: expected a question and an answer, got NULL", i);
    return true;
}

static bool check_options(const blip2_options *o, Error *e)
{
    if (!check_choice("options: library", (int)o->library, BLIP2_HF, e) ||
        !check_choice("options: early_stopping", (int)o->early_stopping, BLIP2_EARLY_NEVER, e))
        return false;
    if (o->banned_count > INT_MAX || (o->banned_count && !o->banned))
        return error_set(e, ERR_USAGE, "options: banned: expected %zu ids, got none",
                         o->banned_count);
    return true;
}

bool job_check(Job *j, blip2_session *s, blip2_image *const *images, size_t count,
               const blip2_request *request, Error *e)
{
    if (!s)
        return missing("session", e);
    if (!request)
        return missing("request", e);
    if (count && !images)
        return missing("pictures", e);
    blip2_options def = blip2_options_default(s->model, request->task, BLIP2_LAVIS);
    const blip2_options *o = request->options ? request->options : &def;
    *j = (Job){.s = s, .request = request};
    if (!check_choice("request: task", (int)request->task, BLIP2_CHAT, e) ||
        !check_turns(request, e) || !check_options(o, e))
        return false;
    j->o = api_gen_options(s->model, o);
    /* as for a full batch: what is allowed must not depend on the number of pictures */
    return generate_check(&j->o, s->model->net->config.opt.vocab, BATCH_MAX, e);
}

/* --- prompt -------------------------------------------------------------------------------------- */

static int positions_behind_picture(const Job *j)
{
    const ModelConfig *k = &j->s->model->net->config;
    return k->opt.positions - k->qformer.queries;
}

/* A dialogue leaves room for its answer, or at least half. */
static int room_for_prompt(const Job *j)
{
    int all = positions_behind_picture(j);
    if (j->request->task != BLIP2_CHAT)
        return all;
    int answer = generate_room(&j->o, 1, all);
    return all - (answer < all / 2 ? answer : all / 2);
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

static bool check_length(Job *j, Error *e)
{
    int left = positions_behind_picture(j) - (int)j->prompt.n;
    j->room = generate_room(&j->o, (int)j->history.n, left);
    if (j->room >= 1)
        return true;
    return error_set(e, ERR_FAILED,
                     "prompt: max length: expected more than the %zu ids that are there, got %d",
                     j->history.n, j->o.max_length);
}

bool job_prompt(Job *j, Error *e)
{
    const blip2_request *r = j->request;
    const blip2_model *m = j->s->model;
    if (!m->tokenizer)
        return error_set(e, ERR_BAD_MODEL, "%s", m->no_tokenizer.message);
    Turn *turns = mem_calloc(r->turn_count + 1, sizeof *turns);
    if (!turns)
        return error_memory(e, "dialogue", r->turn_count * sizeof *turns);
    for (size_t i = 0; i < r->turn_count; i++)
        turns[i] = (Turn){r->turns[i].question, r->turns[i].answer};
    bool ok = encode_prompt(j, turns, e);
    mem_free(turns);
    const ModelConfig *k = &j->s->model->net->config;
    if (ok && !api_history(k, j->o.library, j->prompt.id, j->prompt.n, &j->history))
        ok = error_memory(e, "prompt", j->prompt.n * sizeof(int));
    return ok && check_length(j, e);
}
