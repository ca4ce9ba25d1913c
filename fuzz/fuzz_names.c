/* Arbitrary names of tensors, one a line; a line that begins with '+' is of the next piece. Wrappers, parts and
 * other families of names are resolved as for a model, and each name there and back. */
#include <string.h>

#include "base/str.h"
#include "ckpt/keys.h"
#include "ckpt/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What LAVIS calls it leads back to it. */
static void both_ways(const char *name)
{
    char lavis[NAME_LONGEST], back[NAME_LONGEST];
    static const unsigned FAMILIES[] = {NAMES_EVA | NAMES_OPT, NAMES_CLIP | NAMES_T5};
    for (int i = 0; i < 2; i++)
        if (name_lavis(name, FAMILIES[i], lavis, sizeof lavis) &&
            name_canonical(lavis, back, sizeof back) && strcmp(back, name) != 0)
            BUG("another name");
    name_part(name);
    for (int i = 0; i < NAME_MAPS; i++)
        name_map(i, name, lavis, sizeof lavis);
}

static void add(TensorList *l, const char *line, size_t n, int *piece)
{
    Error e = {0};
    if (n && *line == '+') {
        (*piece)++;
        line++;
        n--;
    }
    char *name =
        arena_printf(&l->names, "%.*s", (int)(n < TENSOR_NAME_MAX ? n : TENSOR_NAME_MAX), line);
    CkptTensor t = {.name = name, .piece = *piece};
    if (!name || !tensors_push(l, &t, "fuzz", &e))
        BUG("out of memory");
    both_ways(name);
}

static void check(const TensorList *l)
{
    for (size_t i = 1; i < l->n; i++)
        if (strcmp(l->t[i - 1].key, l->t[i].key) > 0)
            BUG("not in order");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TensorList l = {0};
    size_t changed;
    const char *first = NULL;
    int piece = 0;
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t n = end ? (size_t)(end - data) - at : size - at;
        add(&l, (const char *)data + at, n, &piece);
        at += n + 1;
    }
    if (!keys_unwrap(&l, "query_tokens", &changed, &first) || !keys_settle(&l))
        BUG("out of memory");
    if ((changed > 0) != (first != NULL))
        BUG("a change without a name");
    check(&l);
    tensors_free(&l);
    if (mem_in_use() != 0)
        BUG("leaked");
    return 0;
}
