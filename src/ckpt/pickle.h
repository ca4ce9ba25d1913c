/* ckpt/pickle.h: Python pickles as data. For torch.c, and its tests.
 *
 * A pickle is a program for a machine with a stack, and Python's can be made to do anything. This one
 * only builds values: what Python would import is a pair of names (PICKLE_GLOBAL), and what Python
 * would call is the pair of what is called and its arguments (PICKLE_CALL), for the reader to
 * understand or to leave. One call is carried out, since what it gives is then filled:
 * collections.OrderedDict, an empty dict or one of pairs.
 *
 * Protocols 2 to 5; of their opcodes those that numbers, texts, containers and objects need. Time and
 * memory grow with the bytes, and values and stack are limited. Source: CPython, Lib/pickletools.py. */
#ifndef CKPT_PICKLE_H
#define CKPT_PICKLE_H

#include "base/error.h"
#include "base/mem.h"

enum {
    PICKLE_VALUES_MAX = 1 << 22, /* containers, and values in them */
    PICKLE_STACK_MAX = 1 << 20,
    PICKLE_MEMO_MAX = 1 << 22,
};

typedef enum PickleKind {
    PICKLE_NOTHING, /* a place of the memo that nothing was put in */
    PICKLE_MARK,    /* on the stack only */
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_BIG, /* an integer beyond 64 bits: its bytes */
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_BYTES,
    PICKLE_GLOBAL, /* [module, name] */
    PICKLE_TUPLE,
    PICKLE_LIST,       /* a set, too */
    PICKLE_DICT,       /* [key, value, key, value, ...] in the order they were set */
    PICKLE_CALL,       /* [what, arguments] */
    PICKLE_PERSISTENT, /* [what the file names it by]: something that lies outside of the pickle */
} PickleKind;

typedef struct PickleValue {
    PickleKind kind;
    uint32_t n; /* bytes of a text, bytes or big integer */
    union {
        int64_t number;            /* bool, int */
        const unsigned char *text; /* in the file, neither zero-terminated nor checked */
        uint32_t node;             /* what has items */
    };
} PickleValue;

typedef struct PickleNode {
    PickleValue *item;
    uint32_t n, cap;
    PickleKind kind;
} PickleNode;

typedef struct Pickle {
    PickleValue top; /* what the pickle is of */
    PickleNode *node;
    size_t n, cap;
    size_t bytes; /* of the pickle, in data */
    Arena items;
} Pickle;

/* Reads the pickle that data[0..size) begins with; texts point into data. Messages begin with
 * "FILE: OBJECT: byte N". Errors: ERR_BAD_MODEL, ERR_MEMORY. Ends with pickle_free in any case. */
bool pickle_read(Pickle *p, const unsigned char *data, size_t size, const char *file,
                 const char *object, Error *e);
void pickle_free(Pickle *p);

/* How many items a container, call, global or persistent has; 0 for what has none. */
size_t pickle_count(const Pickle *p, PickleValue v);
/* Item i of it; PICKLE_NOTHING when there is none. */
PickleValue pickle_item(const Pickle *p, PickleValue v, size_t i);
/* What a dict has under a text, the last time that it was set; PICKLE_NOTHING: nothing. */
PickleValue pickle_get(const Pickle *p, PickleValue dict, const char *key);
bool pickle_is_text(PickleValue v, const char *text);
/* Whether it is the global MODULE.NAME, or, of a call, whether that is called. */
bool pickle_is_global(const Pickle *p, PickleValue v, const char *module, const char *name);

/* A few words for "got": "a list", "an int", "an object of posix.system", at most cap - 1 bytes. */
const char *pickle_describe(const Pickle *p, PickleValue v, char *buf, size_t cap);

#endif
