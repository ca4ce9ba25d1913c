/* api/options.c: the structs of the caller, told by their size; generation settings on their way in
 * and out. */
#include <limits.h>
#include <string.h>

#include "api/api.h"
#include "task/defaults.h"

_Static_assert((int)LIB_LAVIS == BLIP2_LAVIS && (int)LIB_HF == BLIP2_HF &&
                   (int)EARLY_FALSE == BLIP2_EARLY_FALSE && (int)EARLY_TRUE == BLIP2_EARLY_TRUE &&
                   (int)EARLY_NEVER == BLIP2_EARLY_NEVER,
               "the enums of both sides are one");

/* A field that a later version puts at the end must lie beyond the size that today's callers give. In
 * padding at the end it would lie within, on bytes that they need not have set. */
#define ENDS_WITH(type, last) (sizeof(type) == offsetof(type, last) + sizeof(((type *)NULL)->last))
_Static_assert(ENDS_WITH(blip2_load_options, device) && ENDS_WITH(blip2_convert_options, user) &&
                   ENDS_WITH(blip2_session_options, reserved) &&
                   ENDS_WITH(blip2_options, banned_count) && ENDS_WITH(blip2_item, user) &&
                   ENDS_WITH(blip2_pair, reserved) && ENDS_WITH(blip2_embed_item, reserved),
               "no struct with a size ends in padding");

/* Every setting that both sides have under one name. */
/* clang-format off */
#define SHARED_FIELDS(X)                                                                         \
    X(num_beams) X(num_captions) X(max_length) X(min_length) X(max_new_tokens) X(min_new_tokens) \
    X(length_penalty) X(repetition_penalty) X(no_repeat_ngram) X(sample) X(top_k) X(top_p)       \
    X(temperature) X(seed) X(banned)
/* clang-format on */

/* --- defaults ------------------------------------------------------------------------------------ */

void blip2_options_init(blip2_options *options, const blip2_model *model, blip2_task task,
                        blip2_library library)
{
    if (!options || !sized_good(options->size))
        return;
    const ModelConfig *k = model ? &model->net->config : NULL;
    GenOptions g = task_defaults(k, (Task)task, (Library)library);
    size_t room = options->size < sizeof *options ? options->size : sizeof *options;
    blip2_options o = {.size = options->size,
                       .library = (blip2_library)g.library,
                       .early_stopping = (blip2_early)g.early_stopping};
#define FIELD(name) o.name = g.name;
    SHARED_FIELDS(FIELD)
#undef FIELD
    if (room > sizeof o.size)
        memcpy(options, &o, room);
    if (options->size > room) /* what a newer header has besides */
        memset((char *)options + room, 0, options->size - room);
}

/* --- to the generator ---------------------------------------------------------------------------- */

bool api_choice(const char *what, int value, int last, Error *e)
{
    if (value >= 0 && value <= last)
        return true;
    return error_set(e, ERR_USAGE, "%s: expected one of 0 to %d, got %d", what, last, value);
}

static bool check_options(const blip2_options *o, Error *e)
{
    if (!api_choice("options: library", (int)o->library, BLIP2_HF, e) ||
        !api_choice("options: early_stopping", (int)o->early_stopping, BLIP2_EARLY_NEVER, e))
        return false;
    if (o->banned_count > INT_MAX)
        return error_set(e, ERR_USAGE, "options: banned: expected at most %d ids, got %zu", INT_MAX,
                         o->banned_count);
    return !o->banned_count || o->banned ||
           error_set(e, ERR_USAGE, "options: banned: expected %zu ids, got NULL", o->banned_count);
}

/* The caller's, over the defaults of their library for what they lack. */
static bool take_options(const blip2_model *m, blip2_task task, const blip2_options *theirs,
                         blip2_options *o, Error *e)
{
    *o = (blip2_options){.size = sizeof *o};
    if (!sized_take(o, sizeof *o, theirs, "options", e))
        return false;
    blip2_library library = o->library;
    o->size = sizeof *o;
    blip2_options_init(o, m, task, library);
    return sized_take(o, sizeof *o, theirs, "options", e);
}

bool api_gen_options(const blip2_model *m, blip2_task task, const blip2_options *options,
                     GenOptions *out, Error *e)
{
    blip2_options o;
    if (!api_choice("item: task", (int)task, BLIP2_CHAT, e))
        return false;
    if (!options) {
        *out = task_defaults(&m->net->config, (Task)task, LIB_LAVIS);
        return true;
    }
    if (!take_options(m, task, options, &o, e) || !check_options(&o, e))
        return false;
    *out = (GenOptions){.library = (Library)o.library,
                        .early_stopping = (EarlyStopping)o.early_stopping,
                        .n_banned = (int)o.banned_count};
#define FIELD(name) out->name = o.name;
    SHARED_FIELDS(FIELD)
#undef FIELD
    return true;
}
