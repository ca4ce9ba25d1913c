/* ckpt/tensors.c: see ckpt/tensors.h. */
#include "ckpt/tensors.h"

#include <stdlib.h>
#include <string.h>

static int by_key(const void *x, const void *y)
{
    const CkptTensor *a = x, *b = y;
    int c = strcmp(a->key, b->key);
    return c ? c : (a->piece > b->piece) - (a->piece < b->piece);
}

void tensors_sort(CkptTensor *t, size_t n)
{
    if (n)
        qsort(t, n, sizeof *t, by_key);
}

void tensors_free(TensorList *list)
{
    mem_free(list->t);
    mem_free(list->text);
    arena_free(&list->names);
    arena_free(&list->copies);
    *list = (TensorList){0};
}

bool tensors_push(TensorList *list, const CkptTensor *t, const char *path, Error *e)
{
    if (!MEM_GROW(list->t, &list->cap, list->n + 1))
        return error_memory(e, path, (list->n + 1) * sizeof *t);
    CkptTensor *to = &list->t[list->n++];
    *to = *t;
    to->key = to->given = to->name;
    return true;
}

bool tensors_close(TensorList *list, size_t first, const char *path, Error *e)
{
    size_t n = list->n - first;
    const CkptTensor *t = n ? list->t + first : NULL;
    tensors_sort(n ? list->t + first : NULL, n);
    for (size_t i = 1; i < n; i++)
        if (strcmp(t[i - 1].name, t[i].name) == 0)
            return error_set(e, ERR_BAD_MODEL, "%s: tensor \"%.200s\": duplicate key", path,
                             t[i].name);
    return true;
}
