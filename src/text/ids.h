/* text/ids.h: a growing list of token ids, for all who make or take them. */
#ifndef TEXT_IDS_H
#define TEXT_IDS_H

#include <stdbool.h>
#include <stddef.h>

/* {0} to start, ids_free to end. */
typedef struct Ids {
    int *id; /* mem_alloc'd */
    size_t n, cap;
} Ids;

bool ids_push(Ids *v, int id);                    /* false: out of memory */
bool ids_append(Ids *v, const int *id, size_t n); /* false: out of memory, nothing is appended */
void ids_free(Ids *v);

#endif
