/* models/blip2.c: the walk over the whole model, and the projection. */
#include "models/blip2.h"

void model_visit(Visitor *v, Blip2 *m)
{
    vit_visit(v, &m->vit);
    qformer_visit(v, &m->qformer);
    visit_linear(v, "language_projection", &m->project, m->config.qformer.width,
                 config_language(&m->config).width, true);
    if (m->config.kind == MODEL_T5)
        t5_visit(v, &m->t5);
    else
        opt_visit(v, &m->opt);
}

Tensor *model_project(Ctx *c, const Blip2 *m, Tensor *queries)
{
    return tap(c, linear(c, queries, &m->project), "projection");
}
