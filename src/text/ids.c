/* text/ids.c: the growing list. */
#include "text/ids.h"

#include <string.h>

#include "base/mem.h"

bool ids_push(Ids *v, int id)
{
    if (!MEM_GROW(v->id, &v->cap, v->n + 1))
        return false;
    v->id[v->n++] = id;
    return true;
}

bool ids_append(Ids *v, const int *id, size_t n)
{
    if (!MEM_GROW(v->id, &v->cap, v->n + n))
        return false;
    if (n)
        memcpy(v->id + v->n, id, n * sizeof *id);
    v->n += n;
    return true;
}

void ids_free(Ids *v)
{
    mem_free(v->id);
    *v = (Ids){0};
}
