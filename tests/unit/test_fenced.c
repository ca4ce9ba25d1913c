/* Nothing above the kernels touches device memory: the networks, forward and backward, on a device
 * whose memory the host cannot read, with the bits of the CPU. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "cpu/cpu.h"
#include "cpu/kernels.h"
#include "fenced.h"
#include "models/blip2.h"
#include "nn/kvcache.h"

#define GOLDEN SOURCE_DIR "/tests/golden/opt"

/* --- a model whose parameters lie on a device ----------------------------------------------------- */

typedef struct Side {
    Device *dev;
    Stream *on;
    Blip2 *m;
    Ctx c;
    float *out; /* what the pass computed, all results one after another */
    size_t n;
} Side;

enum { OUT_MAX = 1 << 20, PARAMS_MAX = 512 };

typedef struct Walk {
    Visitor base;
    Param *all[PARAMS_MAX];
    size_t n;
} Walk;

static size_t count_of(const Param *p)
{
    return (size_t)p->rows * (size_t)p->cols;
}

static bool list(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Walk *w = (Walk *)v;
    (void)name;
    (void)spec;
    assert_true(w->n < PARAMS_MAX);
    w->all[w->n++] = p;
    return true;
}

static Side open_side(Device *dev)
{
    Error e = {0};
    Side s = {.dev = dev, .out = malloc(OUT_MAX * sizeof(float))};
    s.on = dev ? dev->stream(dev, &(StreamOptions){.threads = 2}, &e) : NULL;
    s.m = s.on ? model_open(dev, GOLDEN, PRESET_NONE, &e) : NULL;
    if (!s.m)
        fail_msg("%s", e.message);
    ctx_init(&s.c, s.on);
    return s;
}

static void close_side(Side *s)
{
    ctx_free(&s->c);
    model_close(s->m);
    s->on->close(s->on);
    s->dev->close(s->dev);
    free(s->out);
}

static void note(Side *s, const Tensor *t)
{
    if (!t)
        fail_msg("%s", s->c.err.message);
    assert_true(s->n + (size_t)t->rows * (size_t)t->cols <= OUT_MAX);
    assert_true(tensor_download(&s->c, s->out + s->n, t));
    s->n += (size_t)t->rows * (size_t)t->cols;
}

/* Runs `pass` on both devices and compares what it noted. */
static void same_on_both(void (*pass)(Side *s))
{
    Side plain = open_side(cpu_device(NULL)), fenced = open_side(fenced_device(NULL));
    pass(&plain);
    pass(&fenced);
    assert_true(plain.n > 0);
    assert_int_equal(plain.n, fenced.n);
    assert_memory_equal(plain.out, fenced.out, plain.n * sizeof(float));
    close_side(&plain);
    close_side(&fenced);
    assert_int_equal(mem_in_use(), 0);
}

static Tensor *pictures(Side *s, int n, int h, int w)
{
    static float px[2 * 3 * 128 * 128];
    assert_true(n * h * w <= 2 * 128 * 128);
    for (int i = 0; i < n * 3 * h * w; i++)
        px[i] = (float)rng_normal(7, (uint64_t)i);
    return tensor_upload(&s->c, px, n, 3 * h * w);
}

/* --- the networks ---------------------------------------------------------------------------------- */

static void tap_note(void *user, const char *name, const Tensor *t)
{
    (void)name;
    note(user, t);
}

static Tensor *embeds(Side *s, Tensor *px, int n, int h, int w)
{
    Tensor *image = vit_forward(&s->c, &s->m->vit, px, h, w);
    return model_project(&s->c, s->m, qformer_forward(&s->c, &s->m->qformer, image, n));
}

