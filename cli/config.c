/* blip2 config FILE: what an evaluation or a training would be told, all defaults included. */
#include "json.h"
#include "output.h"
#include "session.h"
#include "verbs.h"

#include <blip2_debug.h>

static int print_keys(void)
{
    char *keys = blip2_config_keys();
    if (!keys) {
        complain("config: out of memory");
        return EXIT_MEMORY;
    }
    out_text(keys);
    blip2_config_keys_free(keys);
    return EXIT_OK;
}

/* The file is an operand, or --cfg-path as LAVIS has it. */
static const char *file_of(const Args *args)
{
    const char *option = args_text(args, OPT_CFG_PATH, NULL);
    if (option && args->count == 0)
        return option;
    if (args->count == 1 && !option)
        return args->operands[0];
    usage_error(option ? "config: superfluous argument '%s', expected blip2 config --cfg-path FILE"
                       : "config: too few arguments, expected blip2 config FILE",
                option ? args->operands[0] : "");
    return NULL;
}

static void print_config(const Args *args, const blip2_config *c)
{
    const char *notice;
    for (size_t i = 0; (notice = blip2_config_notice(c, i)); i++)
        complain("%s", notice);
    out_text(args->has[OPT_JSON] ? blip2_config_json(c) : blip2_config_yaml(c));
    if (args->has[OPT_JSON])
        out_text("\n");
}

int run_config(const Args *args)
{
    blip2_error err = {0};
    if (args->has[OPT_KEYS])
        return print_keys();
    const char *file = file_of(args);
    if (!file)
        return EXIT_USAGE;
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    const Words *words = &args->value[OPT_OPTIONS].words;
    blip2_config *c = args->has[OPT_OPTIONS]
                          ? blip2_config_load(file, words->list, words->count, &err)
                          : blip2_config_load(file, NULL, 0, &err);
    if (!c)
        return report(&err);
    print_config(args, c);
    blip2_config_free(c);
    return EXIT_OK;
}
