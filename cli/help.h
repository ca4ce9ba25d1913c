/* help.h: texts made from the tables of options.h, to standard output. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "options.h"

void write_man_page(void);
/* shell: bash, zsh or fish; false: none of them. */
bool write_completion(const char *shell);

/* Shared by both and by --help. */
bool verb_is_plumbing(VerbId verb);
/* "-m, --model DIR|NAME" */
const char *option_label(char buffer[64], const Option *o);
/* Whether the option is listed for the command: it fits, is not hidden and belongs to the group
 * (NULL: to any but the last, which every command has). */
bool option_listed(OptId id, VerbId verb, const char *group);

#endif
