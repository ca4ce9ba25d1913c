/* api/rank.c: items and a closed list of answers to the engine, and the list back in order. */
#include "api/api.h"
#include "task/rank.h"

typedef struct Choices {
    const char *const *text;
    Ids *ids;
    double *score; /* of the item in work */
    size_t n;
} Choices;

static void choices_free(Choices *c)
{
    for (size_t i = 0; c->ids && i < c->n; i++)
        ids_free(&c->ids[i]);
    mem_free(c->ids);
    mem_free(c->score);
}

static bool choices_read(Choices *c, const blip2_session *s, Error *e)
{
    enum { MOST = 1 << 20 };
    if (!c->text || !c->n || c->n > MOST)
        return error_set(e, ERR_USAGE, "choices: expected 1 to %d, got %zu", MOST,
                         c->text ? c->n : 0);
    c->ids = mem_calloc(c->n, sizeof *c->ids);
    c->score = mem_calloc(c->n, sizeof *c->score);
    if (!c->ids || !c->score)
        return error_memory(e, "choices", c->n * sizeof *c->ids);
    for (size_t i = 0; i < c->n; i++)
        if (!rank_ids(&s->engine, c->text[i], &c->ids[i], e))
            return false;
    return true;
}

static void rank_item(blip2_session *s, const blip2_item *items, size_t i, Choices *c,
                      blip2_result *r)
{
    Ticket asked = {0};
    RankJob job = {.score = c->score};
    if (api_request(s, items, i, true, &job.request, &asked, &job.error))
        engine_rank(&s->engine, &job, 1, c->ids, (int)c->n);
    if (!job.error.code)
        result_rank(r, i, c->text, c->ids, c->score, c->n, &job.error);
    result_settle(r, i, &job.times, asked.decode_ms, job.notice, &job.error);
}

blip2_result *blip2_rank(blip2_session *session, const blip2_item *items, size_t count,
                         const char *const *choices, size_t choice_count, blip2_error *err)
{
    Error e = {0};
    Choices c = {.text = choices, .n = choice_count};
    bool ok = api_check_call(session, items, count, "item", &e) && choices_read(&c, session, &e);
    blip2_result *r = ok ? result_new(count, &e) : NULL;
    for (size_t i = 0; r && i < count; i++)
        rank_item(session, items, i, &c, r);
    choices_free(&c);
    if (!r)
        api_error(err, &e);
    return r;
}
