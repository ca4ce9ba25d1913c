/* task/lm.c: which file fills an Lm for which kind of model. */
#include "task/lm.h"

Lm *lm_new(Ctx *c, const Blip2 *m, Error *e)
{
    return opt_lm_new(c, m, e);
}
