/* tests/unit/fenced.c: see fenced.h. */
#include "fenced.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "cpu/cpu.h"
#include "cpu/kernels.h"

enum { LINE = 64, STEP = 1 << 20 };
static const size_t RESERVED = (size_t)1 << 32;

/* A piece of the reserved range that is in use; pieces are in the order of their addresses. */
typedef struct Piece {
    struct Piece *next;
    size_t at, size;
    bool placed; /* belongs to the device */
} Piece;

typedef struct Fenced {
    Device base;
    Device *cpu;
    pthread_mutex_t lock;
    char *map;  /* RESERVED bytes of addresses */
    size_t top; /* bytes from the start on that were ever in use: what the fence opens */
    int open;   /* kernels and copies at work */
    size_t used;
    Piece *first;
    long fail_at; /* copies until one fails */
    bool failed, told;
} Fenced;

/* --- the fence ---------------------------------------------------------------------------------- */

static void protect(const Fenced *f, size_t from, size_t to, int how)
{
    if (to > from && mprotect(f->map + from, to - from, how) != 0)
        BUG("fenced device: mprotect");
}

static void enter(Stream *on)
{
    Fenced *f = (Fenced *)on->dev;
    pthread_mutex_lock(&f->lock);
    if (f->open++ == 0)
        protect(f, 0, f->top, PROT_READ | PROT_WRITE);
    pthread_mutex_unlock(&f->lock);
}

static void leave(Stream *on)
{
    Fenced *f = (Fenced *)on->dev;
    pthread_mutex_lock(&f->lock);
    if (--f->open == 0)
        protect(f, 0, f->top, PROT_NONE);
    pthread_mutex_unlock(&f->lock);
}

static bool inside(const Fenced *f, const void *p)
{
    return (const char *)p >= f->map && (const char *)p <= f->map + f->top;
}

static void must(bool ok, const char *kernel, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "fenced device: %s: %s\n", kernel, what);
    abort();
}

/* --- what a kernel is given lies in device memory ------------------------------------------------- */

static void check_memory(Stream *on, const char *kernel, const void *const *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        must(!p[i] || inside((Fenced *)on->dev, p[i]), kernel, "a list or block in host memory");
}

static void check_tensors(Stream *on, const char *kernel, const Tensor *const *t, size_t n)
{
    const Fenced *f = (Fenced *)on->dev;
    for (size_t i = 0; i < n; i++) {
        must(!t[i] || inside(f, t[i]->data), kernel, "a tensor in host memory");
        must(!t[i] || !t[i]->grad || inside(f, t[i]->grad), kernel, "a gradient in host memory");
    }
}

static void check_params(Stream *on, const char *kernel, const Param *const *p, size_t n)
{
    const Fenced *f = (Fenced *)on->dev;
    for (size_t i = 0; i < n; i++) {
        if (!p[i])
            continue;
        must(inside(f, p[i]->data), kernel, "a weight in host memory");
        must(!p[i]->scale || inside(f, p[i]->scale), kernel, "a scale in host memory");
        must(!p[i]->grad || inside(f, p[i]->grad), kernel, "a weight's gradient in host memory");
    }
}

#define LIST(type, ...)   \
    (const type *const[]) \
    {                     \
        __VA_ARGS__       \
    }
#define COUNT(type, ...) (sizeof(LIST(type, __VA_ARGS__)) / sizeof(void *))
#define TENSORS(...) \
    check_tensors(on, __func__, LIST(Tensor, __VA_ARGS__), COUNT(Tensor, __VA_ARGS__))
#define PARAMS(...) check_params(on, __func__, LIST(Param, __VA_ARGS__), COUNT(Param, __VA_ARGS__))
#define MEMORY(...) check_memory(on, __func__, LIST(void, __VA_ARGS__), COUNT(void, __VA_ARGS__))

/* The stream is the CPU's own, whose table is still in it. */
#define RUN(call)                            \
    do {                                     \
        enter(on);                           \
        ((const CpuStream *)on)->table.call; \
        leave(on);                           \
    } while (0)
#define TRY(call)                                      \
    do {                                               \
        enter(on);                                     \
        bool ok = ((const CpuStream *)on)->table.call; \
        leave(on);                                     \
        return ok;                                     \
    } while (0)

/* --- the table ------------------------------------------------------------------------------------ */

static bool upload(Stream *on, void *to, const void *from, size_t bytes)
{
    MEMORY(to);
    must(!inside((Fenced *)on->dev, from), __func__, "the source is device memory");
    TRY(upload(on, to, from, bytes));
}

