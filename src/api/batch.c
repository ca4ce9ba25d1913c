/* api/batch.c: items that join and leave a running batch, each under a ticket. */
#include "api/api.h"

struct blip2_batch {
    blip2_session *s;
    Ticket **ticket;
    size_t n, cap;
    size_t last; /* number given */
    bool gone;   /* freed by a callback; it goes when the call ends */
};

blip2_batch *blip2_batch_new(blip2_session *session, blip2_error *err)
{
    Error e = {0};
    blip2_batch *b = NULL;
    bool ok = (session || api_missing("session", &e)) && engine_idle(&session->engine, &e);
    if (ok && session->batch)
        error_set(&e, ERR_USAGE, "batch: expected one at a time on a session, got another");
    else if (ok && !(b = mem_calloc(1, sizeof *b)))
        error_memory(&e, "batch", sizeof *b);
    if (!b) {
        api_error(err, &e);
        return NULL;
    }
    b->s = session;
    session->batch = b;
    session->holders++;
    return b;
}

static void remove_ticket(blip2_batch *b, size_t i)
{
    engine_leave(&b->s->engine, b->ticket[i]->item);
    mem_free(b->ticket[i]);
    b->ticket[i] = b->ticket[--b->n];
}

void blip2_batch_free(blip2_batch *b)
{
    if (!b)
        return;
    blip2_session *s = b->s;
    b->gone = true;
    for (size_t i = 0; i < b->n; i++)
        b->ticket[i]->gone = true;
    if (engine_idle(&s->engine, NULL))
        api_sweep_batch(s);
}

void api_sweep_batch(blip2_session *s)
{
    blip2_batch *b = s->batch;
    if (!b || !b->gone)
        return;
    while (b->n)
        remove_ticket(b, b->n - 1);
    s->batch = NULL;
    mem_free(b->ticket);
    mem_free(b);
    blip2_session_free(s);
}

static bool add_tickets(blip2_batch *b, size_t count, Error *e)
{
    if (!MEM_GROW(b->ticket, &b->cap, b->n + count))
        return error_memory(e, "batch", count * sizeof(Ticket));
    for (size_t i = 0; i < count; i++) {
        Ticket *t = mem_calloc(1, sizeof *t);
        if (!t)
            return error_memory(e, "batch", count * sizeof *t);
        t->number = ++b->last;
        b->ticket[b->n++] = t;
    }
    return true;
}

bool blip2_batch_join(blip2_batch *b, const blip2_item *items, size_t count, size_t *tickets,
                      blip2_error *err)
{
    Error e = {0};
    size_t before = b ? b->n : 0;
    bool ok = (b || api_missing("batch", &e)) && api_check_call(b->s, items, count, "item", &e) &&
              (tickets || !count || api_missing("tickets", &e));
    if (ok && count)
        ok = add_tickets(b, count, &e) &&
             api_start(engine_join, b->s, items, count, b->ticket + before, &e);
    for (size_t i = 0; ok && i < count; i++)
        tickets[i] = b->ticket[before + i]->number;
    while (!ok && b && b->n > before)
        remove_ticket(b, b->n - 1);
    return ok || api_error(err, &e);
}

size_t blip2_batch_step(blip2_batch *b)
{
    if (!b || !engine_idle(&b->s->engine, NULL))
        return 0;
    blip2_session *s = b->s;
    api_enter(s);
    size_t running = (size_t)engine_step(&s->engine);
    api_exit(s);
    return running;
}

/* b->n when there is none. */
static size_t find(const blip2_batch *b, size_t ticket)
{
    size_t i = 0;
    while (i < b->n && b->ticket[i]->number != ticket)
        i++;
    return i;
}

bool blip2_batch_running(const blip2_batch *b, size_t ticket)
{
    size_t i = b ? find(b, ticket) : 0;
    return b && i < b->n && b->ticket[i]->item && engine_running(b->ticket[i]->item);
}

blip2_result *blip2_batch_leave(blip2_batch *b, size_t ticket, blip2_error *err)
{
    Error e = {0};
    size_t i = b ? find(b, ticket) : 0;
    blip2_result *r = NULL;
    if (!b)
        api_missing("batch", &e);
    else if (i == b->n)
        error_set(&e, ERR_USAGE, "batch: expected the ticket of an item, got %zu", ticket);
    else if (engine_idle(&b->s->engine, &e))
        r = result_new(1, &e);
    if (!r) {
        api_error(err, &e);
        return NULL;
    }
    result_take(r, 0, b->ticket[i]);
    remove_ticket(b, i);
    return r;
}
