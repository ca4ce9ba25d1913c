/* tensor/profile.c: a table of kernels that counts. */
#include "tensor/profile.h"

#include "base/mem.h"
#include "base/sys.h"

/* A kernel has been called, at `start`. */
static void count(Stream *on, ProfileKind kind, double start)
{
    Profile *p = on->profile;
    Error e = {0};
    if (!p->real->sync(on, &e) && !p->failed.code)
        p->failed = e;
    p->kind[kind].calls++;
    p->kind[kind].ms += now_ms() - start;
}

#define COUNTED(kind, name, parameters, arguments) \
    static void counted_##name parameters          \
    {                                              \
        double start = now_ms();                   \
        on->profile->real->name arguments;         \
        count(on, kind, start);                    \
    }

#define COUNTED_OK(kind, name, parameters, arguments) \
    static bool counted_##name parameters             \
    {                                                 \
        double start = now_ms();                      \
        bool ok = on->profile->real->name arguments;  \
        count(on, kind, start);                       \
        return ok;                                    \
    }

#define ROWS(name, parameters, arguments) COUNTED(KIND_ROWS, name, parameters, arguments)

ROWS(layernorm,
     (Stream * on, Tensor *y, const Tensor *x, const Param *gamma, const Param *beta, float eps),
     (on, y, x, gamma, beta, eps))
ROWS(rmsnorm, (Stream * on, Tensor *y, const Tensor *x, const Param *gamma, float eps),
     (on, y, x, gamma, eps))
ROWS(l2norm, (Stream * on, Tensor *y, const Tensor *x, float least), (on, y, x, least))
ROWS(embed, (Stream * on, Tensor *y, const Param *table, const int *ids), (on, y, table, ids))
ROWS(activate, (Stream * on, Tensor *y, const Tensor *x, Act act), (on, y, x, act))
ROWS(add, (Stream * on, Tensor *y, const Tensor *a, const Tensor *b), (on, y, a, b))
ROWS(multiply, (Stream * on, Tensor *y, const Tensor *a, const Tensor *b), (on, y, a, b))
ROWS(mean_rows, (Stream * on, Tensor *y, const Tensor *x, int group), (on, y, x, group))
ROWS(copy, (Stream * on, Tensor *y, const Tensor *x), (on, y, x))
ROWS(gather_rows, (Stream * on, Tensor *y, const Tensor *a, const Tensor *b, const int *from),
     (on, y, a, b, from))
ROWS(unfold, (Stream * on, Tensor *y, const Tensor *px, int height, int width, int patch),
     (on, y, px, height, width, patch))
ROWS(resize_grid, (Stream * on, Tensor *y, const Tensor *x, int grid, int gh, int gw, bool corners),
     (on, y, x, grid, gh, gw, corners))
ROWS(store_slots, (Stream * on, SlotBlock to, const Tensor *x, const int *slots),
     (on, to, x, slots))

COUNTED_OK(KIND_ATTENTION, attention, (Stream * on, const AttentionArgs *a), (on, a))
COUNTED_OK(KIND_ATTENTION, attention_slots, (Stream * on, const SlotAttentionArgs *a), (on, a))
COUNTED(KIND_SELECT, log_softmax, (Stream * on, Tensor *y, const Tensor *x), (on, y, x))
COUNTED_OK(KIND_SELECT, top_k, (Stream * on, const TopKArgs *a), (on, a))
COUNTED(KIND_COPIES, zero, (Stream * on, void *p, size_t bytes), (on, p, bytes))
COUNTED_OK(KIND_COPIES, upload, (Stream * on, void *to, const void *from, size_t bytes),
           (on, to, from, bytes))

static bool counted_linear(Stream *on, const LinearArgs *a)
{
    ProfileKind kind = a->role == ROLE_DECODE ? KIND_LINEAR_DECODE : KIND_LINEAR_ENCODE;
    ProfileCount *k = &on->profile->kind[kind];
    double start = now_ms();
    bool ok = on->profile->real->linear(on, a);
    count(on, kind, start);
    k->ops += 2.0 * a->x->rows * a->w->rows * a->w->cols;
    k->bytes += (double)param_bytes(a->w);
    return ok;
}

/* What failed while a kernel was waited for has been told to the profile alone. */
static bool counted_sync(Stream *on, Error *e)
{
    Profile *p = on->profile;
    if (!p->failed.code)
        return p->real->sync(on, e);
    *e = p->failed;
    p->failed = (Error){0};
    return false;
}

static bool counted_download(Stream *on, void *to, const void *from, size_t bytes)
{
    Profile *p = on->profile;
    double start = now_ms();
    bool ok = !p->failed.code && p->real->download(on, to, from, bytes);
    count(on, KIND_COPIES, start);
    return ok;
}

/* Everything but the loss and the backward functions. */
static void stand_in_front(Backend *t)
{
    t->upload = counted_upload;
    t->download = counted_download;
    t->sync = counted_sync;
    t->zero = counted_zero;
    t->linear = counted_linear;
    t->layernorm = counted_layernorm;
    t->rmsnorm = counted_rmsnorm;
    t->l2norm = counted_l2norm;
    t->attention = counted_attention;
    t->attention_slots = counted_attention_slots;
    t->embed = counted_embed;
    t->activate = counted_activate;
    t->add = counted_add;
    t->multiply = counted_multiply;
    t->mean_rows = counted_mean_rows;
    t->copy = counted_copy;
    t->gather_rows = counted_gather_rows;
    t->unfold = counted_unfold;
    t->resize_grid = counted_resize_grid;
    t->store_slots = counted_store_slots;
    t->log_softmax = counted_log_softmax;
    t->top_k = counted_top_k;
}

bool profile_start(Stream *on, Error *e)
{
    if (on->profile)
        return true;
    Profile *p = mem_calloc(1, sizeof *p);
    if (!p)
        return error_memory(e, "profile", sizeof *p);
    p->real = on->k;
    p->table = *on->k;
    p->since = now_ms();
    stand_in_front(&p->table);
    on->profile = p;
    on->k = &p->table;
    return true;
}

void profile_stop(Stream *on)
{
    if (!on->profile)
        return;
    on->k = on->profile->real;
    mem_free(on->profile);
    on->profile = NULL;
}

/* --- stages --------------------------------------------------------------------------------------- */

static ProfileStage change(Profile *p, ProfileStage to)
{
    ProfileStage before = p->now;
    double now = now_ms();
    p->stage[before].ms += now - p->since;
    p->since = now;
    p->now = to;
    return before;
}

ProfileStage profile_enter(Stream *on, ProfileStage stage)
{
    if (!on->profile)
        return STAGE_NONE;
    on->profile->stage[stage].calls++;
    return change(on->profile, stage);
}

void profile_leave(Stream *on, ProfileStage before)
{
    if (on->profile)
        change(on->profile, before);
}
