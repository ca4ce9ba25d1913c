/* effect.h: options that were given and change nothing. */
#ifndef CLI_EFFECT_H
#define CLI_EFFECT_H

#include "options.h"

#include <blip2.h>

/* One line on standard error for each generation option that has no effect beside the others; o is what
 * they came to. asks: there are questions. */
void note_without_effect(const Args *args, const blip2_options *o, bool asks);
/* The same for debug run, which generates only when it is asked to. */
void note_without_generate(const Args *args);

#endif
