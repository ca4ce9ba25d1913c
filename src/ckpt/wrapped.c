/* ckpt/wrapped.c: names that other programs changed: wrappers taken off, the nearest of a missing one,
 * what quantisers leave. */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "ckpt/checkpoint.h"

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
        l->t[i].key = l->t[i].name;
    tensors_sort(l->t, l->n);
}

static bool take_off_wrappers(TensorList *l)
{
    char key[TENSOR_NAME_MAX + 1];
    for (size_t i = 0; i < l->n; i++) {
        CkptTensor *t = &l->t[i];
        without_wrappers(t->name, key);
        if (strcmp(key, t->name) != 0 && !(t->key = arena_strdup(&l->names, key)))
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

static bool all_differ(const TensorList *l)
{
    for (size_t i = 1; i < l->n; i++)
        if (strcmp(l->t[i - 1].key, l->t[i].key) == 0)
            return false;
    return true;
}

size_t ckpt_unwrap(Checkpoint *c, const char *known, const char **first)
{
    TensorList *l = &c->list;
    size_t changed = 0;
    bool ok = take_off_wrappers(l);
    if (ok)
        take_off_prefix(l, known);
    tensors_sort(l->t, l->n);
    if (!ok || !all_differ(l))
        restore(l);
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->t[i].key, l->t[i].name) != 0 && changed++ == 0)
            *first = l->t[i].name;
    return changed;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Letters that both begin with and, beside those, both end with, whatever their case. */
static size_t likeness(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), head = 0, tail = 0, n = na < nb ? na : nb;
    while (head < n && same_letter(a[head], b[head]))
        head++;
    while (tail < n - head && same_letter(a[na - 1 - tail], b[nb - 1 - tail]))
        tail++;
    return head + tail;
}

const CkptTensor *ckpt_nearest(const Checkpoint *c, const char *name)
{
    const CkptTensor *best = NULL;
    size_t most = strlen(name) / 2;
    for (size_t i = 0; i < c->list.n; i++) {
        const CkptTensor *t = &c->list.t[i];
        size_t alike = t->used ? 0 : likeness(name, t->key);
        if (alike > most) {
            most = alike;
            best = t;
        }
    }
    return best;
}

const char *ckpt_quantised(const Checkpoint *c)
{
    static const struct {
        const char *end, *what;
    } SIGNS[] = {{".absmax", "bitsandbytes (4 bits)"},
                 {".SCB", "bitsandbytes (8 bits)"},
                 {".qweight", "GPTQ or AWQ"},
                 {".weight_packed", "compressed-tensors"},
                 {".weight_scale", "scaled 8-bit weights"},
                 {".weight_scale_inv", "scaled 8-bit weights"}};
    for (size_t i = 0; i < c->list.n; i++)
        for (size_t s = 0; s < sizeof SIGNS / sizeof *SIGNS; s++)
            if (str_ends(c->list.t[i].name, SIGNS[s].end))
                return SIGNS[s].what;
    return NULL;
}