/* Every activation of two pictures; then another size, whose positions are resized. */
static void encode(Side *s)
{
    int size = s->m->config.pixels, p = s->m->vit.config.patch;
    s->c.tap = tap_note;
    s->c.tap_user = s;
    ctx_begin(&s->c, ROLE_ENCODE);
    note(s, embeds(s, pictures(s, 2, size, size), 2, size, size));
    ctx_begin(&s->c, ROLE_ENCODE);
    note(s, vit_forward(&s->c, &s->m->vit, pictures(s, 2, size + p, size - p), size + p, size - p));
}

static void test_encode(void **state)
{
    (void)state;
    same_on_both(encode);
}

/* Two prompts of soft tokens through the cache, which grows in between; then a step of three rows. */
static void decode(Side *s)
{
    enum { Q = 6 };
    static const int IDS[3] = {5, 6, 7}, AT[2 * Q] = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5};
    const Blip2 *m = s->m;
    KvCache cache;
    KvSeq seq[3] = {{0}};
    const KvSeq *const all[3] = {&seq[0], &seq[1], &seq[2]};
    Error e = {0};
    int n, size = m->config.pixels;
    kv_init(&cache, s->on, m->config.opt.layers, m->config.opt.width);
    ctx_begin(&s->c, ROLE_ENCODE);
    Tensor *x = embeds(s, pictures(s, 2, size, size), 2, size, size);
    assert_true(kv_reserve(&cache, 2 * Q, &e) && kv_append(&cache, &seq[0], Q, &e) &&
                kv_append(&cache, &seq[1], Q, &e));
    const CacheRows *rows = kv_rows(&s->c, &cache, all, 2, (int[]){Q, Q}, KV_CAUSAL, &n);
    x = opt_forward(&s->c, &m->opt, x, AT, rows, 1);
    note(s, opt_logits(&s->c, &m->opt, gather_rows(&s->c, x, NULL, (int[]){Q - 1, 2 * Q - 1}, 2)));
    assert_true(kv_fork(&cache, &seq[0], &seq[2], &e) && kv_reserve(&cache, 2 * Q + 3, &e));
    for (int i = 0; i < 3; i++)
        assert_true(kv_append(&cache, &seq[i], 1, &e));
    ctx_begin(&s->c, ROLE_DECODE);
    rows = kv_rows(&s->c, &cache, all, 3, NULL, KV_CAUSAL, &n);
    x = opt_forward(&s->c, &m->opt, embed(&s->c, &m->opt.tokens, IDS, 3), (int[]){Q, Q, Q}, rows,
                    1);
    note(s, opt_logits(&s->c, &m->opt, x));
    for (int i = 0; i < 3; i++) {
        kv_drop(&cache, &seq[i]);
        kv_seq_free(&seq[i]);
    }
    kv_free(&cache);
}

static void test_decode(void **state)
{
    (void)state;
    same_on_both(decode);
}

/* --- a training step ------------------------------------------------------------------------------- */

static void give_grads(Side *s, Walk *w)
{
    for (size_t i = 0; i < w->n; i++) {
        size_t bytes = count_of(w->all[i]) * sizeof(float);
        w->all[i]->grad = s->dev->alloc(s->dev, bytes);
        assert_non_null(w->all[i]->grad);
        s->on->k->zero(s->on, w->all[i]->grad, bytes);
    }
    for (int i = 0; i < s->m->config.vit.layers; i++)
        s->m->vit.block[i].base.trainable = true;
    for (int i = 0; i < s->m->config.qformer.layers; i++)
        s->m->qformer.layer[i].base.trainable = true;
    for (int i = 0; i < s->m->config.opt.layers; i++)
        s->m->opt.layer[i].base.trainable = true;
}

