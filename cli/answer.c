/* One result as text or JSON. */
#include "answer.h"

#include "json.h"
#include "output.h"

#include <math.h>
#include <string.h>

/* Whether the message begins with the path, in which the library replaces control characters, and of
 * a long one the middle. */
static bool names(const char *message, const char *path)
{
    for (size_t i = 0; i < 300 && path[i]; i++)
        if (message[i] != path[i] && message[i] != '?')
            return false;
    return true;
}

void complain_picture(const char *path, const char *message)
{
    if (names(message, path) || strcmp(path, "-") == 0)
        complain("%s", message);
    else
        complain("%s: %s", path, message);
}

static json_t *ids_json(const blip2_candidate *c)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < c->id_count; i++)
        json_add(ids, json_integer(c->ids[i]));
    return ids;
}

/* Microseconds are as fine as anybody can use. */
static json_t *milliseconds(double ms)
{
    return json_number(round(ms * 1000) / 1000);
}

static json_t *timings_json(const blip2_timings *t)
{
    json_t *o = json_object();
    json_put(o, "decode_image", milliseconds(t->decode_image));
    json_put(o, "preprocess", milliseconds(t->preprocess));
    json_put(o, "encode", milliseconds(t->encode));
    json_put(o, "qformer", milliseconds(t->qformer));
    json_put(o, "prefill", milliseconds(t->prefill));
    json_put(o, "decode", milliseconds(t->decode));
    json_put(o, "total", milliseconds(t->total));
    return o;
}

json_t *failure_json(const char *path, const char *message)
{
    json_t *o = json_object();
    json_put_path(o, "image", path);
    json_put(o, "error", json_text(message));
    return o;
}

/* [{"text", "probability", "score"}, ...], best first */
static json_t *choices_json(const blip2_result *result, size_t index)
{
    json_t *all = json_array();
    for (size_t i = 0; i < blip2_result_count(result, index); i++) {
        const blip2_candidate *c = blip2_result_candidate(result, index, i);
        json_t *o = json_object();
        json_put(o, "text", json_text(c->text));
        json_put(o, "probability", json_number(c->probability));
        json_put(o, "score", json_number(c->score));
        json_add(all, o);
    }
    return all;
}

json_t *answer_json(const char *path, const char *question, const blip2_result *result,
                    size_t index)
{
    json_t *o = json_object();
    const blip2_candidate *best = blip2_result_candidate(result, index, 0);
    size_t count = blip2_result_count(result, index);
    json_put_path(o, "image", path);
    if (question)
        json_put(o, "question", json_text(question));
    json_put(o, "text", json_text(best->text));
    if (best->probability > 0)
        json_put(o, "choices", choices_json(result, index));
    else if (count > 1) {
        json_t *texts = json_array();
        for (size_t i = 0; i < count; i++)
            json_add(texts, json_text(blip2_result_candidate(result, index, i)->text));
        json_put(o, "texts", texts);
    }
    json_put(o, "score", json_number(best->score));
    json_put(o, "token_ids", ids_json(best));
    json_put(o, "timings_ms", timings_json(blip2_result_timings(result, index)));
    return o;
}
