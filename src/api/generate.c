/* api/generate.c: the one-call form: all items through the engine, one result for all. */
#include "api/api.h"

/* One call: the items that the engine runs, which are those without an error of the form. */
typedef struct Call {
    blip2_session *s;
    blip2_result *result;
    EngineRequest *request;
    EngineItem **item;
    Teller *teller;
    size_t *index; /* their places in the result */
    int n;
} Call;

static bool call_alloc(Call *c, size_t count)
{
    size_t n = count ? count : 1;
    c->request = mem_calloc(n, sizeof *c->request);
    c->item = mem_calloc(n, sizeof *c->item);
    c->teller = mem_calloc(n, sizeof *c->teller);
    c->index = mem_calloc(n, sizeof *c->index);
    return c->request && c->item && c->teller && c->index;
}

static void call_free(Call *c)
{
    mem_free(c->request);
    mem_free(c->item);
    mem_free(c->teller);
    mem_free(c->index);
}

static void add_item(Call *c, const blip2_item *items, size_t i)
{
    Error e = {0};
    blip2_item item;
    EngineRequest *r = &c->request[c->n];
    if (!api_item(items, i, &item, &e) || !api_request(c->s, &item, true, r, &e)) {
        result_fail(c->result, i, &e);
        return;
    }
    Teller *t = &c->teller[c->n];
    *t = api_teller(&item, i);
    r->on_token = api_token(t);
    r->user = t;
    c->index[c->n++] = i;
}

static bool run_call(Call *c, const blip2_item *items, size_t count, Error *e)
{
    if (!call_alloc(c, count))
        return error_memory(e, "items", count * sizeof *c->request);
    for (size_t i = 0; i < count; i++)
        add_item(c, items, i);
    if (!engine_run(&c->s->engine, c->request, c->n, c->item, e))
        return false;
    for (int i = 0; i < c->n; i++) {
        result_take(c->result, c->index[i], c->item[i], &c->teller[i]);
        engine_leave(&c->s->engine, c->item[i]);
    }
    return true;
}

static bool check_call(const blip2_session *s, const blip2_item *items, size_t count, Error *e)
{
    if (!s)
        return api_missing("session", e);
    if (count && !items)
        return api_missing("items", e);
    if (count > (1u << 20))
        return error_set(e, ERR_USAGE, "items: expected at most %u, got %zu", 1u << 20, count);
    return !count || api_check_size(items, "item", e);
}

blip2_result *blip2_generate(blip2_session *session, const blip2_item *items, size_t count,
                             blip2_error *err)
{
    Error e = {0};
    Call c = {.s = session};
    bool ok = check_call(session, items, count, &e) && (c.result = result_new(count, &e)) &&
              run_call(&c, items, count, &e);
    call_free(&c);
    if (ok)
        return c.result;
    blip2_result_free(c.result);
    api_error(err, &e);
    return NULL;
}

bool blip2_check(blip2_session *session, const blip2_item *item, blip2_error *err)
{
    Error e = {0};
    blip2_item whole;
    EngineRequest r;
    bool ok = check_call(session, item, item != NULL, &e) && (item || api_missing("item", &e)) &&
              api_item(item, 0, &whole, &e) && api_request(session, &whole, false, &r, &e) &&
              engine_check(&session->engine, &r, &e);
    return ok || api_error(err, &e);
}
