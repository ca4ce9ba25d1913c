/* settings/merge.h: one configuration over another, and references within one, as OmegaConf does both. */
#ifndef SETTINGS_MERGE_H
#define SETTINGS_MERGE_H

#include "settings/node.h"

/* Lays `from` over `to`, both maps, `to` in t: maps merge key by key, anything else replaces what is there, null
 * included; "???" leaves it. A list over a map, a map over a list or over a reference is an error. */
bool settings_merge(Tree *t, Node *to, const Node *from, Error *e);

/* Replaces references in texts: ${a.b}, ${.sibling}, ${a[0]}, ${oc.env:NAME}, ${oc.env:NAME,default} (a text),
 * ${env:NAME,default} (typed, as OmegaConf had it before 2.1), each of which may hold others. A text that is one
 * reference takes the value with its type, maps and lists included. \${ is no reference. */
bool settings_interpolate(Tree *t, Node *root, Error *e);

/* Whether it is a text with ${ in it that has not been replaced yet. */
bool settings_is_reference(const Node *n);

#endif
