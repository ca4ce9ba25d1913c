/* flow.c: see flow.h. */
#include "flow.h"

#include "memory.h"
#include "output.h"

#include <stdlib.h>

/* Pictures that have been taken and not yet written, for each that is computed: one that takes long holds up no others. */
enum { WINDOW = 4 };

typedef enum State { WAITING, RUNNING, DONE } State;

typedef struct Slot {
    State state;
    blip2_image *image; /* until it is done, for it may be done again */
    size_t ticket;
    bool alone; /* nothing may be computed beside it */
    blip2_result *result;
    FlowItem item;
} Slot;

typedef struct Run {
    const Flow *f;
    Ahead *ahead;
    blip2_batch *batch;
    Slot *slot; /* [room], by the number of the picture */
    size_t room;
    size_t head, tail; /* written; taken */
    size_t together;   /* at most; fewer when memory is short */
    size_t running;
    Slot **some;         /* [together] that join */
    blip2_item *request; /* [together] */
    size_t *ticket;      /* [together] */
} Run;

static Slot *slot_of(const Run *r, size_t i)
{
    return &r->slot[i % r->room];
}

/* --- ends ---------------------------------------------------------------------------------------- */

static void finish(Slot *s, blip2_result *result, const blip2_error *e)
{
    s->state = DONE;
    s->result = result;
    s->item.result = result;
    s->item.error = result ? *blip2_result_error(result, 0) : *e;
    blip2_image_free(s->image);
    s->image = NULL;
}

/* It waits for some of those that run now, and from now on no more are done at a time. */
static void do_again(Run *r, Slot *s, blip2_result *result)
{
    size_t fewer = r->running < r->together ? r->running : r->together - 1;
    if (r->together == r->f->together)
        complain("memory for %zu of %zu pictures at once", fewer ? fewer : 1, r->together);
    r->together = fewer ? fewer : 1;
    s->state = WAITING;
    blip2_result_free(result);
}

/* A picture has been computed, or could not be. */
static void settle(Run *r, Slot *s, blip2_result *result, const blip2_error *e)
{
    blip2_error_code code = result ? blip2_result_error(result, 0)->code : e->code;
    if (code == BLIP2_MEMORY && !s->alone)
        do_again(r, s, result);
    else
        finish(s, result, e);
}

/* --- beginning ----------------------------------------------------------------------------------- */

/* Takes the next picture. false: it could not be read, and is done. */
static bool take_one(Run *r)
{
    Slot *s = slot_of(r, r->tail);
    *s = (Slot){.item = {.path = r->f->pictures.paths[r->tail]}};
    s->image = ahead_take(r->ahead, &s->item.error);
    s->item.read = s->image != NULL;
    if (!s->image)
        finish(s, NULL, &s->item.error);
    r->tail++;
    return s->item.read;
}

/* Whether there is a next one that may be taken beside n others that wait to join. */
static bool may_take(const Run *r, size_t n)
{
    if (r->tail == r->f->pictures.count || r->tail - r->head == r->room)
        return false;
    if (ahead_alone(r->ahead))
        return r->running + n == 0;
    return r->running == 0 || ahead_ready(r->ahead);
}

/* Those that are to join now: first who waits already. */
static size_t choose(Run *r)
{
    size_t n = 0, free_places = r->together - r->running;
    if (r->running > r->together / 2)
        return 0;
    for (size_t i = r->head; i < r->tail && n < free_places; i++)
        if (slot_of(r, i)->state == WAITING)
            r->some[n++] = slot_of(r, i);
    while (n < free_places && may_take(r, n)) {
        const bool alone = ahead_alone(r->ahead);
        if (take_one(r))
            r->some[n++] = slot_of(r, r->tail - 1);
        if (alone)
            break;
    }
    return n;
}

static void leave(Run *r, Slot *s)
{
    blip2_error e = {0};
    blip2_result *result = blip2_batch_leave(r->batch, s->ticket, &e);
    settle(r, s, result, &e);
}

/* Who has not found memory says so at once. */
static void join(Run *r, size_t n)
{
    blip2_error e = {0};
    for (size_t i = 0; i < n; i++) {
        r->request[i] = *r->f->request;
        r->request[i].image = r->some[i]->image;
        r->some[i]->alone = r->together == 1;
    }
    if (!blip2_batch_join(r->batch, r->request, n, r->ticket, &e)) {
        for (size_t i = n; i-- > 0;)
            settle(r, r->some[i], NULL, &e);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        r->some[i]->ticket = r->ticket[i];
        r->some[i]->state = RUNNING;
        r->running += blip2_batch_running(r->batch, r->ticket[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (!blip2_batch_running(r->batch, r->ticket[i]))
            leave(r, r->some[i]);
}

static void rank(Run *r, Slot *s)
{
    blip2_error e = {0};
    blip2_item item = *r->f->request;
    item.image = s->image;
    blip2_result *result =
        blip2_rank(r->f->session, &item, 1, r->f->choices->text, r->f->choices->count, &e);
    finish(s, result, &e);
}

static void begin_some(Run *r)
{
    size_t n = choose(r);
    if (n && r->f->begin)
        r->f->begin(r->f->user, r->some[0]->item.path);
    if (r->f->choices->count)
        for (size_t i = 0; i < n; i++)
            rank(r, r->some[i]);
    else if (n)
        join(r, n);
}

/* --- going on ------------------------------------------------------------------------------------ */

static void step(Run *r)
{
    if (r->running == 0)
        return;
    blip2_batch_step(r->batch);
    for (size_t i = r->head; i < r->tail; i++) {
        Slot *s = slot_of(r, i);
        if (s->state == RUNNING && !blip2_batch_running(r->batch, s->ticket)) {
            r->running--;
            leave(r, s);
        }
    }
}

/* false: nothing more is wanted. */
static bool write_done(Run *r)
{
    bool go_on = true;
    for (; go_on && r->head < r->tail && slot_of(r, r->head)->state == DONE; r->head++) {
        Slot *s = slot_of(r, r->head);
        go_on = r->f->write(r->f->user, &s->item);
        blip2_result_free(s->result);
    }
    return go_on;
}

static void run_all(Run *r)
{
    do {
        begin_some(r);
        step(r);
    } while (write_done(r) && r->head < r->f->pictures.count);
}

static void drop_rest(Run *r)
{
    for (size_t i = r->head; i < r->tail; i++) {
        blip2_result_free(slot_of(r, i)->result);
        blip2_image_free(slot_of(r, i)->image);
    }
}

blip2_error_code flow_run(const Flow *f, blip2_error *err)
{
    Run r = {.f = f, .together = f->choices->count ? 1 : f->together};
    AheadOptions pictures = f->pictures;
    pictures.most = 2 * r.together;
    r.batch = blip2_batch_new(f->session, err);
    if (!r.batch)
        return err->code;
    r.room = WINDOW * r.together;
    r.slot = need_array(r.room, sizeof *r.slot);
    r.some = need_array(r.together, sizeof(Slot *));
    r.request = need_array(r.together, sizeof *r.request);
    r.ticket = need_array(r.together, sizeof *r.ticket);
    r.ahead = ahead_new(&pictures);
    run_all(&r);
    drop_rest(&r);
    ahead_free(r.ahead);
    blip2_batch_free(r.batch);
    free(r.slot);
    free(r.some);
    free(r.request);
    free(r.ticket);
    return BLIP2_OK;
}
