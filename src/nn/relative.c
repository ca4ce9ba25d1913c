/* nn/relative.c: see nn/relative.h. */
#include "nn/relative.h"

#include <math.h>

/* Half of the buckets are exact, the others grow with the logarithm, in float as in the reference. */
static int bucket(int buckets, int distance, int r, bool both)
{
    int n = both ? buckets / 2 : buckets, exact = n / 2;
    int base = both && r > 0 ? n : 0, d = r > 0 ? (both ? r : 0) : -r;
    if (d < exact)
        return base + d;
    float whole = (float)log((double)distance / exact),
          part = logf((float)d / (float)exact) / whole;
    int far = exact + (int)(part * (float)(n - exact));
    return base + (far < n ? far : n - 1);
}

Tensor *relative_bias(Ctx *c, const Param *table, int distance, int far, bool both)
{
    int n = both ? 2 * far + 1 : far + 1;
    int *ids = arena_alloc(&c->mem, sizeof *ids * (size_t)n);
    if (!ids)
        return ctx_fail(c, ERR_MEMORY, "positions: out of memory");
    for (int i = 0; i < n; i++)
        ids[i] = bucket(table->rows, distance, i - far, both);
    return embed(c, table, ids, n);
}

int relative_most(const int *position, int n)
{
    int most = position[0];
    for (int i = 1; i < n; i++)
        most = position[i] > most ? position[i] : most;
    return most;
}
