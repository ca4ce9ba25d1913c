/* task/encoder.c: pictures to image embeddings, in groups, and what is remembered of them. */
#include "task/encoder.h"

#include <string.h>

#include "base/sys.h"
#include "tensor/profile.h"

/* Pictures in one pass. Their activations are the largest there are, and more at once gain nothing. */
enum { TOGETHER = 8 };

void encoder_init(Encoder *en, Stream *on, const Blip2 *net, int keep)
{
    *en = (Encoder){.net = net, .keep = (size_t)keep};
    ctx_init(&en->c, on);
}

/* --- what is known ------------------------------------------------------------------------------- */

static Device *device_of(const Encoder *en)
{
    return en->c.on->dev;
}

static void encoded_free(Encoder *en, Encoded *e)
{
    for (int i = 0; i < ENCODED_PARTS; i++)
        device_of(en)->free(device_of(en), e->part[i].data);
    mem_free(e);
}

void encoder_free(Encoder *en)
{
    for (size_t i = 0; i < en->n; i++)
        encoded_free(en, en->known[i]);
    mem_free(en->known);
    ctx_free(&en->c);
    *en = (Encoder){0};
}

static Encoded *find(const Encoder *en, uint64_t serial)
{
    for (size_t i = 0; serial && i < en->n; i++)
        if (en->known[i]->serial == serial)
            return en->known[i];
    return NULL;
}

/* The place of the unused picture that was not asked about for longest, or of one that never will be;
 * n when all are in use. *unused counts those that are not. */
static size_t least_wanted(const Encoder *en, size_t *unused)
{
    size_t best = en->n;
    *unused = 0;
    for (size_t i = 0; i < en->n; i++) {
        const Encoded *e = en->known[i];
        if (e->users)
            continue;
        ++*unused;
        if (!e->serial)
            return i;
        if (best == en->n || e->last_use < en->known[best]->last_use)
            best = i;
    }
    return best;
}

static void forget(Encoder *en)
{
    for (;;) {
        size_t unused, i = least_wanted(en, &unused);
        if (i == en->n || (unused <= en->keep && en->known[i]->serial))
            return;
        encoded_free(en, en->known[i]);
        en->known[i] = en->known[--en->n];
    }
}

void encoder_release(Encoder *en, Encoded *e)
{
    if (!e)
        return;
    e->users--;
    forget(en);
}

static Encoded *remember(Encoder *en, uint64_t serial, Error *e)
{
    Encoded *p = MEM_GROW(en->known, &en->cap, en->n + 1) ? mem_calloc(1, sizeof *p) : NULL;
    if (!p) {
        error_memory(e, "picture", sizeof *p);
        return NULL;
    }
    p->serial = serial;
    en->known[en->n++] = p;
    return p;
}

static void use(Encoder *en, EncodeJob *job, Encoded *e)
{
    e->users++;
    e->last_use = ++en->clock;
    job->encoded = e;
}

/* --- one pass ------------------------------------------------------------------------------------ */

/* Pictures of one size that go through the networks together. */
typedef struct Group {
    EncodeJob *job[TOGETHER];
    int n, height, width;
} Group;

static bool prepare_one(const Encoder *en, EncodeJob *job, float *px, Error *e)
{
    const ModelConfig *k = &en->net->config;
    PrepareSpec spec = prepared_spec(k);
    double start = now_ms();
    ProfileStage before = profile_enter(en->c.on, STAGE_PREPROCESS);
    bool ok = job->prepared ? prepared_copy(job->prepared, job->route, k, px, e)
                            : picture_prepare(px, job->picture, job->route, &spec, e);
    profile_leave(en->c.on, before);
    job->times.preprocess += now_ms() - start + (job->prepared ? job->prepared->ms : 0);
    return ok;
}

