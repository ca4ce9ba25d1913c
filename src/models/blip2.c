#include "models/blip2.h"

void model_visit(Visitor *v, Blip2 *m)
{
    vit_visit(v, &m->vit);
    qformer_visit(v, &m->qformer);
    visit_linear(v, "language_projection", &m->project, m->config.qformer.width,
                 m->config.opt.width, true);
    opt_visit(v, &m->opt);
}

Tensor *model_encode(Ctx *c, const Blip2 *m, Tensor *px, int h, int w)
{
    return px ? qformer_forward(c, &m->qformer, vit_forward(c, &m->vit, px, h, w), px->rows) : NULL;
}

Tensor *model_soft(Ctx *c, const Blip2 *m, Tensor *queries)
{
    return tap(c, linear(c, queries, &m->project), "projection");
}
