/* help.h: the long texts that help.c writes to standard output, from the tables of options.h. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdbool.h>

/* In man(7) macros. */
void write_man_page(void);
/* shell: bash, zsh or fish; false: none of them. */
bool write_completion(const char *shell);

#endif
