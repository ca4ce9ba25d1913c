/* data/pathset.h: which pictures have been seen. Records name the same picture again and again. */
#ifndef DATA_PATHSET_H
#define DATA_PATHSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Starts as {0}, freed by pathset_free. 64-bit hashes, 8 to 16 bytes a name: of a million names two are taken for one with a
 * chance of 3e-8, and then one picture is not looked at. */
typedef struct PathSet {
    uint64_t *slot; /* 0: free */
    size_t count, size;
} PathSet;

/* 1: new, 0: seen before, -1: out of memory. */
int pathset_add(PathSet *s, const char *name);
void pathset_free(PathSet *s);

#endif
