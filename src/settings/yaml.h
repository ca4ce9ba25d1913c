/* settings/yaml.h: a YAML document becomes a tree, through libyaml, and a tree becomes a document.
 *
 * One document per file; keys are scalars, and may not come twice in a map; anchors, aliases and merge keys (<<) are
 * expanded to copies; tags are YAML's own. What OmegaConf allows besides is Python's (tuples, paths) and refused. */
#ifndef SETTINGS_YAML_H
#define SETTINGS_YAML_H

#include "settings/node.h"

/* name is for messages and origins and must outlive the tree; line 0 in origins when `lines` is false. An empty document
 * is a node of NODE_NULL. Errors: "NAME:LINE: ..." with ERR_FAILED, or ERR_USAGE where name is ORIGIN_OPTIONS. */
Node *yaml_parse(Tree *t, const char *text, size_t n, const char *name, bool lines, Error *e);

/* Appends the document; reading it again gives the same tree. With origins: behind each scalar and list where it comes
 * from, as a comment. Check s->failed. */
void yaml_write(const Node *root, bool origins, StrBuf *s);

#endif
