/* api/options.c: the structs of the caller, told by their size; the defaults of each verb in each
 * library; the way to the generator's settings. */
#include <limits.h>
#include <string.h>

#include "api/api.h"

_Static_assert((int)LIB_LAVIS == BLIP2_LAVIS && (int)LIB_HF == BLIP2_HF &&
                   (int)EARLY_FALSE == BLIP2_EARLY_FALSE && (int)EARLY_TRUE == BLIP2_EARLY_TRUE &&
                   (int)EARLY_NEVER == BLIP2_EARLY_NEVER,
               "the enums of both sides are one");

/* Every setting that both sides have under one name. */
#define SHARED_FIELDS(X)  \
    X(num_beams)          \
    X(num_captions)       \
    X(max_length)         \
    X(min_length)         \
    X(max_new_tokens)     \
    X(min_new_tokens)     \
    X(length_penalty)     \
    X(repetition_penalty) \
    X(no_repeat_ngram) X(sample) X(top_k) X(top_p) X(temperature) X(seed) X(banned)

static size_t size_of(const void *theirs)
{
    size_t size;
    memcpy(&size, theirs, sizeof size);
    return size;
}

bool api_check_size(const void *theirs, const char *what, Error *e)
{
    enum { LARGEST = 4096 };
    size_t size = size_of(theirs);
    if (size >= sizeof size && size <= LARGEST)
        return true;
    return error_set(e, ERR_USAGE, "%s: size: expected that of the struct, got %zu", what, size);
}

bool api_take_struct(void *ours, size_t size, const void *theirs, const char *what, Error *e)
{
    if (!api_check_size(theirs, what, e))
        return false;
    const char *bytes = theirs;
    size_t theirs_size = size_of(theirs);
    for (size_t i = size; i < theirs_size; i++)
        if (bytes[i])
            return error_set(e, ERR_USAGE,
                             "%s: expected the fields of this version, got newer ones", what);
    memcpy(ours, theirs, theirs_size < size ? theirs_size : size);
    return true;
}

/* --- defaults ------------------------------------------------------------------------------------ */

/* Blip2OPT.generate: num_beams 5, max_length 30, min_length 1, length_penalty 1; top_p 0.9 and
 * the library's top_k 50 count when sampling. */
static GenOptions lavis_generate(void)
{
    GenOptions o = GEN_NEUTRAL;
    o.library = LIB_LAVIS;
    o.num_beams = 5;
    o.max_length = 30;
    o.min_length = 1;
    o.top_p = 0.9;
    return o;
}

/* Blip2OPT.predict_answers: 5 beams, max_new_tokens 10, min_length 1, length_penalty 0. */
static GenOptions lavis_answer(void)
{
    GenOptions o = lavis_generate();
    o.max_length = 0;
    o.max_new_tokens = 10;
    o.length_penalty = 0;
    o.top_p = 1;
    return o;
}

/* What the reference's library does by itself, or what the model's generation_config.json says. */
static GenOptions defaults(const blip2_model *model, blip2_task task, blip2_library library)
{
    if (library == BLIP2_HF)
        return model ? model->net->config.gen : GEN_NEUTRAL;
    return task == BLIP2_ASK ? lavis_answer() : lavis_generate();
}

void blip2_options_init(blip2_options *options, const blip2_model *model, blip2_task task,
                        blip2_library library)
{
    GenOptions g = defaults(model, task, library);
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

static bool check_choice(const char *what, int value, int last, Error *e)
{
    if (value >= 0 && value <= last)
        return true;
    return error_set(e, ERR_USAGE, "%s: expected one of 0 to %d, got %d", what, last, value);
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

/* The caller's, over the defaults of their library for what they lack. */
static bool take_options(const blip2_model *m, blip2_task task, const blip2_options *theirs,
                         blip2_options *o, Error *e)
{
    *o = (blip2_options){.size = sizeof *o};
    if (!api_take_struct(o, sizeof *o, theirs, "options", e))
        return false;
    blip2_library library = o->library;
    o->size = sizeof *o;
    blip2_options_init(o, m, task, library);
    return api_take_struct(o, sizeof *o, theirs, "options", e);
}

bool api_gen_options(const blip2_model *m, blip2_task task, const blip2_options *options,
                     GenOptions *out, Error *e)
{
    blip2_options o;
    if (!check_choice("item: task", (int)task, BLIP2_CHAT, e))
        return false;
    if (!options) {
        *out = defaults(m, task, BLIP2_LAVIS);
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
