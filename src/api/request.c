/* api/request.c: an item of the caller's becomes a request to the engine. */
#include <string.h>

#include "api/api.h"

_Static_assert((int)TASK_CAPTION == BLIP2_CAPTION && (int)TASK_ASK == BLIP2_ASK &&
                   (int)TASK_CHAT == BLIP2_CHAT,
               "the enums of both sides are one");
_Static_assert(sizeof(Turn) == sizeof(blip2_turn) &&
                   offsetof(Turn, question) == offsetof(blip2_turn, question) &&
                   offsetof(Turn, answer) == offsetof(blip2_turn, answer),
               "rounds of a dialogue are handed on as they are");

static bool check_turns(const blip2_item *item, Error *e)
{
    if (item->turn_count && !item->turns)
        return api_missing("dialogue", e);
    for (size_t i = 0; i < item->turn_count; i++)
        if (!item->turns[i].question || !item->turns[i].answer)
            return error_set(e, ERR_USAGE,
                             "dialogue: round %zu: expected a question and an answer, got NULL", i);
    return true;
}

bool api_check_call(const blip2_session *s, const void *items, size_t count, const char *what,
                    Error *e)
{
    enum { MOST = 1 << 20 };
    if (!s)
        return api_missing("session", e);
    if (count && !items)
        return error_set(e, ERR_USAGE, "%ss: expected some, got NULL", what);
    if (count > MOST)
        return error_set(e, ERR_USAGE, "%ss: expected at most %d, got %zu", what, MOST, count);
    return engine_idle(&s->engine, e) && (!count || sized_check(items, what, e));
}

bool api_element(void *ours, size_t size, size_t known, const void *theirs, size_t i,
                 const char *what, Error *e)
{
    size_t each, own;
    memcpy(&each, theirs, sizeof each);
    const char *at = (const char *)theirs + i * each;
    memcpy(&own, at, sizeof own);
    memset((char *)ours + sizeof own, 0, size - sizeof own);
    if (own != each)
        return error_set(e, ERR_USAGE, "%s: size: expected that of the first, %zu, got %zu", what,
                         each, own);
    return sized_take(ours, known, at, what, e);
}

static bool check_item(const blip2_session *s, const blip2_item *item, bool need_image, Error *e)
{
    if (!check_turns(item, e))
        return false;
    if (!s->model->tokenizer)
        return error_set(e, ERR_BAD_MODEL, "%s", s->model->no_tokenizer.message);
    return item->image || !need_image ||
           error_set(e, ERR_FAILED, "picture: expected one, got NULL");
}

bool api_request(const blip2_session *s, const blip2_item *items, size_t i, bool need_image,
                 EngineRequest *r, Ticket *asked, Error *e)
{
    blip2_item item = {.size = sizeof item};
    if (!api_element(&item, sizeof item, sizeof item, items, i, "item", e))
        return false;
    *r = (EngineRequest){.prompt = {.task = (Task)item.task,
                                    .text = item.text,
                                    .prompt = item.prompt,
                                    .raw = item.raw_prompt,
                                    .turns = (const Turn *)item.turns,
                                    .n_turns = item.turn_count}};
    if (item.image)
        r->image = api_image_job(item.image, BLIP2_LAVIS);
    if (asked) {
        asked->on_token = item.on_token;
        asked->user = item.user;
        asked->decode_ms = blip2_image_decode_ms(item.image);
    }
    return api_gen_options(s->model, item.task, item.options, &r->options, e) &&
           generate_can_follow(&s->model->net->config, &r->options, e) &&
           check_item(s, &item, need_image, e);
}

/* --- to the engine ------------------------------------------------------------------------------- */

static bool tell(void *user, int id, const char *text)
{
    const Ticket *t = user;
    return !t->gone && t->on_token(t->user, t->number, id, text);
}

/* What of a call goes to the engine: the items without an error of the form. */
typedef struct Call {
    EngineRequest *request;
    EngineItem **item;
    Ticket **ticket;
    int n;
} Call;

static void add_request(Call *c, const blip2_session *s, const blip2_item *items, size_t i,
                        Ticket *t)
{
    EngineRequest *r = &c->request[c->n];
    if (!api_request(s, items, i, true, r, t, &t->error))
        return;
    r->on_token = t->on_token ? tell : NULL;
    r->user = t;
    c->ticket[c->n++] = t;
}

bool api_start(EngineStart *start, blip2_session *s, const blip2_item *items, size_t count,
               Ticket *const *ticket, Error *e)
{
    size_t room = count ? count : 1;
    Call c = {.request = mem_calloc(room, sizeof *c.request),
              .item = mem_calloc(room, sizeof(EngineItem *)),
              .ticket = mem_calloc(room, sizeof(Ticket *))};
    bool ok =
        (c.request && c.item && c.ticket) || error_memory(e, "items", count * sizeof *c.request);
    for (size_t i = 0; ok && i < count; i++)
        add_request(&c, s, items, i, ticket[i]);
    ok = ok && start(&s->engine, c.request, c.n, c.item, e);
    for (int i = 0; ok && i < c.n; i++)
        if (!(c.ticket[i]->item = c.item[i]))
            c.ticket[i]->error = *e;
    mem_free(c.request);
    mem_free(c.item);
    mem_free(c.ticket);
    return ok;
}
