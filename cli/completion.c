/* Completions for bash, zsh and fish. */
#include "help.h"
#include "options.h"
#include "output.h"

#include <blip2.h>
#include <stdio.h>
#include <string.h>

/* A choice "a|b" as words, and what stands for them. */
static void words(OptId id)
{
    for (const char *p = options[id].argument; *p; p++)
        out_print("%c", *p == '|' ? ' ' : *p);
    for (const Synonym *s = synonyms; s->word; s++)
        if (s->option == id)
            out_print(" %s", s->word);
}

/* Text inside single quotes; quotes in it become the typographic one, which every shell leaves
 * alone, and what zsh's _arguments would take for syntax is left out. */
static void quoted(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            out_text("’");
        else if (!strchr("[]:", *text))
            out_print("%c", *text);
    }
}

/* "run" of "debug run" */
static const char *last_word(const Verb *verb)
{
    const char *space = strchr(verb->name, ' ');
    return space ? space + 1 : verb->name;
}

/* What pull takes. */
static void model_words(void)
{
    for (size_t i = 0; i < blip2_zoo_count(); i++)
        out_print(i ? " %s" : "%s", blip2_zoo_at(i)->name);
}

/* Names of the commands of one word, or of the second words of debug. */
static void verb_words(bool plumbing)
{
    const char *between = "";
    for (int v = 0; v < VERB_COUNT; v++) {
        if (verb_is_plumbing((VerbId)v) != plumbing)
            continue;
        out_print("%s%s", between, last_word(&verbs[v]));
        between = " ";
    }
}

static void bash_values(void)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const Option *o = &options[i];
        if (!o->group || o->kind == KIND_FLAG)
            continue;
        out_print("    --%s", o->name);
        if (o->letter)
            out_print("|-%c", o->letter);
        out_text(") ");
        if (o->kind == KIND_CHOICE) {
            out_text("COMPREPLY=($(compgen -W '");
            words((OptId)i);
            out_text("' -- \"$cur\")); ");
        } else if (o->kind == KIND_FILE || o->kind == KIND_FOLDER) {
            out_print("mapfile -t COMPREPLY < <(compgen %s -- \"$cur\"); ",
                      o->kind == KIND_FOLDER ? "-d" : "-f");
        }
        out_text("return ;;\n");
    }
}

static void bash_verbs(void)
{
    for (int v = 0; v < VERB_COUNT; v++) {
        out_print("    '%s') words='", verbs[v].name);
        for (int i = 0; i < OPT_COUNT; i++)
            if (options[i].group && option_fits((OptId)i, (VerbId)v))
                out_print("--%s ", options[i].name);
        out_text("' ;;\n");
    }
}

static void bash(void)
{
    out_text("# bash completion for blip2, made by: blip2 help completion bash\n"
             "_blip2() {\n"
             "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
             "    local verb= words= i\n"
             "    COMPREPLY=()\n"
             "    case $prev in\n");
    bash_values();
    out_text("    esac\n"
             "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
             "        case \"$verb:${COMP_WORDS[i]}\" in\n"
             "        :-*) ;;\n"
             "        :*) verb=${COMP_WORDS[i]} ;;\n"
             "        debug:[a-z]*) verb=\"debug ${COMP_WORDS[i]}\" ;;\n"
             "        esac\n"
             "    done\n"
             "    case $verb in\n"
             "    '') words='");
    verb_words(false);
    out_text(" debug --help --version' ;;\n    debug) words='");
    verb_words(true);
    out_text("' ;;\n");
    bash_verbs();
    out_text("    esac\n"
             "    if [[ $verb == help ]]; then\n"
             "        words='");
    verb_words(false);
    out_text(" debug man completion bash zsh fish'\n"
             "    elif [[ $verb == pull && $cur != -* ]]; then\n"
             "        words='");
    model_words();
    out_text("'\n"
             "    elif [[ $verb && $verb != debug && $cur != -* ]]; then\n"
             "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
             "        return\n"
             "    fi\n"
             "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
             "}\n"
             "complete -o filenames -F _blip2 blip2\n");
}

