/* session.c: from Args to model, session, options and item of the library. */
#include "session.h"

#include "effect.h"
#include "output.h"
#include "profile.h"
#include "text.h"

#include <blip2_debug.h>
#include <stddef.h>
#include <string.h>

int exit_code(const blip2_error *err)
{
    switch (err->code) {
    case BLIP2_USAGE: return EXIT_USAGE;
    case BLIP2_NO_MODEL: return EXIT_NO_MODEL;
    case BLIP2_BAD_MODEL: return EXIT_BAD_MODEL;
    case BLIP2_MEMORY: return EXIT_MEMORY;
    default: return EXIT_FAILED;
    }
}

int report(const blip2_error *err)
{
    complain("%s", err->message);
    return exit_code(err);
}

blip2_dtype dtype_named(const char *name)
{
    static const char *const names[] = {"f32", "bf16", "f16", "int8", "int4", "mixed"};
    static const blip2_dtype types[] = {BLIP2_F32,  BLIP2_BF16, BLIP2_F16,
                                        BLIP2_INT8, BLIP2_INT4, BLIP2_MIXED};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(names[i], name) == 0)
            return types[i];
    return BLIP2_AUTO;
}

blip2_dtype chosen_dtype(const Args *args)
{
    return dtype_named(args_text(args, OPT_DTYPE, "")); /* synonyms have been resolved */
}

blip2_library chosen_library(const Args *args, OptId id)
{
    return strcmp(args_text(args, id, "lavis"), "hf") == 0 ? BLIP2_HF : BLIP2_LAVIS;
}

blip2_load_options chosen_load(const Args *args)
{
    blip2_load_options lo = blip2_load_options_default();
    lo.dtype = chosen_dtype(args);
    lo.type = args_text(args, OPT_TYPE, NULL);
    lo.vit = args_text(args, OPT_VIT, NULL);
    lo.language = args_text(args, OPT_LLM, NULL);
    lo.device = args_text(args, OPT_DEVICE, NULL);
    return lo;
}

int runtime_open_with(Runtime *r, const Args *args, blip2_model *model)
{
    blip2_error err = {0};
    blip2_session_options so = blip2_session_options_default();
    so.threads = (int)args_whole(args, OPT_THREADS, 0);
    r->model = model;
    if (blip2_model_info(model)->notice)
        complain("%s", blip2_model_info(model)->notice);
    r->session = blip2_session_new(model, &so, &err);
    if (!r->session)
        return report(&err);
    return args->has[OPT_PROFILE] ? profile_begin(r->session) : 0;
}

int runtime_open(Runtime *r, const Args *args)
{
    blip2_error err = {0};
    blip2_load_options lo = chosen_load(args);
    *r = (Runtime){0};
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    r->model = blip2_model_load(args_text(args, OPT_MODEL, NULL), &lo, &err);
    return r->model ? runtime_open_with(r, args, r->model) : report(&err);
}

void runtime_close(Runtime *r)
{
    profile_end(r->session);
    blip2_session_free(r->session);
    blip2_model_free(r->model);
    *r = (Runtime){0};
}

typedef struct Field {
    OptId id;
    size_t offset;
} Field;

#define FIELD(id, name)                         \
    {                                           \
        OPT_##id, offsetof(blip2_options, name) \
    }

static const Field whole_fields[] = {
    FIELD(NUM_BEAMS, num_beams),
    FIELD(NUM_CAPTIONS, num_captions),
    FIELD(MAX_LENGTH, max_length),
    FIELD(MIN_LENGTH, min_length),
    FIELD(MAX_NEW_TOKENS, max_new_tokens),
    FIELD(MIN_NEW_TOKENS, min_new_tokens),
    FIELD(NO_REPEAT_NGRAM, no_repeat_ngram),
    FIELD(TOP_K, top_k),
};

static const Field real_fields[] = {
    FIELD(LENGTH_PENALTY, length_penalty),
    FIELD(REPETITION_PENALTY, repetition_penalty),
    FIELD(TOP_P, top_p),
    FIELD(TEMPERATURE, temperature),
};

static void apply_fields(const Args *args, blip2_options *o)
{
    for (size_t i = 0; i < sizeof whole_fields / sizeof *whole_fields; i++)
        if (args->has[whole_fields[i].id])
            *(int *)((char *)o + whole_fields[i].offset) =
                (int)args->value[whole_fields[i].id].whole;
    for (size_t i = 0; i < sizeof real_fields / sizeof *real_fields; i++)
        if (args->has[real_fields[i].id])
            *(double *)((char *)o + real_fields[i].offset) = args->value[real_fields[i].id].real;
}

void apply_generation(const Args *args, blip2_options *o)
{
    const char *early = args_text(args, OPT_EARLY_STOPPING, NULL);
    /* The new-token limits win over the lengths, so a default of theirs must not be in the way of a
     * length that the user asked for. */
    if (args->has[OPT_MAX_LENGTH])
        o->max_new_tokens = 0;
    if (args->has[OPT_MIN_LENGTH])
        o->min_new_tokens = 0;
    if (args->has[OPT_SAMPLE]) {
        o->sample = true;
        o->num_beams = 1;
    }
    apply_fields(args, o);
    if (args->has[OPT_SEED])
        o->seed = args->value[OPT_SEED].seed;
    if (early)
        o->early_stopping = early[0] == 't'   ? BLIP2_EARLY_TRUE
                            : early[0] == 'n' ? BLIP2_EARLY_NEVER
                                              : BLIP2_EARLY_FALSE;
}

int check_text(const char *what, const char *text)
{
    char wrong[128];
    long fault = text ? utf8_fault(text) : -1;
    return fault < 0 ? 0 : usage_error("%s", fault_text(wrong, what, text, fault));
}

static int check_prompts(const Args *args)
{
    int code = check_text("--prompt", args_text(args, OPT_PROMPT, NULL));
    return code ? code : check_text("--raw-prompt", args_text(args, OPT_RAW_PROMPT, NULL));
}

int make_request(const Args *args, const blip2_model *model, blip2_task task,
                 blip2_options *generation, blip2_item *request)
{
    if (args->has[OPT_PROMPT] && args->has[OPT_RAW_PROMPT])
        return usage_error("--prompt and --raw-prompt exclude each other");
    if (check_prompts(args) != 0)
        return EXIT_USAGE;
    *generation = blip2_options_default(model, task, chosen_library(args, OPT_GENERATION));
    apply_generation(args, generation);
    *request = blip2_item_default();
    request->task = task;
    request->options = generation;
    request->prompt = args_text(args, OPT_RAW_PROMPT, args_text(args, OPT_PROMPT, NULL));
    request->raw_prompt = args->has[OPT_RAW_PROMPT];
    return 0;
}

int check_request(const Args *args, const Runtime *runtime, const blip2_item *request)
{
    blip2_error err = {0};
    blip2_check(runtime->session, request, &err);
    if (err.code == BLIP2_USAGE ||
        err.code == BLIP2_BAD_MODEL) /* so it would be for every picture */
        return report(&err);
    note_without_effect(args, request->options,
                        args->verb == VERB_CHAT || (request->text && *request->text));
    return 0;
}
