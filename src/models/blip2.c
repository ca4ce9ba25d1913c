/* models/blip2.c: the walk over the whole model, and the projection. */
#include "models/blip2.h"

void model_visit(Visitor *v, Blip2 *m)
{
    const ModelConfig *k = &m->config;
    if (k->parts & PART_VISION)
        vit_visit(v, &m->vit);
    if (k->parts & PART_TEXT)
        qformer_visit_words(v, &m->qformer);
    qformer_visit(v, &m->qformer);
    heads_visit(v, &m->heads, k);
    if (!(k->parts & PART_LANGUAGE))
        return;
    visit_linear(v, "language_projection", &m->project, k->qformer.width, config_language(k).width,
                 true);
    if (k->kind == MODEL_T5)
        t5_visit(v, &m->t5);
    else
        opt_visit(v, &m->opt);
}

Tensor *model_project(Ctx *c, const Blip2 *m, Tensor *queries)
{
    return tap(c, linear(c, queries, &m->project), "projection");
}