static void zsh_option(const Option *o)
{
    out_print("            '--%s%s[", o->name, o->argument ? "=" : "");
    quoted(o->help);
    out_text("]");
    if (o->argument) {
        out_print(":%s:", o->name);
        if (o->kind == KIND_CHOICE) {
            out_text("(");
            words((OptId)(o - options));
            out_text(")");
        } else if (o->kind == KIND_FILE || o->kind == KIND_FOLDER) {
            out_text(o->kind == KIND_FOLDER ? "_files -/" : "_files");
        }
    }
    out_text("' \\\n");
}

static void zsh_verbs(bool plumbing)
{
    for (int v = 0; v < VERB_COUNT; v++) {
        if (verb_is_plumbing((VerbId)v) != plumbing)
            continue;
        out_print("        %s) _arguments \\\n", last_word(&verbs[v]));
        for (int i = 0; i < OPT_COUNT; i++)
            if (options[i].group && option_fits((OptId)i, (VerbId)v))
                zsh_option(&options[i]);
        if (v == VERB_PULL) {
            out_text("            '*:model:(");
            model_words();
            out_text(")' ;;\n");
        } else {
            out_text("            '*:file:_files' ;;\n");
        }
    }
}

static void zsh_names(bool plumbing)
{
    out_text("((");
    for (int v = 0; v < VERB_COUNT; v++) {
        if (verb_is_plumbing((VerbId)v) != plumbing)
            continue;
        out_print("%s\\:\"", last_word(&verbs[v]));
        quoted(verbs[v].summary);
        out_text("\" ");
    }
    out_text(plumbing ? "))" : "debug\\:\"plumbing\"))");
}

static void zsh(void)
{
    out_text("#compdef blip2\n# zsh completion for blip2, made by: blip2 help completion zsh\n"
             "_blip2_debug() {\n    local state\n    _arguments -C '1:command:");
    zsh_names(true);
    out_text("' '*::argument:->rest'\n    case $state in\n    rest)\n        case $words[1] in\n");
    zsh_verbs(true);
    out_text("        esac ;;\n    esac\n}\n_blip2() {\n    local state\n"
             "    _arguments -C '1:command:");
    zsh_names(false);
    out_text("' '*::argument:->rest'\n    case $state in\n    rest)\n        case $words[1] in\n");
    out_text("        debug) _blip2_debug ;;\n");
    zsh_verbs(false);
    out_text("        esac ;;\n    esac\n}\nif [ \"$funcstack[1]\" = _blip2 ]; then\n"
             "    _blip2 \"$@\"\nelse\n    compdef _blip2 blip2\nfi\n");
}

static void fish_verb(const Verb *verb, bool plumbing)
{
    out_print("complete -c blip2 -f -n %s -a '%s' -d '",
              plumbing ? "'__fish_seen_subcommand_from debug'" : "__fish_use_subcommand",
              last_word(verb));
    quoted(verb->summary);
    out_text("'\n");
}

static void fish_option(OptId id)
{
    const Option *o = &options[id];
    out_text("complete -c blip2 -n '__fish_seen_subcommand_from");
    for (int v = 0; v < VERB_COUNT; v++)
        if (option_fits(id, (VerbId)v))
            out_print(" %s", last_word(&verbs[v]));
    out_print("' -l %s", o->name);
    if (o->letter)
        out_print(" -s %c", o->letter);
    if (o->kind == KIND_CHOICE) {
        out_text(" -x -a '");
        words(id);
        out_text("'");
    } else if (o->argument) {
        out_text(o->kind == KIND_FILE || o->kind == KIND_FOLDER ? " -r -F" : " -x");
    }
    out_text(" -d '");
    quoted(o->help);
    out_text("'\n");
}

static void fish(void)
{
    out_text("# fish completion for blip2, made by: blip2 help completion fish\n");
    for (int v = 0; v < VERB_COUNT; v++)
        fish_verb(&verbs[v], verb_is_plumbing((VerbId)v));
    out_text("complete -c blip2 -f -n __fish_use_subcommand -a debug -d plumbing\n"
             "complete -c blip2 -f -n '__fish_seen_subcommand_from help' -a 'man completion'\n"
             "complete -c blip2 -f -n '__fish_seen_subcommand_from pull' -a '");
    model_words();
    out_text("'\n");
    for (int i = 0; i < OPT_COUNT; i++)
        if (options[i].group)
            fish_option((OptId)i);
}

bool write_completion(const char *shell)
{
    static const struct {
        const char *name;
        void (*write)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].write();
            return true;
        }
    return false;
}