static bool download(Stream *on, void *to, const void *from, size_t bytes)
{
    const Fenced *f = (Fenced *)on->dev;
    MEMORY(from);
    must(!inside(f, to), __func__, "the target is device memory");
    if (f->failed && !f->told)
        return false;
    TRY(download(on, to, from, bytes));
}

static bool sync(Stream *on, Error *e)
{
    Fenced *f = (Fenced *)on->dev;
    if (f->failed && !f->told) {
        f->told = true;
        return error_set(e, ERR_FAILED, "fenced device: copy failed on purpose");
    }
    TRY(sync(on, e));
}

static void zero(Stream *on, void *p, size_t bytes)
{
    MEMORY(p);
    RUN(zero(on, p, bytes));
}

static bool linear(Stream *on, const LinearArgs *a)
{
    TENSORS(a->x, a->residual, a->y);
    PARAMS(a->w, a->b);
    TRY(linear(on, a));
}

static void layernorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, const Param *beta,
                      float eps)
{
    TENSORS(y, x);
    PARAMS(gamma, beta);
    RUN(layernorm(on, y, x, gamma, beta, eps));
}

static void rmsnorm(Stream *on, Tensor *y, const Tensor *x, const Param *gamma, float eps)
{
    TENSORS(y, x);
    PARAMS(gamma);
    RUN(rmsnorm(on, y, x, gamma, eps));
}

static void l2norm(Stream *on, Tensor *y, const Tensor *x, float least)
{
    TENSORS(y, x);
    RUN(l2norm(on, y, x, least));
}

static void multiply(Stream *on, Tensor *y, const Tensor *a, const Tensor *b)
{
    TENSORS(y, a, b);
    RUN(multiply(on, y, a, b));
}

static void mean_rows(Stream *on, Tensor *y, const Tensor *x, int group)
{
    TENSORS(y, x);
    RUN(mean_rows(on, y, x, group));
}

static bool attention(Stream *on, const AttentionArgs *a)
{
    TENSORS(a->q, a->k, a->v, a->out, a->bias);
    MEMORY(a->span);
    TRY(attention(on, a));
}

static bool attention_slots(Stream *on, const SlotAttentionArgs *a)
{
    TENSORS(a->q, a->out, a->bias);
    MEMORY(a->k.data, a->v.data, a->slots, a->first, a->n);
    TRY(attention_slots(on, a));
}

static void embed(Stream *on, Tensor *y, const Param *table, const int *ids)
{
    TENSORS(y);
    PARAMS(table);
    MEMORY(ids);
    RUN(embed(on, y, table, ids));
}

static void activate(Stream *on, Tensor *y, const Tensor *x, Act act)
{
    TENSORS(y, x);
    RUN(activate(on, y, x, act));
}

static void add(Stream *on, Tensor *y, const Tensor *a, const Tensor *b)
{
    TENSORS(y, a, b);
    RUN(add(on, y, a, b));
}

static void copy(Stream *on, Tensor *y, const Tensor *x)
{
    Fenced *f = (Fenced *)on->dev;
    TENSORS(y, x);
    RUN(copy(on, y, x));
    if (f->fail_at > 0 && --f->fail_at == 0) {
        enter(on);
        for (int i = 0; i < y->rows; i++)
            memset((float *)y->data + (size_t)i * (size_t)y->ld, 0xff,
                   sizeof(float) * (size_t)y->cols);
        leave(on);
        f->failed = true;
    }
}

static void gather_rows(Stream *on, Tensor *y, const Tensor *a, const Tensor *b, const int *from)
{
    TENSORS(y, a, b);
    MEMORY(from);
    RUN(gather_rows(on, y, a, b, from));
}

static void unfold(Stream *on, Tensor *y, const Tensor *px, int height, int width, int patch)
{
    TENSORS(y, px);
    RUN(unfold(on, y, px, height, width, patch));
}

static void resize_grid(Stream *on, Tensor *y, const Tensor *x, int grid, int gh, int gw,
                        bool corners)
{
    TENSORS(y, x);
    RUN(resize_grid(on, y, x, grid, gh, gw, corners));
}

static void store_slots(Stream *on, SlotBlock dst, const Tensor *x, const int *slots)
{
    TENSORS(x);
    MEMORY(dst.data, slots);
    RUN(store_slots(on, dst, x, slots));
}

static void log_softmax(Stream *on, Tensor *y, const Tensor *x)
{
    TENSORS(y, x);
    RUN(log_softmax(on, y, x));
}

static bool top_k(Stream *on, const TopKArgs *a)
{
    TENSORS(a->logits, a->logprobs);
    MEMORY(a->row, a->ids, a->out, a->found);
    TRY(top_k(on, a));
}

