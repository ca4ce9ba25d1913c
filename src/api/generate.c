/* api/generate.c: the one-call form: all items through the engine, one result for all. */
#include "api/api.h"

static bool run_all(blip2_session *s, const blip2_item *items, size_t count, blip2_result *r,
                    Ticket *ticket, Ticket **at, Error *e)
{
    if (!ticket || !at)
        return error_memory(e, "items", count * sizeof *ticket);
    for (size_t i = 0; i < count; i++) {
        ticket[i].number = i;
        at[i] = &ticket[i];
    }
    if (!api_start(engine_run, s, items, count, at, e))
        return false;
    for (size_t i = 0; i < count; i++) {
        result_take(r, i, at[i]);
        engine_leave(&s->engine, at[i]->item);
    }
    return true;
}

blip2_result *blip2_generate(blip2_session *session, const blip2_item *items, size_t count,
                             blip2_error *err)
{
    Error e = {0};
    bool ok = api_check_call(session, items, count, "item", &e);
    blip2_result *r = ok ? result_new(count, &e) : NULL;
    if (r) {
        Ticket *ticket = mem_calloc(count, sizeof *ticket);
        Ticket **at = mem_calloc(count, sizeof(Ticket *));
        api_enter(session);
        ok = run_all(session, items, count, r, ticket, at, &e);
        api_exit(session);
        mem_free(ticket);
        mem_free(at);
    }
    if (r && ok)
        return r;
    blip2_result_free(r);
    api_error(err, &e);
    return NULL;
}

bool blip2_check(blip2_session *session, const blip2_item *item, blip2_error *err)
{
    Error e = {0};
    EngineRequest r;
    bool ok = api_check_call(session, item, 1, "item", &e) &&
              api_request(session, item, 0, false, &r, NULL, &e) &&
              engine_check(&session->engine, &r, &e);
    return ok || api_error(err, &e);
}
