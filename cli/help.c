/* help.c: blip2 help, --help, the version. */
#include "help.h"

#include "output.h"
#include "text.h"
#include "verbs.h"

#include <blip2.h>
#include <stdio.h>
#include <string.h>

enum { COLUMN = 28 };

/* "-m, --model DIR|NAME" */
static const char *option_label(char buffer[64], const Option *o)
{
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(buffer, 64, "%s--%s%s%s", letter, o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    return buffer;
}

/* Whether the option is listed for the command: it fits, is not hidden and belongs to the group
 * (NULL: to any but the last, which every command has). */
static bool option_listed(OptId id, VerbId verb, const char *group)
{
    const char *own = options[id].group;
    if (!own || !option_fits(id, verb))
        return false;
    return group ? own == group : options[id].verbs != (1u << VERB_COUNT) - 1;
}

static void heading(const char *text)
{
    out_print("%s%s%s\n", out_bold(), text, out_normal());
}

static void paragraphs(const char *text)
{
    char part[1024];
    while (*text) {
        size_t n = strcspn(text, "\n");
        snprintf(part, sizeof part, "%.*s", (int)n, text);
        wrap(part, 0, 0);
        text += n + (text[n] == '\n');
    }
}

/* "  label   text", the text wrapped beside the label, or below it when that is long. */
static void entry(const char *label, const char *text)
{
    if (strlen(label) + 2 < COLUMN - 1) {
        fact(COLUMN, label, text);
    } else {
        out_print("  %s\n%*s", label, COLUMN, "");
        wrap(text, COLUMN, COLUMN);
    }
}

static void example_list(const Verb *verb)
{
    heading("Examples");
    for (size_t i = 0; i < sizeof verb->examples / sizeof *verb->examples; i++)
        if (verb->examples[i].command)
            out_print("  %s# %s%s\n  %s\n", out_dim(), verb->examples[i].what, out_normal(),
                      verb->examples[i].command);
}

static void option_list(VerbId verb)
{
    char label[64], text[1024];
    for (int g = 0; option_groups[g + 1]; g++) {
        bool first = true;
        for (int i = 0; i < OPT_COUNT; i++) {
            if (!option_listed((OptId)i, verb, option_groups[g]))
                continue;
            if (first) {
                out_text("\n");
                heading(option_groups[g]);
            }
            first = false;
            entry(option_label(label, &options[i]), option_help((OptId)i, verb, text));
        }
    }
}

static bool has_options(VerbId verb)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (option_listed((OptId)i, verb, NULL))
            return true;
    return false;
}

static void help_verb(VerbId id)
{
    const Verb *verb = &verbs[id];
    out_print("%sblip2 %s%s: %s\n\n", out_bold(), verb->name, out_normal(), verb->summary);
    out_print("  blip2 %s%s%s%s\n\n", verb->name, *verb->operands ? " " : "", verb->operands,
              has_options(id) ? " [OPTIONS]" : "");
    paragraphs(verb->details);
    if (*verb->details)
        out_text("\n");
    example_list(verb);
    option_list(id);
}

static void verb_list(bool plumbing)
{
    char label[64];
    for (int i = 0; i < VERB_COUNT; i++) {
        if (verb_is_plumbing((VerbId)i) != plumbing)
            continue;
        snprintf(label, sizeof label, "%s %s", verbs[i].name, verbs[i].operands);
        entry(label, verbs[i].summary);
    }
}

static void help_debug(void)
{
    out_print("%sblip2 debug%s: plumbing, for comparing with other implementations\n\n", out_bold(),
              out_normal());
    verb_list(true);
    out_text("\n\"blip2 help debug run\" and so on explain each of them.\n");
}

static void overview(void)
{
    out_print("%sblip2%s %s: captions pictures and answers questions about them, with BLIP-2\n\n",
              out_bold(), out_normal(), blip2_version());
    heading("Examples");
    entry("blip2 caption photo.jpg", "describe a picture");
    entry("blip2 ask photo.jpg Q", "answer the question Q about it");
    entry("blip2 chat photo.jpg", "talk about it");
    out_text("\n");
    heading("Commands");
    verb_list(false);
    entry("debug COMMAND", "plumbing; see blip2 help debug");
    out_text("\n");
    paragraphs("Options may stand anywhere; \"--\" ends them. \"blip2 help COMMAND\" shows the "
               "options of a command, with examples.\nThe embedded model knows small scenes of "
               "emoji; -m takes a BLIP-2 from Hugging Face or LAVIS. match and most of embed need "
               "a matching model, -m itm-vit-g.");
    out_text("\n");
    heading("Exit codes");
    out_text("  0 done, 1 failed, 2 usage, 3 some items failed, 4 no such model,\n"
             "  5 bad model file, 6 out of memory\n");
}

static int help_completion(const Args *args)
{
    const char *shell = args->count > 1 ? args->operands[1] : "";
    if (write_completion(shell))
        return 0;
    return usage_error("help completion: expected bash, zsh or fish, got '%s'", shell);
}

int run_help(const Args *args)
{
    int used;
    VerbId verb = verb_named(args->operands, args->count, &used);
    const char *topic = args->count ? args->operands[0] : "";
    int known = verb != VERB_COUNT ? used : strcmp(topic, "completion") == 0 ? 2 : 1;
    if (args->count > known && !args->has[OPT_HELP])
        return usage_error("help: unknown command %s %s; see blip2 --help", topic,
                           args->operands[known]);
    if (verb != VERB_COUNT)
        help_verb(verb);
    else if (args->count == 0)
        overview();
    else if (strcmp(topic, "debug") == 0)
        help_debug();
    else if (strcmp(topic, "man") == 0)
        write_man_page();
    else if (strcmp(topic, "completion") == 0)
        return help_completion(args);
    else
        return usage_error("help: unknown command %s; see blip2 --help", topic);
    return 0;
}

int run_version(const Args *args)
{
    (void)args;
    out_print("blip2 %s\n", blip2_version());
    return 0;
}
