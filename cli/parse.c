/* parse.c: the words of a command line, told by the tables, become Args. */
#include "options.h"

#include "memory.h"
#include "output.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_real(const char *text, double *value)
{
    char *end;
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

static bool read_seed(const char *text, uint64_t *value)
{
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *value = strtoull(text, NULL, 10);
    return errno == 0;
}

static bool in_range(const Option *o, double x)
{
    return x >= o->low && x <= o->high && (o->kind == KIND_REAL || x == floor(x));
}

static int number_value(const Option *o, const char *text, Value *value)
{
    double x;
    if (!read_real(text, &x) || !in_range(o, x))
        return usage_error("--%s: expected %s from %.10g to %.10g, got '%s'", o->name,
                           o->kind == KIND_REAL ? "a number" : "a whole number", o->low, o->high,
                           text);
    if (o->kind == KIND_REAL)
        value->real = x;
    else
        value->whole = (long)x;
    return 0;
}

static int unknown_choice(OptId id, const char *text)
{
    char also[256] = "";
    size_t n = 0;
    for (const Synonym *s = synonyms; s->word; s++)
        if (s->option == id && n < sizeof also)
            n += (size_t)snprintf(also + n, sizeof also - n, "%s%s", n ? ", " : " (or ", s->word);
    return usage_error("--%s: expected %s%s%s, got '%s'", options[id].name, options[id].argument,
                       also, n ? ")" : "", text);
}

static int take_value(Args *args, OptId id, const char *text)
{
    const Option *o = &options[id];
    Value *value = &args->value[id];
    args->has[id] = true;
    switch (o->kind) {
    case KIND_WHOLE:
    case KIND_REAL: return number_value(o, text, value);
    case KIND_SEED:
        return read_seed(text, &value->seed)
                   ? 0
                   : usage_error("--%s: expected a whole number from 0 to %llu, got '%s'", o->name,
                                 (unsigned long long)UINT64_MAX, text);
    case KIND_CHOICE:
        value->text = choice_word(id, text);
        return value->text ? 0 : unknown_choice(id, text);
    case KIND_FILE:
    case KIND_FOLDER:
        if (!*text)
            return usage_error("--%s: expected %s, got nothing", o->name, o->argument);
        break;
    case KIND_WORDS: value->words.list[value->words.count++] = text; return 0;
    default: break;
    }
    value->text = text;
    return 0;
}

/* What transformers and LAVIS call our options, underscores or hyphens between the words. */
static const char *other_name(char *name)
{
    static const char *const NAMES[][2] = {
        {"num-return-sequences", "num-captions"},
        {"no-repeat-ngram-size", "no-repeat-ngram"},
        {"use-nucleus-sampling", "sample"},
        {"do-sample", "sample"},
        {"min-len", "min-length"},
        {"batch-size", "batch"},
        {"torch-dtype", "dtype"},
        {"load-in-8bit", "dtype int8"},
        {"load-in-4bit", "dtype int4"},
        {"model-type", "model"},
        {"pretrained", "model"},
    };
    for (char *p = name; *p; p++)
        *p = *p == '_' ? '-' : *p;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(name, NAMES[i][0]) == 0)
            return NAMES[i][1];
    return NULL;
}

static int unknown_option(const char *word)
{
    const char *names[OPT_COUNT + 1] = {0}, *near;
    char *name = need_copy(word + strspn(word, "-"));
    int count = 0;
    name[strcspn(name, "=")] = '\0';
    for (int i = 0; i < OPT_COUNT; i++)
        if (options[i].group)
            names[count++] = options[i].name;
    near = other_name(name);
    if (!near)
        near = nearest(name, names);
    if (near)
        usage_error("unknown option %.*s; did you mean --%s?", (int)strcspn(word, "="), word, near);
    else
        usage_error("unknown option %.*s; see blip2 help COMMAND", (int)strcspn(word, "="), word);
    free(name);
    return EXIT_USAGE;
}

/* A file whose name looks like an option, as "*" of a shell gives it. */
static int file_as_option(const char *word)
{
    return usage_error(
        "%s: expected an option, got the name of a file; write ./%s, or -- before the files", word,
        word);
}

/* --options a=1 b=2, or --options a 1 b 2: the words behind the first one that are of its form. */
static void take_words(Args *args, OptId id, int argc, char **argv, int *at)
{
    Words *words = &args->value[id].words;
    bool equals = strchr(words->list[words->count - 1], '=');
    for (; *at + 1 < argc; (*at)++) {
        const char *word = argv[*at + 1];
        bool option = word[0] == '-' && word[1] && !strchr("0123456789.", word[1]);
        if (option || (equals && !strchr(word, '=')))
            break;
        words->list[words->count++] = word;
    }
}

