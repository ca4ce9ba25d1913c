/* effect.c: transformers warns of the same (GenerationConfig.validate). */
#include "effect.h"

#include "output.h"

#include <string.h>

static void note(const Args *args, OptId id, const char *why)
{
    if (args->has[id])
        complain("--%s: no effect %s", options[id].name, why);
}

/* Those of generation and sampling, but for `except`. */
static void note_generation(const Args *args, OptId except, const char *why)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const char *group = options[i].group;
        if (i != (int)except && group &&
            (strcmp(group, "Generation") == 0 || strcmp(group, "Sampling") == 0))
            note(args, (OptId)i, why);
    }
}

static void note_search(const Args *args, const blip2_options *o)
{
    static const OptId sampling[] = {OPT_TOP_K, OPT_TOP_P, OPT_TEMPERATURE, OPT_SEED};
    for (size_t i = 0; !o->sample && i < sizeof sampling / sizeof *sampling; i++)
        note(args, sampling[i], "without --sample");
    if (o->num_beams == 1) {
        note(args, OPT_LENGTH_PENALTY, "with 1 beam");
        note(args, OPT_EARLY_STOPPING, "with 1 beam");
    }
    if (args->has[OPT_MAX_NEW_TOKENS])
        note(args, OPT_MAX_LENGTH, "beside --max-new-tokens");
    if (o->library == BLIP2_HF && args->has[OPT_MIN_NEW_TOKENS])
        note(args, OPT_MIN_LENGTH, "beside --min-new-tokens");
}

/* Ranking generates nothing; whose template, --generation still says. */
void note_without_effect(const Args *args, const blip2_options *o, bool asks)
{
    if (args->has[OPT_CHOICES])
        note_generation(args, OPT_GENERATION, "beside --choices");
    else
        note_search(args, o);
    if (asks && args->has[OPT_RAW_PROMPT])
        complain("--raw-prompt: questions have no effect beside a whole prompt");
    if (args->verb == VERB_CHAT && !args->has[OPT_JSON] && o->num_captions > 1)
        note(args, OPT_NUM_CAPTIONS, "without --json: the best answer is shown");
}

void note_without_generate(const Args *args)
{
    note_generation(args, OPT_COUNT, "without --generate");
}
