/* blip2 show [MODEL]: what a model is made of and needs. */
#include "json.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "verbs.h"

#include <blip2_debug.h>
#include <stdio.h>
#include <string.h>

enum { COLUMN = 18 }; /* of the texts beside their labels */

static void part_line(const char *name, uint64_t parameters, uint64_t bytes, const char *dtype)
{
    char count[32], size[32];
    out_print("  %-*s%18s %12s%s%s\n", COLUMN - 2, name, count_text(count, parameters),
              size_text(size, bytes), *dtype ? "   " : "", dtype);
}

static void parts_table(const blip2_info *info)
{
    out_print("\n  %s%-*s%18s %12s   %s%s\n", out_bold(), COLUMN - 2, "part", "parameters", "bytes",
              "precision", out_normal());
    for (size_t i = 0; i < info->part_count; i++)
        part_line(info->parts[i].name, info->parts[i].parameters, info->parts[i].bytes,
                  info->parts[i].dtype);
    part_line("total", info->parameters, info->weight_bytes, "");
}

/* The system does not always say what is available; 0 stands for that. */
static const char *room_text(char buffer[64], uint64_t need, uint64_t available)
{
    char size[32];
    if (available)
        snprintf(buffer, 64, "%s available here, %s", size_text(size, available),
                 need <= available ? "enough" : "not enough");
    else
        strcpy(buffer, "what is available here is not known");
    return buffer;
}

static void memory_line(const blip2_info *info, const blip2_machine *machine)
{
    char weights[32], working[32], sum[32], room[64], line[256];
    uint64_t need = info->weight_bytes + info->working_bytes;
    snprintf(line, sizeof line, "%s: weights %s + %s for one caption; %s", size_text(sum, need),
             size_text(weights, info->weight_bytes), size_text(working, info->working_bytes),
             room_text(room, need, machine->memory_available));
    fact(COLUMN, "memory", line);
}

static void show_text(const blip2_info *info, const blip2_machine *machine)
{
    char line[256];
    out_text(out_bold());
    out_plain(info->path);
    out_print("%s\n", out_normal());
    fact(COLUMN, "architecture", info->architecture);
    snprintf(line, sizeof line, "%d x %d pixels, seen through %d queries", info->image_size,
             info->image_size, info->query_tokens);
    fact(COLUMN, "picture", line);
    snprintf(line, sizeof line, "%s, %d tokens in the vocabulary, %d positions",
             info->language_model, info->vocabulary, info->positions);
    fact(COLUMN, "language model", line);
    fact(COLUMN, "tokenizer", info->tokenizer ? info->tokenizer : "none found");
    fact(COLUMN, "licence", info->licence ? info->licence : "the directory does not say");
    fact(COLUMN, "missing", info->missing ? info->missing : "nothing");
    if (info->notice)
        fact(COLUMN, "notice", info->notice);
    memory_line(info, machine);
    parts_table(info);
}

static json_t *parts_json(const blip2_info *info)
{
    json_t *parts = json_array();
    for (size_t i = 0; i < info->part_count; i++) {
        json_t *part = json_object();
        json_put(part, "name", json_text(info->parts[i].name));
        json_put(part, "parameters", json_integer((json_int_t)info->parts[i].parameters));
        json_put(part, "bytes", json_integer((json_int_t)info->parts[i].bytes));
        json_put(part, "dtype", json_text(info->parts[i].dtype));
        json_add(parts, part);
    }
    return parts;
}

static json_t *show_json(const blip2_info *info, const blip2_machine *machine)
{
    json_t *o = json_object();
    json_put_path(o, "path", info->path);
    json_put(o, "architecture", json_text(info->architecture));
    json_put(o, "image_size", json_integer(info->image_size));
    json_put(o, "query_tokens", json_integer(info->query_tokens));
    json_put(o, "language_model", json_text(info->language_model));
    json_put(o, "vocabulary", json_integer(info->vocabulary));
    json_put(o, "positions", json_integer(info->positions));
    json_put(o, "tokenizer", json_text(info->tokenizer));
    json_put(o, "licence", json_text(info->licence));
    json_put(o, "missing", json_text(info->missing));
    json_put(o, "notice", json_text(info->notice));
    json_put(o, "parameters", json_integer((json_int_t)info->parameters));
    json_put(o, "weight_bytes", json_integer((json_int_t)info->weight_bytes));
    json_put(o, "working_bytes", json_integer((json_int_t)info->working_bytes));
    json_put(o, "memory_available", json_known(machine->memory_available));
    json_put(o, "parts", parts_json(info));
    return o;
}

int run_show(const Args *args)
{
    blip2_error err = {0};
    blip2_machine machine = {0};
    if (args->count && args->has[OPT_MODEL])
        return usage_error("show: the model is given twice, %s and --model %s", args->operands[0],
                           args->value[OPT_MODEL].text);
    const char *name = args->count ? args->operands[0] : args_text(args, OPT_MODEL, NULL);
    blip2_debug_fail_alloc(args_whole(args, OPT_FAIL_ALLOC, 0));
    /* Unlike blip2_model_load this takes a model without a tokenizer: show says what is missing. */
    blip2_load_options lo = chosen_load(args);
    lo.device = "cpu"; /* nothing is computed: a card need not have the weights */
    blip2_model *model = blip2_debug_load(name, &lo, &err);
    if (!model || !blip2_debug_machine(&machine, "cpu", 0, BLIP2_MEASURE_NOTHING, &err)) {
        blip2_model_free(model);
        return report(&err);
    }
    if (args->has[OPT_JSON])
        out_json(show_json(blip2_model_info(model), &machine));
    else
        show_text(blip2_model_info(model), &machine);
    blip2_model_free(model);
    return 0;
}
