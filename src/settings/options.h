/* settings/options.h: --options a.b=c. */
#ifndef SETTINGS_OPTIONS_H
#define SETTINGS_OPTIONS_H

#include "settings/node.h"

/* A map of them all; later ones over earlier. NULL: ERR_USAGE, named. */
Node *options_read(Tree *t, const char *const *options, size_t count, Error *e);

#endif