/* The group's pixels as a tensor of the pass. */
static Tensor *prepare(Encoder *en, const Group *g, Error *e)
{
    size_t one = 3 * (size_t)g->height * (size_t)g->width, bytes = sizeof(float) * one;
    if (g->job[0]->pixels)
        return tensor_upload(&en->c, g->job[0]->pixels, 1, (int)one);
    float *px = mem_alloc(bytes * (size_t)g->n);
    bool ok = px || error_memory(e, "pixels", bytes * (size_t)g->n);
    for (int i = 0; ok && i < g->n; i++)
        ok = prepare_one(en, g->job[i], px + one * (size_t)i, e);
    Tensor *t = ok ? tensor_upload(&en->c, px, g->n, (int)one) : NULL;
    mem_free(px);
    return t;
}

static unsigned wanted(const EncodeJob *job)
{
    return job->parts ? job->parts : 1u << ENCODED_EMBEDS;
}

/* What a pass has made: of all pictures of the group, one after another. Parts that nobody wants are NULL. */
typedef struct Made {
    Tensor *part[ENCODED_PARTS];
} Made;

static Tensor *see(Encoder *en, const Group *g, Tensor *px)
{
    Ctx *c = &en->c;
    ProfileStage before = profile_enter(c->on, STAGE_VISION);
    Tensor *image = px ? vit_forward(c, &en->net->vit, px, g->height, g->width) : NULL;
    ctx_sync(c); /* an error stays in the context */
    profile_leave(c->on, before);
    return image;
}

/* What the Q-Former makes of the tower's output, as far as anybody wants it. */
static void query(Encoder *en, unsigned parts, int n, Made *made)
{
    Ctx *c = &en->c;
    Tensor *image = made->part[ENCODED_VISION];
    if (!(parts & (1u << ENCODED_QUERIES | 1u << ENCODED_EMBEDS)))
        return;
    ProfileStage before = profile_enter(c->on, STAGE_QFORMER);
    made->part[ENCODED_QUERIES] = qformer_forward(c, &en->net->qformer, image, n);
    profile_leave(c->on, before);
    if (!(parts & 1u << ENCODED_EMBEDS))
        return;
    before = profile_enter(c->on, STAGE_PROJECTION);
    made->part[ENCODED_EMBEDS] = model_project(c, en->net, made->part[ENCODED_QUERIES]);
    profile_leave(c->on, before);
}

/* false: c->err. */
static bool run_networks(Encoder *en, const Group *g, Tensor *px, Made *made)
{
    Ctx *c = &en->c;
    unsigned parts = 0;
    double start = now_ms();
    for (int i = 0; i < g->n; i++)
        parts |= wanted(g->job[i]);
    *made = (Made){.part[ENCODED_VISION] = see(en, g, px)};
    double middle = now_ms();
    query(en, parts, g->n, made);
    bool ok = ctx_sync(c);
    for (int i = 0; i < g->n; i++) {
        g->job[i]->times.encode += (middle - start) / g->n;
        g->job[i]->times.qformer += (now_ms() - middle) / g->n;
    }
    return ok && made->part[ENCODED_VISION];
}

/* The rows of picture i of n, in memory of their own. */
static bool keep_part(Encoder *en, Tensor *to, Tensor *all, int i, int n, Error *e)
{
    Ctx *c = &en->c;
    int each = all->rows / n;
    size_t bytes = sizeof(float) * (size_t)each * (size_t)all->cols;
    void *memory = device_of(en)->alloc(device_of(en), bytes);
    if (!memory)
        return error_memory(e, "picture", bytes);
    *to = (Tensor){.dtype = F32, .rows = each, .cols = all->cols, .ld = all->cols, .data = memory};
    return tensor_copy(c, to, rows(c, all, i * each, each)) ||
           error_set(e, c->err.code, "%s", c->err.message);
}

static bool keep_one(Encoder *en, const Group *g, int i, const Made *made, Error *e)
{
    EncodeJob *job = g->job[i];
    Encoded *p = remember(en, job->serial, e);
    if (!p)
        return false;
    use(en, job, p);
    for (int k = 0; k < ENCODED_PARTS; k++)
        if (wanted(job) & 1u << k && !keep_part(en, &p->part[k], made->part[k], i, g->n, e))
            return false;
    return true;
}

/* What of a group was kept is nobody's any more, and nobody finds it. */
static void drop_kept(Encoder *en, const Group *g)
{
    for (int i = 0; i < g->n; i++)
        if (g->job[i]->encoded) {
            g->job[i]->encoded->serial = 0;
            encoder_release(en, g->job[i]->encoded);
            g->job[i]->encoded = NULL;
        }
}

