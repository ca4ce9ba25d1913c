/* settings/node.h: the tree of a YAML file, of a merged configuration, of --options.
 *
 * Nodes belong to a Tree, which frees them together. Files come from strangers: a tree has at most NODES_MAX
 * nodes, copies behind aliases included, nested at most NODE_DEPTH deep, and a map at most KEYS_MAX keys. */
#ifndef SETTINGS_NODE_H
#define SETTINGS_NODE_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

enum { NODES_MAX = 1 << 16, NODE_DEPTH = 64, KEYS_MAX = 4096, KEY_LENGTH_MAX = 200 };

typedef enum NodeKind {
    NODE_NULL,
    NODE_BOOL,
    NODE_WHOLE,
    NODE_REAL,
    NODE_TEXT,
    NODE_LIST,
    NODE_MAP
} NodeKind;

/* Where a value was written: a file and a line, or line 0 and "--options" or "default of ...". */
typedef struct Origin {
    const char *source;
    int line;
} Origin;

typedef struct Node Node;
struct Node {
    NodeKind kind;
    bool aside;              /* a default that matters to nobody here: not shown */
    unsigned char resolving; /* interpolate.c's: 0 not yet, 1 at work, 2 done */
    bool flag;               /* NODE_BOOL */
    int64_t whole;           /* NODE_WHOLE */
    double real;             /* NODE_REAL, and of NODE_WHOLE the same number */
    const char *text;        /* scalars as written, without quotes */
    const char *key;         /* in a map, else NULL */
    Node *parent, *next;
    Node *first, *last; /* of a list or map, in order; */
    size_t count;       /* and how many */
    Origin origin;
};

typedef struct Tree {
    Arena arena;
    size_t nodes;
} Tree; /* starts as {0} */

void tree_free(Tree *t);

/* What makes nodes and texts returns NULL after ERR_MEMORY, or ERR_FAILED when a bound is exceeded. */
Node *node_new(Tree *t, NodeKind kind, Origin origin, Error *e);
/* A scalar typed as OmegaConf types plain ones (scalar.h). */
Node *node_plain(Tree *t, const char *text, Origin origin, Error *e);
const char *tree_text(Tree *t, const char *text, Error *e);

/* Appends n, which has no parent yet, to a list (key NULL) or a map that does not have the key. */
bool node_add(Node *to, const char *key, Node *n, Error *e);
/* n with all below it becomes what `from` is, copied; key and place stay. `from` may be of another tree, whose
 * texts are copied, but for the sources of origins, which must outlive both. */
bool node_assign(Tree *t, Node *n, const Node *from, Error *e);
Node *node_copy(Tree *t, const Node *from, Error *e); /* without key and parent */

/* The member of a map; NULL also for what is no map (or NULL). */
Node *node_get(const Node *n, const char *key);
/* "a.b.c", each a key, or of a list an index. */
Node *node_at(const Node *n, const char *path);
/* The same, making maps where there is nothing yet; NULL with an error where there is something else. */
Node *node_make(Tree *t, Node *root, const char *path, Origin origin, Error *e);

/* "a[b].c" becomes "a.b.c". */
void path_dotted(char *path);

/* "model.arch" of a node below a root: appended. */
void node_path(const Node *n, StrBuf *s);
/* "FILE:12", "default of ...". */
void origin_text(Origin o, StrBuf *s);
/* Sets "ORIGIN: PATH: ..." with ERR_USAGE for what came from --options, ERR_FAILED otherwise. Returns false. */
bool node_error(const Node *n, Error *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "a map", "the number 5", "the text 'x'", for messages. */
const char *node_described(const Node *n, char buffer[96]);

extern const char ORIGIN_OPTIONS[]; /* "--options" */

#endif
