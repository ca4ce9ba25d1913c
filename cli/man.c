/* The man page, in man(7) macros. */
#include "help.h"
#include "options.h"
#include "output.h"

#include <blip2.h>
#include <stdio.h>
#include <string.h>

/* Text for troff: a backslash is \e, a dash stays a dash that can be copied, and no line may start
 * with a control character. */
static void roff(const char *text)
{
    bool start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            out_text("\\&");
        start = *text == '\n';
        if (*text == '\\')
            out_text("\\e");
        else if (*text == '-')
            out_text("\\-");
        else
            out_print("%c", *text);
    }
}

static void paragraph(const char *macro, const char *text)
{
    out_print("%s\n", macro);
    roff(text);
    out_text("\n");
}

static void verb_entry(const Verb *verb)
{
    out_text(".TP\n.B blip2 ");
    roff(verb->name);
    out_text(" \\fI");
    roff(verb->operands);
    out_text("\\fR\n");
    roff(verb->summary);
    out_text(".\n");
    for (const char *p = verb->details; *p;) {
        char part[1024];
        size_t n = strcspn(p, "\n");
        snprintf(part, sizeof part, "%.*s", (int)n, p);
        paragraph(".IP", part);
        p += n + (p[n] == '\n');
    }
}

static void option_entry(OptId id)
{
    const Option *o = &options[id];
    const char *between = "";
    char text[1024];
    out_text(".TP\n\\fB");
    if (o->letter)
        out_print("\\-%c\\fR, \\fB", o->letter);
    roff("--");
    roff(o->name);
    out_text("\\fR ");
    if (o->argument) {
        out_text("\\fI");
        roff(o->argument);
        out_text("\\fR");
    }
    out_text("\n");
    roff(option_help(id, VERB_COUNT, text));
    if (o->verbs == (1u << VERB_COUNT) - 1) {
        out_text(".\n");
        return;
    }
    out_text(".\n(");
    for (int v = 0; v < VERB_COUNT; v++) {
        if (!option_fits(id, (VerbId)v))
            continue;
        out_text(between);
        roff(verbs[v].name);
        between = ", ";
    }
    out_text(")\n");
}

static void option_sections(void)
{
    out_text(
        ".SH OPTIONS\nOptions may stand anywhere on the line. A value follows as the next "
        "word or after an equals sign;\n.B \\-\\-\nends the options. In brackets: the commands "
        "that take the option.\n");
    for (int g = 0; option_groups[g]; g++) {
        out_print(".SS %s\n", option_groups[g]);
        for (int i = 0; i < OPT_COUNT; i++)
            if (options[i].group == option_groups[g])
                option_entry((OptId)i);
    }
}

static void example_section(void)
{
    out_text(".SH EXAMPLES\n");
    for (int v = 0; v < VERB_COUNT; v++)
        for (size_t i = 0; i < sizeof verbs[v].examples / sizeof *verbs[v].examples; i++) {
            const Example *e = &verbs[v].examples[i];
            if (!e->command)
                continue;
            paragraph(".TP", e->what);
            out_text(".B ");
            roff(e->command);
            out_text("\n");
        }
}

static void closing_sections(void)
{
    out_text(".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nfailed (every item), or standard output "
             "could not be written\n.TP\n2\nusage\n.TP\n3\nsome items failed\n.TP\n4\nno such "
             "model\n.TP\n5\nbad model file\n.TP\n6\nout of memory\n");
    out_text(".SH ENVIRONMENT\n.TP\n.B BLIP2_ISA\nkernel set to compute with;\n"
             ".B blip2 doctor\nlists those that this machine can run\n.TP\n.B NO_COLOR\nno "
             "emphasis on terminals\n.TP\n.B XDG_STATE_HOME\nwhere the history of\n.B blip2 chat\n"
             "is kept (blip2/chat_history; default ~/.local/state)\n");
}

void write_man_page(void)
{
    out_print(".TH BLIP2 1 \"\" \"blip2 %s\" \"User Commands\"\n", blip2_version());
    out_text(".SH NAME\nblip2 \\- caption pictures and answer questions about them\n");
    out_text(".SH SYNOPSIS\n.B blip2\n.I COMMAND\n[\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n");
    out_text(".SH DESCRIPTION\nRuns BLIP-2 models: a picture and a text go in, a text comes out. "
             "The embedded model knows small scenes of emoji;\n.B \\-m\ntakes a BLIP-2 from "
             "Hugging Face or LAVIS. match and most of embed need a matching model. Results go to "
             "standard output, everything else to standard error.\n");
    out_text(".SH COMMANDS\n");
    for (int v = 0; v < VERB_COUNT; v++)
        verb_entry(&verbs[v]);
    option_sections();
    example_section();
    closing_sections();
}