static void train_with(Side *s, bool recompute)
{
    static const int AT[6] = {0, 1, 2, 3, 4, 5}, WANT[6] = {9, 8, -1, 7, 6, 5};
    Walk w = {.base.param = list};
    const Blip2 *m = s->m;
    int p = m->vit.config.patch, size = m->config.pixels;
    model_visit(&w.base, s->m);
    give_grads(s, &w);
    ctx_begin(&s->c, ROLE_ENCODE);
    s->c.record = true;
    s->c.recompute = recompute;
    Tensor *px = pictures(s, 1, size + p, size); /* positions resized */
    Tensor *x = embeds(s, px, 1, size + p, size);
    x = opt_logits(&s->c, &m->opt, opt_forward(&s->c, &m->opt, x, AT, NULL, 1));
    Tensor *loss = softmax_loss(&s->c, x, WANT);
    note(s, loss);
    if (!backward(&s->c, loss))
        fail_msg("%s", s->c.err.message);
    for (size_t i = 0; i < w.n; i++) {
        note(s, tensor_at(&s->c, w.all[i]->grad, w.all[i]->rows, w.all[i]->cols));
        s->dev->free(s->dev, w.all[i]->grad);
        w.all[i]->grad = NULL;
    }
}

static void train(Side *s)
{
    train_with(s, false);
    size_t half = s->n;
    train_with(s, true);
    assert_int_equal(s->n, 2 * half);
    assert_memory_equal(s->out, s->out + half,
                        half * sizeof(float)); /* recomputed: the same bits */
}

static void test_train(void **state)
{
    (void)state;
    same_on_both(train);
}

/* --- ops that OPT has no use for -------------------------------------------------------------------- */

static Param param_of(Side *s, int rows, int cols, uint64_t seed)
{
    static float v[256];
    size_t n = (size_t)rows * (size_t)cols;
    assert_true(n <= sizeof v / sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)rng_normal(seed, i);
    Param p = {.name = "p", .dtype = F32, .rows = rows, .cols = cols};
    float *copy = s->dev->alloc(s->dev, n * sizeof *v);
    p.grad = s->dev->alloc(s->dev, n * sizeof *v);
    assert_true(copy && p.grad && s->on->k->upload(s->on, copy, v, n * sizeof *v));
    s->on->k->zero(s->on, p.grad, n * sizeof *v);
    p.data = copy;
    return p;
}

static void drop_param(Side *s, Param *p)
{
    note(s, tensor_at(&s->c, p->grad, p->rows, p->cols));
    s->dev->free(s->dev, (void *)(uintptr_t)p->data);
    s->dev->free(s->dev, p->grad);
}

/* Spans, a bias, norms of T5 and of features, means of rows: recorded, and backwards. */
static void train_others(Side *s)
{
    static const AttnSpan SPANS[] = {{0, 2, 0, 5}, {2, 4, 1, 3}};
    static const int IDS[6] = {5, 1, 7, 0, 2, 2}, NEAR[9] = {3, 3, 2, 1, 0, 1, 2, 3, 3};
    static const int WANT[3] = {4, 0, 5};
    Ctx *c = &s->c;
    ctx_begin(c, ROLE_ENCODE);
    Param table = param_of(s, 8, 12, 1), near = param_of(s, 4, 3, 2);
    Rms rms = {param_of(s, 1, 12, 3), 1e-6f};
    c->record = true;
    Spans spans = spans_upload(c, SPANS, 2);
    Tensor *x = embed(c, &table, IDS, 6), *bias = embed(c, &near, NEAR, 9);
    Tensor *h = rmsnorm(c, x, &rms);
    h = multiply(
        c, scale(c, h, 0.5f),
        attention(c, h, h, x, (Attn){.heads = 3, .spans = &spans, .bias = bias, .scale = 1}));
    note(s, h);
    Tensor *loss = softmax_loss(c, mean_rows(c, l2norm(c, h), 2), WANT);
    note(s, loss);
    if (!backward(c, loss))
        fail_msg("%s", c->err.message);
    c->record = false;
    drop_param(s, &table);
    drop_param(s, &near);
    drop_param(s, &rms.w);
}

static void test_train_others(void **state)
{
    (void)state;
    same_on_both(train_others);
}

