/* eval/metrics.c: a list of named numbers. */
#include <stdio.h>

#include "base/mem.h"
#include "eval/score.h"

static bool add(Metrics *m, const char *group, const char *name, double value, bool computed,
                Error *e)
{
    if (!MEM_GROW(m->list, &m->cap, m->count + 1))
        return error_memory(e, "metrics", m->count * sizeof *m->list);
    Metric *to = &m->list[m->count++];
    *to = (Metric){.value = value, .computed = computed};
    snprintf(to->group, sizeof to->group, "%s", group);
    snprintf(to->name, sizeof to->name, "%s", name);
    return true;
}

bool metrics_add(Metrics *m, const char *group, const char *name, double value, Error *e)
{
    return add(m, group, name, value, true, e);
}

bool metrics_add_missing(Metrics *m, const char *group, const char *name, Error *e)
{
    return add(m, group, name, 0, false, e);
}

void metrics_free(Metrics *m)
{
    mem_free(m->list);
    *m = (Metrics){0};
}
