/* ckpt/keys.c: wrappers off, canonical names on; the last piece wins. */
#include "ckpt/keys.h"

#include <string.h>

#include "base/str.h"
#include "ckpt/names.h"

/* --- wrappers ------------------------------------------------------------------------------------- */

/* torch.nn.parallel.DistributedDataParallel, torch.compile, FullyShardedDataParallel, activation
 * checkpointing, Lightning Fabric. None is a part of any name of ours. */
static const char *const WRAPPERS[] = {"module", "_orig_mod", "_fsdp_wrapped_module",
                                       "_checkpoint_wrapped_module", "_forward_module"};

static bool is_wrapper(const char *part, size_t n)
{
    for (size_t i = 0; i < sizeof WRAPPERS / sizeof *WRAPPERS; i++)
        if (strlen(WRAPPERS[i]) == n && memcmp(WRAPPERS[i], part, n) == 0)
            return true;
    return false;
}

/* The name without wrappers into out, which has room for all of it. */
static void without_wrappers(const char *name, char *out)
{
    while (*name) {
        size_t n = strcspn(name, "."), step = n + (name[n] == '.');
        if (!(name[n] == '.' && is_wrapper(name, n))) {
            memcpy(out, name, step);
            out += step;
        }
        name += step;
    }
    *out = 0;
}

/* What stands before `known` in the one key that ends with it: its length; 0: nothing does, or different
 * things do (a student and its teacher): which of them is the model is not ours to guess. */
static size_t common_prefix(const TensorList *l, const char *known, const char **prefix)
{
    size_t k = strlen(known), found = 0;
    for (size_t i = 0; i < l->n; i++) {
        const char *key = l->t[i].key;
        size_t n = strlen(key);
        if (strcmp(key, known) == 0)
            return 0;
        if (n <= k + 1 || key[n - k - 1] != '.' || !str_ends(key, known))
            continue;
        if (found)
            return 0;
        *prefix = key;
        found = n - k;
    }
    return found;
}

/* Keys that are the names again, in their order. */
static void restore(TensorList *l)
{
    for (size_t i = 0; i < l->n; i++)
        l->t[i].key = l->t[i].given;
    tensors_sort(l->t, l->n);
}

static bool take_off_wrappers(TensorList *l)
{
    char key[NAME_LONGEST];
    for (size_t i = 0; i < l->n; i++) {
        CkptTensor *t = &l->t[i];
        t->key = t->given;
        without_wrappers(t->given, key);
        if (strcmp(key, t->given) != 0 && !(t->key = arena_strdup(&l->names, key)))
            return false;
    }
    return true;
}

static void take_off_prefix(TensorList *l, const char *known)
{
    const char *prefix = NULL;
    size_t n = common_prefix(l, known, &prefix);
    for (size_t i = 0; n && i < l->n; i++)
        if (strncmp(l->t[i].key, prefix, n) == 0 && l->t[i].key[n])
            l->t[i].key += n;
}

static bool same_place(const CkptTensor *a, const CkptTensor *b)
{
    return a->piece == b->piece && strcmp(a->key, b->key) == 0;
}

static bool all_differ(const TensorList *l)
{
    for (size_t i = 1; i < l->n; i++)
        if (same_place(&l->t[i - 1], &l->t[i]))
            return false;
    return true;
}

bool keys_unwrap(TensorList *l, const char *known, size_t *changed, const char **first)
{
    size_t n = 0;
    if (!take_off_wrappers(l))
        return false;
    take_off_prefix(l, known);
    tensors_sort(l->t, l->n);
    if (!all_differ(l))
        restore(l);
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->t[i].key, l->t[i].given) != 0 && n++ == 0 && first)
            *first = l->t[i].name;
    if (changed)
        *changed = n;
    return true;
}

/* --- canonical names ------------------------------------------------------------------------------- */

static bool make_canonical(TensorList *l)
{
    char key[NAME_LONGEST];
    for (size_t i = 0; i < l->n; i++)
        if (name_canonical(l->t[i].key, key, sizeof key) &&
            !(l->t[i].key = arena_strdup(&l->names, key)))
            return false;
    return true;
}

/* Two tensors of one piece that would have the same key: those that are not called so keep their own name.
 * Returns whether there were any. */
static bool part_equals(TensorList *l)
{
    bool any = false;
    for (size_t i = 1; i < l->n; i++) {
        CkptTensor *a = &l->t[i - 1], *b = &l->t[i];
        if (!same_place(a, b))
            continue;
        CkptTensor *other = strcmp(a->key, a->given) == 0 ? b : a;
        other->key = other->given;
        any = true;
    }
    return any;
}

/* Of each key the tensor of the last piece stays; sorted by key, then by piece. */
static void keep_last(TensorList *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++)
        if (i + 1 == l->n || strcmp(l->t[i].key, l->t[i + 1].key) != 0)
            l->t[kept++] = l->t[i];
    l->n = kept;
}

bool keys_settle(TensorList *l)
{
    if (!make_canonical(l))
        return false;
    tensors_sort(l->t, l->n);
    if (part_equals(l))
        tensors_sort(l->t, l->n);
    keep_last(l);
    return true;
}