/* Keys and values that an earlier pass has stored, read with a bias. */
static void read_only(Side *s)
{
    enum { N = 5, HEADS = 2, WIDTH = 8 };
    KvCache cache;
    KvSeq seq = {0};
    const KvSeq *const all[2] = {&seq, &seq};
    Error e = {0};
    int n;
    kv_init(&cache, s->on, 1, WIDTH);
    assert_true(kv_reserve(&cache, N, &e) && kv_append(&cache, &seq, N, &e));
    ctx_begin(&s->c, ROLE_ENCODE);
    Tensor *x = pictures(s, 1, 4, 10); /* as good as any numbers: [1, 120] */
    Tensor *rows5 = tensor_at(&s->c, x->data, N, WIDTH);
    assert_true(slots_store(&s->c, cache.k[0], rows5, seq.slots) &&
                slots_store(&s->c, cache.v[0], rows5, seq.slots));
    const CacheRows *rows = kv_rows(&s->c, &cache, all, 2, NULL, KV_READ, &n);
    Tensor *q = tensor_at(&s->c, (float *)x->data + N * WIDTH, 2, WIDTH);
    Tensor *bias = tensor_at(&s->c, (float *)x->data + (N + 2) * WIDTH, N, HEADS);
    Tensor *y = attention(&s->c, q, NULL, NULL,
                          (Attn){.heads = HEADS, .cache = rows, .bias = bias, .scale = 1});
    note(s, y);
    kv_drop(&cache, &seq);
    kv_seq_free(&seq);
    kv_free(&cache);
}

static void test_read_only(void **state)
{
    (void)state;
    same_on_both(read_only);
}

/* --- the fence holds --------------------------------------------------------------------------------- */

/* The signal that ends `act` in a child. */
static int dies_of(void (*act)(Side *s))
{
    Side s = open_side(fenced_device(NULL));
    pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        signal(SIGSEGV, SIG_DFL); /* sanitizers would exit instead */
        signal(SIGABRT, SIG_DFL);
        act(&s);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    close_side(&s);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void host_reads(Side *s)
{
    Tensor *t = tensor_upload(&s->c, (float[]){1, 2, 3, 4}, 2, 2);
    volatile float x = *(const float *)t->data;
    (void)x;
}

static void host_writes(Side *s)
{
    Tensor *t = tensor_new(&s->c, 2, 2);
    *(volatile float *)t->data = 1;
}

static void host_reads_weight(Side *s)
{
    volatile char x = *(const char *)s->m->opt.ln.w.data;
    (void)x;
}

static void host_list(Side *s)
{
    Tensor *t = tensor_upload(&s->c, (float[]){1, 2, 3, 4}, 2, 2), *y = tensor_new(&s->c, 1, 2);
    s->on->k->gather_rows(s->on, y, t, NULL, (int[]){1});
}

static void host_weight(Side *s)
{
    float w[4] = {0}, x[2] = {0};
    Linear l = {.w = {.name = "w", .dtype = F32, .rows = 2, .cols = 2, .data = w}};
    linear(&s->c, tensor_upload(&s->c, x, 1, 2), &l);
}

static void nothing_wrong(Side *s)
{
    float y[4];
    tensor_download(&s->c, y, tensor_upload(&s->c, (float[]){1, 2, 3, 4}, 2, 2));
}

static void test_fence(void **state)
{
    (void)state;
    assert_int_equal(dies_of(nothing_wrong), 0);
    assert_int_equal(dies_of(host_reads), SIGSEGV);
    assert_int_equal(dies_of(host_writes), SIGSEGV);
    assert_int_equal(dies_of(host_reads_weight), SIGSEGV);
    assert_int_equal(dies_of(host_list), SIGABRT);
    assert_int_equal(dies_of(host_weight), SIGABRT);
}

/* What the CPU has, the fenced device has: an entry without a gate would be a hole. */
static void test_complete(void **state)
{
    (void)state;
    typedef void (*Entry)(void);
    enum { N = (sizeof(Backend) - offsetof(Backend, upload)) / sizeof(Entry) };
    Entry plain[N], fenced[N];
    Device *dev = fenced_device(NULL);
    Stream *on = dev->stream(dev, &(StreamOptions){.threads = 1}, NULL);
    memcpy(plain, &((CpuStream *)on)->table.upload, sizeof plain);
    memcpy(fenced, &on->k->upload, sizeof fenced);
    for (int i = 0; i < N; i++) {
        if (!plain[i])
            continue;
        assert_non_null(fenced[i]);
        assert_true(plain[i] != fenced[i]);
    }
    on->close(on);
    dev->close(dev);
}

/* --- weights ---------------------------------------------------------------------------------------- */

typedef struct Sum {
    Visitor base;
    size_t bytes; /* of quantised matrices, which lie in no file */
} Sum;

static bool add_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    (void)name;
    (void)spec;
    if (p->dtype == I8)
        ((Sum *)v)->bytes += count_of(p);
    return true;
}