static bool encode_together(Encoder *en, const Group *g, Error *e)
{
    Ctx *c = &en->c;
    Made made;
    ctx_begin(c, ROLE_ENCODE);
    if (!run_networks(en, g, prepare(en, g, e), &made))
        return error_set(e, c->err.code, "%s", c->err.message);
    bool ok = true;
    for (int i = 0; ok && i < g->n; i++)
        ok = keep_one(en, g, i, &made, e);
    if (ok && !ctx_sync(c)) /* what is remembered must be there, not on its way */
        ok = error_set(e, c->err.code, "%s", c->err.message);
    if (!ok)
        drop_kept(en, g);
    return ok;
}

/* A group that fails as a whole is done again one by one, so that one picture's trouble stays its own. */
static void encode_group(Encoder *en, const Group *g)
{
    Error e = {0};
    if (g->n == 0 || encode_together(en, g, &e))
        return;
    if (g->n == 1)
        g->job[0]->error = e;
    for (int i = 0; g->n > 1 && i < g->n; i++)
        encode_group(en, &(Group){.job = {g->job[i]}, 1, g->height, g->width});
}

/* --- all of them --------------------------------------------------------------------------------- */

/* Whether the picture is in the group already, which then makes what this job wants of it as well. */
static bool in_group(const Group *g, const EncodeJob *job)
{
    for (int i = 0; job->serial && i < g->n; i++)
        if (g->job[i]->serial == job->serial) {
            g->job[i]->parts = wanted(g->job[i]) | wanted(job);
            return true;
        }
    return false;
}

static unsigned parts_of(const Encoded *e)
{
    unsigned parts = 0;
    for (int i = 0; i < ENCODED_PARTS; i++)
        parts |= e->part[i].rows ? 1u << i : 0;
    return parts;
}

/* Takes what is known already; false: it has to be encoded. What lacks a part will not be found again: in its
 * place comes one that has what was asked for so far, so that kinds in turn do not drive each other out. */
static bool recall(Encoder *en, EncodeJob *job)
{
    Encoded *e = find(en, job->serial);
    if (e && wanted(job) & ~parts_of(e)) {
        job->parts = wanted(job) | parts_of(e);
        e->serial = 0;
        e = NULL;
    }
    if (e)
        use(en, job, e);
    return e != NULL;
}

/* Pixels of any size may be given, but the trained positions reach only so far. */
static bool check_size(const VitConfig *k, const EncodeJob *job, Error *e)
{
    int most = VIT_GRID_TIMES * (k->image / k->patch) * k->patch;
    return (job->height <= most && job->width <= most) ||
           error_set(e, ERR_FAILED,
                     "pixels: expected at most %d x %d, %d times the size that the vision tower "
                     "was trained "
                     "with, got %d x %d",
                     most, most, VIT_GRID_TIMES, job->width, job->height);
}

static void encode_pixels(Encoder *en, EncodeJob *job)
{
    if (!check_size(&en->net->config.vit, job, &job->error))
        return;
    encode_group(en, &(Group){.job = {job}, 1, job->height, job->width});
}

void encoder_encode(Encoder *en, EncodeJob *job, int n)
{
    int size = en->net->config.pixels;
    Group g = {.height = size, .width = size};
    for (int i = 0; i < n; i++) {
        job[i].encoded = NULL;
        job[i].times = (EncodeTimes){0};
        job[i].error = (Error){0};
        if (job[i].pixels)
            encode_pixels(en, &job[i]);
        else if (!in_group(&g, &job[i]) && !recall(en, &job[i]))
            g.job[g.n++] = &job[i];
        if (g.n == TOGETHER || i == n - 1) {
            encode_group(en, &g);
            g.n = 0;
        }
    }
    for (int i = 0; i < n; i++) /* the same picture again within one group */
        if (!job[i].encoded && !job[i].error.code && !recall(en, &job[i]))
            encode_group(en, &(Group){.job = {&job[i]}, 1, size, size});
}
