/* models/vit.c: the names of the vision tower's parameters, and its forward. */
#include "models/vit.h"

bool vit_init(Vit *v, const VitConfig *config, Arena *mem)
{
    *v = (Vit){.config = *config};
    v->ln.eps = config->post_eps;
    v->pre.eps = config->eps;
    v->block = arena_calloc(mem, sizeof *v->block * (size_t)config->layers);
    for (int i = 0; v->block && i < config->layers; i++) {
        v->block[i].heads = config->heads;
        v->block[i].ln1.eps = v->block[i].ln2.eps = config->eps;
        v->block[i].act = config->quick_gelu ? ACT_QUICK_GELU : ACT_GELU;
    }
    return v->block != NULL;
}

static void visit_layer(Visitor *v, VitBlock *b, const VitConfig *k)
{
    visit_norm(v, "layer_norm1", &b->ln1, k->width);
    visit_linear(v, "self_attn.qkv", &b->qkv, k->width, 3 * k->width, k->qkv_bias);
    visit_linear(v, "self_attn.projection", &b->proj, k->width, k->width, true);
    visit_norm(v, "layer_norm2", &b->ln2, k->width);
    visit_linear(v, "mlp.fc1", &b->fc1, k->width, k->mlp, true);
    visit_linear(v, "mlp.fc2", &b->fc2, k->mlp, k->width, true);
}

/* The file has a convolution [D,3,p,p]; with stride p it is a product of unfolded patches. */
static void visit_patch(Visitor *v, Linear *patch, const VitConfig *k)
{
    visit_param(v, "patch_embedding.weight", &patch->w,
                &(ParamSpec){.kind = PARAM_MATRIX,
                             .rank = 4,
                             .shape = {k->width, 3, k->patch, k->patch},
                             .rows = k->width,
                             .cols = 3 * k->patch * k->patch});
    if (k->clip)
        return;
    visit_param(
        v, "patch_embedding.bias", &patch->b,
        &(ParamSpec){
            .kind = PARAM_VECTOR, .rank = 1, .shape = {k->width}, .rows = 1, .cols = k->width});
}

void vit_visit(Visitor *v, Vit *m)
{
    const VitConfig *k = &m->config;
    int grid = k->image / k->patch;
    size_t tower = visit_enter(v, "vision_model."), part = visit_enter(v, "embeddings.");
    visit_table(v, "class_embedding", &m->cls, 3, 1, k->width);
    visit_table(v, "position_embedding", &m->pos, 3, 1 + grid * grid, k->width);
    visit_patch(v, &m->patch, k);
    visit_leave(v, part);
    if (k->clip)
        visit_norm(v, "pre_layernorm", &m->pre, k->width);
    for (int i = 0; i < k->layers; i++) {
        part = visit_block(v, "encoder.layers.%d.", i);
        visit_layer(v, &m->block[i], k);
        visit_leave_block(v, &m->block[i].base, part);
    }
    visit_norm(v, "post_layernorm", &m->ln, k->width);
    visit_leave(v, tower);
}

int vit_tokens(const Vit *v, int h, int w)
{
    return 1 + (h / v->config.patch) * (w / v->config.patch);
}

/* --- forward ------------------------------------------------------------------------------------ */

static int *ints_new(Ctx *c, int n)
{
    int *v = arena_alloc(&c->mem, sizeof *v * (size_t)n);
    if (!v)
        error_memory(&c->err, "ids", sizeof *v * (size_t)n);
    return v;
}

/* 0 to period - 1, again and again: n of them. */
static int *counting(Ctx *c, int n, int period)
{
    int *ids = ints_new(c, n);
    for (int i = 0; ids && i < n; i++)
        ids[i] = i % period;
    return ids;
}

/* The position rows of `batch` pictures of gh x gw patches: the trained table, resized where its
 * grid is another. */
static Tensor *positions(Ctx *c, const Vit *v, int batch, int gh, int gw)
{
    int grid = v->config.image / v->config.patch, n = 1 + gh * gw;
    int *ids = counting(c, batch * n, n);
    if (!ids)
        return NULL;
    if (gh == grid && gw == grid)
        return embed(c, &v->pos, ids, batch * n);
    int *all = counting(c, v->pos.rows, v->pos.rows);
    Tensor *table = all ? embed(c, &v->pos, all, v->pos.rows) : NULL;
    return gather_rows(c, resize_grid(c, table, grid, gh, gw, v->config.clip), NULL, ids,
                       batch * n);
}

static Tensor *vit_block(Ctx *c, const Block *base, Tensor *x, void *aux)
{
    const VitBlock *b = (const VitBlock *)base;
    const int *batch = aux;
    int d = x->cols;

    Tensor *h = linear(c, layernorm(c, x, &b->ln1), &b->qkv);
    Tensor *q = columns(c, h, 0, d), *k = columns(c, h, d, d), *v = columns(c, h, 2 * d, d);
    h = attention(c, q, k, v, (Attn){.heads = b->heads, .groups = *batch});
    x = linear_add(c, h, &b->proj, x);

    h = linear_act(c, layernorm(c, x, &b->ln2), &b->fc1, b->act);
    return linear_add(c, h, &b->fc2, x);
}

/* Patches, the class token in front of each picture's, positions added; CLIP's towers norm them. */
static Tensor *vit_embed(Ctx *c, const Vit *v, const Tensor *px, int h, int w)
{
    int p = v->config.patch, batch = px->rows;
    Tensor *patches = linear(c, unfold(c, px, h, w, p), &v->patch); /* checks h and w */
    if (!patches)
        return NULL;
    int n = vit_tokens(v, h, w), *from = counting(c, batch * n, n);
    if (!from)
        return NULL;
    for (int i = 0; i < batch * n; i++) /* row 0 is the class token, then all patches */
        from[i] = from[i] ? (i / n) * (n - 1) + from[i] : 0;
    Tensor *cls = embed(c, &v->cls, (const int[]){0}, 1);
    Tensor *x =
        add(c, gather_rows(c, cls, patches, from, batch * n), positions(c, v, batch, h / p, w / p));
    return v->config.clip ? layernorm(c, x, &v->pre) : x;
}

Tensor *vit_forward(Ctx *c, const Vit *v, Tensor *px, int h, int w)
{
    int *batch = px ? ints_new(c, 1) : NULL; /* in the arena: recomputation reads it */
    if (!batch)
        return NULL;
    *batch = px->rows;
    Tensor *x = vit_embed(c, v, px, h, w);
    tap(c, x, "vision.embeddings");
    for (int i = 0; i < v->config.layers; i++) {
        x = block(c, vit_block, &v->block[i].base, x, NULL, batch);
        tap(c, x, "vision.layer%d", i);
    }
    return tap(c, layernorm(c, x, &v->ln), "vision.out");
}