/* What a quantised model holds of the host's memory, and how much of it are matrices at least. */
static size_t quantised_holds(Device *dev, size_t *matrices)
{
    Error e = {0};
    Sum sum = {.base.param = add_param};
    size_t before = mem_in_use();
    Blip2 *m = model_open(dev, GOLDEN, PRESET_INT8, &e);
    if (!m)
        fail_msg("%s", e.message);
    size_t holds = mem_in_use() - before;
    model_visit(&sum.base, m);
    *matrices = sum.bytes;
    model_close(m);
    dev->close(dev);
    return holds;
}

/* What the device has copied is not kept beside it. */
static void test_not_twice(void **state)
{
    (void)state;
    enum { PIECES = 200 * 2 * 128 }; /* the fenced device's lists, of values and scales */
    size_t bytes, plain = quantised_holds(cpu_device(NULL), &bytes);
    size_t fenced = quantised_holds(fenced_device(NULL), &bytes);
    assert_true(bytes > 2 * PIECES);
    assert_true(plain >= bytes && fenced + bytes <= plain + PIECES);
    assert_int_equal(mem_in_use(), 0);
}

/* Memory: 64-byte aligned, not zeroed, used again, and the device knows how much there is. */
static void test_memory(void **state)
{
    (void)state;
    Device *dev = fenced_device(NULL);
    Stream *on = dev->stream(dev, &(StreamOptions){.threads = 1}, NULL);
    size_t all = dev->available(dev);
    unsigned char got[100];
    char *a = dev->alloc(dev, 100), *b = dev->alloc(dev, 3000000), *c = dev->alloc(dev, 1);
    assert_true(a && b && c && a != b && b != c);
    assert_int_equal(((uintptr_t)a | (uintptr_t)b | (uintptr_t)c) % 64, 0);
    assert_true(dev->available(dev) < all - 3000000);
    assert_true(on->k->download(on, got, b + 2999900, sizeof got));
    for (int i = 0; i < 100; i++)
        assert_int_equal(got[i], 0xff);
    dev->free(dev, b);
    assert_ptr_equal(dev->alloc(dev, 2000000), b);
    assert_null(dev->alloc(dev, SIZE_MAX / 2));
    mem_fail_at(1);
    assert_null(dev->alloc(dev, 10));
    mem_fail_at(0);
    dev->free(dev, a);
    dev->free(dev, b);
    dev->free(dev, c);
    assert_int_equal(dev->available(dev), all);
    on->close(on);
    dev->close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),  cmocka_unit_test(test_memory),
        cmocka_unit_test(test_fence),     cmocka_unit_test(test_encode),
        cmocka_unit_test(test_decode),    cmocka_unit_test(test_train),
        cmocka_unit_test(test_not_twice), cmocka_unit_test(test_train_others),
        cmocka_unit_test(test_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
