/* settings/scalar.h: what a scalar of YAML means.
 *
 * YAML 1.1 as OmegaConf reads it, which LAVIS uses: PyYAML's rules (yes, on, 0x1F, 017, 1_000 and 1:30 are booleans
 * and numbers), but for reals, of which 1e-5 is one, and for dates, which are texts. */
#ifndef SETTINGS_SCALAR_H
#define SETTINGS_SCALAR_H

#include "settings/node.h"

/* Gives a node whose text is set its kind and value, as of a plain (unquoted) scalar. An integer of more than 64 bits
 * is an error. */
bool scalar_resolve(Node *n, Error *e);
/* The same for a tag "tag:yaml.org,2002:int" and the like, an error when the text is none. */
bool scalar_tagged(Node *n, const char *tag, Error *e);

/* A finite or infinite real as Python's repr writes it, in short. */
const char *scalar_real(double x, char buffer[32]);

#endif
