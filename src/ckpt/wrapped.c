/* ckpt/wrapped.c: names that other programs changed: wrappers taken off, the nearest of a missing one,
 * what quantisers leave. */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "ckpt/checkpoint.h"
#include "ckpt/keys.h"

bool ckpt_unwrap(Checkpoint *c, const char *known, size_t *changed, const char **first, Error *e)
{
    return (keys_unwrap(&c->list, known, changed, first) && keys_settle(&c->list)) ||
           error_memory(e, c->path, c->list.n);
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
    } SIGNS[] = {{".qweight", "GPTQ or AWQ"},
                 {".weight_packed", "compressed-tensors"},
                 {".weight_scale", "scaled 8-bit weights"},
                 {".weight_scale_inv", "scaled 8-bit weights"}};
    for (size_t i = 0; i < c->list.n; i++)
        for (size_t s = 0; s < sizeof SIGNS / sizeof *SIGNS; s++)
            if (str_ends(c->list.t[i].name, SIGNS[s].end))
                return SIGNS[s].what;
    return NULL;
}
