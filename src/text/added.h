/* text/added.h: added tokens, which are cut out of the raw text before a kind of tokenizer sees it.
 * For kind.c and tokenizer.c: an AddedSet is {0} at first, filled while loading, sorted once, and
 * then immutable. */
#ifndef TEXT_ADDED_H
#define TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include "text/vocab.h"

typedef struct AddedToken {
    const char *text; /* set by added_sort; belongs to the Vocab */
    size_t n;
    int id;
    bool special;        /* for tokenizer_add, which notes it in the Vocab */
    bool normalized;     /* is matched in a second pass, in what the others have left, normalised */
    bool lstrip, rstrip; /* takes the white space beside it */
} AddedToken;

/* Those of one pass, no two alike, sorted by text; by first byte b they are [first[b], first[b + 1]). */
typedef struct AddedSet {
    AddedToken *token;
    size_t n, cap;
    int first[257];
} AddedSet;

/* A longer one would make matching slow. */
enum { ADDED_BYTES_MAX = 1024 };

bool added_push(AddedSet *s, AddedToken token); /* false: out of memory */
void added_sort(AddedSet *s, const Vocab *v);   /* once, when the vocabulary is complete */
void added_free(AddedSet *s);

/* The longest token that s[0..n) begins with, or NULL. */
const AddedToken *added_match(const AddedSet *set, const char *s, size_t n);

#endif