static void softmax_loss(Stream *on, Tensor *loss, Tensor *probs, const Tensor *logits,
                         const int *targets)
{
    TENSORS(loss, probs, logits);
    MEMORY(targets);
    RUN(softmax_loss(on, loss, probs, logits, targets));
}

static bool linear_back(Stream *on, const LinearArgs *a)
{
    TENSORS(a->x, a->y);
    PARAMS(a->w, a->b);
    TRY(linear_back(on, a));
}

static void layernorm_back(Stream *on, const Tensor *y, const Tensor *x, const Param *gamma,
                           const Param *beta, float eps)
{
    TENSORS(y, x);
    PARAMS(gamma, beta);
    RUN(layernorm_back(on, y, x, gamma, beta, eps));
}

static bool attention_back(Stream *on, const AttentionArgs *a)
{
    TENSORS(a->q, a->k, a->v, a->out, a->bias);
    MEMORY(a->span);
    TRY(attention_back(on, a));
}

static void embed_back(Stream *on, const Tensor *y, const Param *table, const int *ids)
{
    TENSORS(y);
    PARAMS(table);
    MEMORY(ids);
    RUN(embed_back(on, y, table, ids));
}

static void activate_back(Stream *on, const Tensor *y, const Tensor *x, Act act)
{
    TENSORS(y, x);
    RUN(activate_back(on, y, x, act));
}

static void gather_rows_back(Stream *on, const Tensor *y, const Tensor *a, const Tensor *b,
                             const int *from)
{
    TENSORS(y, a, b);
    MEMORY(from);
    RUN(gather_rows_back(on, y, a, b, from));
}

static void rmsnorm_back(Stream *on, const Tensor *y, const Tensor *x, const Param *gamma,
                         float eps)
{
    TENSORS(y, x);
    PARAMS(gamma);
    RUN(rmsnorm_back(on, y, x, gamma, eps));
}

static void l2norm_back(Stream *on, const Tensor *y, const Tensor *x, float least)
{
    TENSORS(y, x);
    RUN(l2norm_back(on, y, x, least));
}

static void multiply_back(Stream *on, const Tensor *y, const Tensor *a, const Tensor *b)
{
    TENSORS(y, a, b);
    RUN(multiply_back(on, y, a, b));
}

static void mean_rows_back(Stream *on, const Tensor *y, const Tensor *x, int group)
{
    TENSORS(y, x);
    RUN(mean_rows_back(on, y, x, group));
}

static void resize_grid_back(Stream *on, const Tensor *y, const Tensor *x, int grid, int gh, int gw,
                             bool corners)
{
    TENSORS(y, x);
    RUN(resize_grid_back(on, y, x, grid, gh, gw, corners));
}

static void accumulate(Stream *on, float *to, int ldto, const float *from, int ldfrom, int rows,
                       int cols, float factor)
{
    MEMORY(to, from);
    RUN(accumulate(on, to, ldto, from, ldfrom, rows, cols, factor));
}

static void softmax_loss_back(Stream *on, const Tensor *loss, const Tensor *logits,
                              const Tensor *probs, const int *targets)
{
    TENSORS(loss, logits, probs);
    MEMORY(targets);
    RUN(softmax_loss_back(on, loss, logits, probs, targets));
}

static const Backend TABLE = {
    .upload = upload,
    .download = download,
    .sync = sync,
    .zero = zero,
    .linear = linear,
    .layernorm = layernorm,
    .rmsnorm = rmsnorm,
    .l2norm = l2norm,
    .multiply = multiply,
    .mean_rows = mean_rows,
    .attention = attention,
    .attention_slots = attention_slots,
    .embed = embed,
    .activate = activate,
    .add = add,
    .copy = copy,
    .gather_rows = gather_rows,
    .unfold = unfold,
    .resize_grid = resize_grid,
    .store_slots = store_slots,
    .log_softmax = log_softmax,
    .top_k = top_k,
    .softmax_loss = softmax_loss,
    .linear_back = linear_back,
    .layernorm_back = layernorm_back,
    .rmsnorm_back = rmsnorm_back,
    .l2norm_back = l2norm_back,
    .multiply_back = multiply_back,
    .mean_rows_back = mean_rows_back,
    .attention_back = attention_back,
    .embed_back = embed_back,
    .activate_back = activate_back,
    .gather_rows_back = gather_rows_back,
    .resize_grid_back = resize_grid_back,
    .accumulate = accumulate,
    .softmax_loss_back = softmax_loss_back,
};

/* --- memory --------------------------------------------------------------------------------------- */

/* The first gap of that size, as the place where its Piece would stand; NULL: none. */
static Piece **find_gap(Fenced *f, size_t size, size_t *at)
{
    Piece **p = &f->first;
    for (*at = 0; *p; p = &(*p)->next) {
        if ((*p)->at - *at >= size)
            return p;
        *at = (*p)->at + (*p)->size;
    }
    return RESERVED - *at >= size ? p : NULL;
}

