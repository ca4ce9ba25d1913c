/* api/request.c: an item of the caller's becomes a request to the engine. */
#include <stddef.h>
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

bool api_item(const blip2_item *items, size_t i, blip2_item *out, Error *e)
{
    const char *theirs = (const char *)items + i * items->size;
    size_t size;
    memcpy(&size, theirs, sizeof size);
    *out = (blip2_item){.size = sizeof *out};
    if (size != items->size)
        return error_set(e, ERR_USAGE, "item: size: expected that of the first, %zu, got %zu",
                         items->size, size);
    return api_take_struct(out, sizeof *out, theirs, "item", e);
}

bool api_request(const blip2_session *s, const blip2_item *item, bool need_image, EngineRequest *r,
                 Error *e)
{
    *r = (EngineRequest){.prompt = {.task = (Task)item->task,
                                    .text = item->text,
                                    .prompt = item->prompt,
                                    .raw = item->raw_prompt,
                                    .turns = (const Turn *)item->turns,
                                    .n_turns = item->turn_count}};
    if (!api_gen_options(s->model, item->task, item->options, &r->options, e) ||
        !check_turns(item, e))
        return false;
    if (!s->model->tokenizer)
        return error_set(e, ERR_BAD_MODEL, "%s", s->model->no_tokenizer.message);
    if (item->image)
        r->image = (EncodeJob){.picture = &item->image->picture, .serial = item->image->serial};
    return item->image || !need_image ||
           error_set(e, ERR_FAILED, "picture: expected one, got NULL");
}

static bool tell(void *user, int id, const char *text)
{
    const Teller *t = user;
    return t->on_token(t->user, t->item, id, text);
}

Teller api_teller(const blip2_item *item, size_t number)
{
    return (Teller){.on_token = item->on_token,
                    .user = item->user,
                    .item = number,
                    .decode_ms = blip2_image_decode_ms(item->image)};
}

EngineToken *api_token(const Teller *t)
{
    return t->on_token ? tell : NULL;
}
