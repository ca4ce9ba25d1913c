/* settings/keys.h: the one table of keys that a configuration may have. What is no key of it is told with the nearest
 * one; values are checked against it; defaults come from it; docs/CONFIG.md shows it. */
#ifndef SETTINGS_KEYS_H
#define SETTINGS_KEYS_H

#include "settings/node.h"

typedef enum KeyType {
    KEY_FLAG,  /* true or false, or 1, 0 */
    KEY_WHOLE, /* also 5.0 */
    KEY_REAL,  /* also a text that is a number */
    KEY_TEXT,
    KEY_CHOICE, /* one of `choices` */
    KEY_TEXTS,  /* a text or a list of texts */
    KEY_WHOLES, /* a list */
    KEY_REALS,  /* a list */
    KEY_MAP,    /* with any members */
    KEY_ANY
} KeyType;

typedef struct Key {
    const char *path; /* "datasets.*.type": * is any name */
    KeyType type;
    bool training; /* without meaning when nothing is trained */
    const char *
        def; /* YAML, "": none. A map of cases: of run. tasks or TASK/ARCH, of model. archs, else names beside it */
    const char *what;
    const char *choices; /* "a|b" of KEY_CHOICE */
} Key;

extern const Key settings_keys[]; /* ends with a NULL path */

/* What can be said about a configuration that has all its layers. */
typedef struct Checked {
    Tree *tree;
    Node *root;
    const char **notices; /* room for NOTICES_MAX */
    size_t notice_count;
    Error *error;
} Checked;

enum { NOTICES_MAX = 64 };

/* Adds a notice; of what is too much the last one says so. False: out of memory. */
bool checked_note(Checked *c, const Node *n, const char *what);
/* Adds the table's defaults where nothing is. */
bool keys_fill(Checked *c);
/* Notes unknown keys; a value of the wrong type is an error. */
bool keys_check(Checked *c);

/* The table in Markdown. Check s->failed. */
void keys_markdown(StrBuf *s);

#endif