/* Fills fresh memory so that nobody takes it for zeroed. */
static void fill(Fenced *f, const Piece *p)
{
    size_t end = p->at + p->size, top = (end + STEP - 1) / STEP * STEP;
    f->top = top > f->top ? top : f->top;
    protect(f, 0, f->top, PROT_READ | PROT_WRITE);
    memset(f->map + p->at, 0xff, p->size);
    if (!f->open)
        protect(f, 0, f->top, PROT_NONE);
}

static void *take(Fenced *f, size_t bytes, bool placed)
{
    size_t size = (bytes / LINE + 1) * LINE, at;
    Piece *p =
        bytes < RESERVED ? mem_alloc(sizeof *p) : NULL; /* counted, and may be made to fail */
    if (!p)
        return NULL;
    pthread_mutex_lock(&f->lock);
    Piece **gap = find_gap(f, size, &at);
    if (gap) {
        *p = (Piece){*gap, at, size, placed};
        *gap = p;
        f->used += size;
        fill(f, p);
    }
    pthread_mutex_unlock(&f->lock);
    if (!gap)
        mem_free(p);
    return gap ? f->map + at : NULL;
}

static void *fenced_alloc(Device *dev, size_t bytes)
{
    return take((Fenced *)dev, bytes, false);
}

static void fenced_free(Device *dev, void *data)
{
    Fenced *f = (Fenced *)dev;
    if (!data)
        return;
    pthread_mutex_lock(&f->lock);
    Piece **p = &f->first;
    while (*p && f->map + (*p)->at != data)
        p = &(*p)->next;
    Piece *gone = *p;
    must(gone && !gone->placed, "free", "no memory of this device");
    *p = gone->next;
    f->used -= gone->size;
    pthread_mutex_unlock(&f->lock);
    mem_free(gone);
}

static const void *fenced_place(Device *dev, const void *host, size_t bytes)
{
    Fenced *f = (Fenced *)dev;
    char *to = take(f, bytes, true);
    if (!to)
        return NULL;
    pthread_mutex_lock(&f->lock);
    protect(f, 0, f->top, PROT_READ | PROT_WRITE);
    memcpy(to, host, bytes);
    if (!f->open)
        protect(f, 0, f->top, PROT_NONE);
    pthread_mutex_unlock(&f->lock);
    return to;
}

static size_t fenced_available(Device *dev)
{
    return RESERVED - ((Fenced *)dev)->used;
}

static Stream *fenced_stream(Device *dev, const StreamOptions *o, Error *e)
{
    Fenced *f = (Fenced *)dev;
    Stream *on = f->cpu->stream(f->cpu, o, e);
    if (on) {
        on->k = &TABLE;
        on->dev = dev;
    }
    return on;
}

static void fenced_close(Device *dev)
{
    Fenced *f = (Fenced *)dev;
    for (Piece *p = f->first, *next; p; p = next) {
        next = p->next;
        must(p->placed, "close", "memory was not given back");
        mem_free(p);
    }
    munmap(f->map, RESERVED);
    pthread_mutex_destroy(&f->lock);
    f->cpu->close(f->cpu);
    mem_free(f);
}

Device *fenced_device(Error *e)
{
    Fenced *f = mem_calloc(1, sizeof *f);
    Device *cpu = cpu_device(e);
    int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *map = mmap(NULL, RESERVED, PROT_NONE, how, -1, 0);
    if (!f || !cpu || map == MAP_FAILED) {
        if (map != MAP_FAILED)
            munmap(map, RESERVED);
        if (cpu)
            cpu->close(cpu);
        mem_free(f);
        error_memory(e, "fenced device", RESERVED);
        return NULL;
    }
    f->base = (Device){.name = "fenced",
                       .alloc = fenced_alloc,
                       .free = fenced_free,
                       .place = fenced_place,
                       .available = fenced_available,
                       .stream = fenced_stream,
                       .close = fenced_close};
    f->cpu = cpu;
    f->map = map;
    pthread_mutex_init(&f->lock, NULL);
    return &f->base;
}

/* --- work that fails ------------------------------------------------------------------------------ */

void fenced_fail_copy(Device *dev, long n)
{
    Fenced *f = (Fenced *)dev;
    f->fail_at = n;
    f->failed = f->told = false;
}

bool fenced_copy_failed(const Device *dev)
{
    return ((const Fenced *)dev)->failed;
}

bool fenced_copy_told(const Device *dev)
{
    return ((const Fenced *)dev)->told;
}