/* The option of argv[*at] and, for those that take a value, its value, which may be the next word. */
static int take_option(Args *args, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value = NULL;
    OptId id;
    if (word[1] == '-') {
        size_t n = strcspn(word + 2, "=");
        id = option_named(word + 2, n);
        value = word[2 + n] ? word + 3 + n : NULL;
    } else {
        id = option_lettered(word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    bool unknown = id == OPT_COUNT || (options[id].kind == KIND_FLAG && value && word[1] != '-');
    if ((unknown || (word[1] != '-' && word[2])) && access(word, F_OK) == 0)
        return file_as_option(word);
    if (unknown)
        return unknown_option(word);
    if (options[id].kind == KIND_FLAG) {
        args->has[id] = true;
        return value ? usage_error("--%s takes no value, got '%s'", options[id].name, value) : 0;
    }
    if (!value && *at + 1 >= argc)
        return usage_error("--%s needs a value: --%s %s", options[id].name, options[id].name,
                           options[id].argument);
    Value *to = &args->value[id];
    if (options[id].kind == KIND_WORDS && !args->has[id])
        to->words = (Words){need_array((size_t)argc, sizeof(char *)), 0};
    int code = take_value(args, id, value ? value : argv[++*at]);
    if (options[id].kind == KIND_WORDS)
        take_words(args, id, argc, argv, at);
    return code;
}

static int unknown_verb(char *const *words, int count)
{
    const char *names[VERB_COUNT + 2] = {0}, *near;
    bool debug = strcmp(words[0], "debug") == 0;
    int used = 0;
    for (int i = 0; i < VERB_COUNT; i++) {
        bool two = strncmp(verbs[i].name, "debug ", 6) == 0;
        if (two == debug)
            names[used++] = verbs[i].name + (two ? 6 : 0);
    }
    if (!debug)
        names[used] = "debug";
    if (debug && count < 2)
        return usage_error("debug: the command is missing; see blip2 help debug");
    near = nearest(words[debug ? 1 : 0], names);
    if (near)
        return usage_error("unknown command %s%s; did you mean blip2 %s%s?", debug ? "debug " : "",
                           words[debug ? 1 : 0], debug ? "debug " : "", near);
    if (!debug && access(words[0], R_OK) == 0)
        return usage_error("unknown command %s; did you mean blip2 caption %s?", words[0],
                           words[0]);
    return usage_error("unknown command %s%s; see blip2 %s", debug ? "debug " : "",
                       words[debug ? 1 : 0], debug ? "help debug" : "--help");
}

/* Options that the command does not take. */
static int check_options(const Args *args)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (args->has[i] && !option_fits((OptId)i, args->verb))
            return usage_error("%s: --%s is no option of this command; see blip2 help %s",
                               verbs[args->verb].name, options[i].name, verbs[args->verb].name);
    return 0;
}

static int check_operands(const Args *args)
{
    const Verb *verb = &verbs[args->verb];
    if (args->verb == VERB_ASK && args->count == 1 && !args->has[OPT_RAW_PROMPT])
        return usage_error("ask: the question is missing, expected blip2 ask %s", verb->operands);
    if (args->count < verb->least)
        return usage_error("%s: too few arguments, expected blip2 %s %s", verb->name, verb->name,
                           verb->operands);
    for (int i = 0; i < args->count; i++)
        if (!*args->operands[i] && !(args->verb == VERB_ASK && i == args->count - 1))
            return usage_error("%s: argument %d: expected a name, got nothing", verb->name, i + 1);
    if (verb->most >= 0 && args->count > verb->most)
        return usage_error("%s: superfluous argument '%s', expected blip2 %s%s%s", verb->name,
                           args->operands[verb->most], verb->name, *verb->operands ? " " : "",
                           verb->operands);
    return 0;
}

/* Finds the command among the words and takes it off the operands. --help COMMAND becomes
 * `help COMMAND`, and no words at all become `help`. */
static int choose_verb(Args *args)
{
    int used = 0;
    if (args->has[OPT_VERSION] || args->has[OPT_HELP]) {
        args->verb = args->has[OPT_HELP] ? VERB_HELP : VERB_VERSION;
        args->count = args->has[OPT_HELP] ? args->count : 0;
        return 0;
    }
    if (args->count == 0)
        return usage_error("the command is missing; see blip2 --help");
    args->verb = verb_named(args->operands, args->count, &used);
    if (args->verb == VERB_COUNT)
        return unknown_verb(args->operands, args->count);
    args->count -= used;
    memmove(args->operands, args->operands + used, (size_t)args->count * sizeof(char *));
    int code = check_options(args);
    return code ? code : check_operands(args);
}

int args_parse(Args *args, int argc, char **argv)
{
    bool ended = false;
    int code = 0;
    *args = (Args){.operands = need_array((size_t)argc + 1, sizeof(char *))};
    for (int i = 1; i < argc && !code; i++) {
        if (!ended && strcmp(argv[i], "--") == 0)
            ended = true;
        else if (ended || argv[i][0] != '-' || argv[i][1] == '\0')
            args->operands[args->count++] = argv[i];
        else
            code = take_option(args, argc, argv, &i);
    }
    return code ? code : choose_verb(args);
}

void args_free(Args *args)
{
    free(args->operands);
    for (int i = 0; i < OPT_COUNT; i++)
        if (options[i].kind == KIND_WORDS && args->has[i])
            free(args->value[i].words.list);
    *args = (Args){0};
}

const char *args_text(const Args *args, OptId id, const char *otherwise)
{
    return args->has[id] ? args->value[id].text : otherwise;
}

long args_whole(const Args *args, OptId id, long otherwise)
{
    return args->has[id] ? args->value[id].whole : otherwise;
}
