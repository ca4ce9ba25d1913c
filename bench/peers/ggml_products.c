/* bench/peers/ggml_products.c: the speed of ggml's matrix products on its CPU backend; products.py builds and runs it.
 *
 * As llama.cpp does it: weights go to the first of the backend's own layouts that takes the product (q4_0 is repacked on
 * AVX2), else they lie in rows; x and the result are f32. Quantising x is ggml's own work and timed, as in its use. */
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include "products.h"

static ggml_backend_t cpu;

typedef struct Type {
    const char *name, *label;
    enum ggml_type type;
} Type;

static const Type TYPES[] = {{"f32", "f32", GGML_TYPE_F32},
                             {"bf16", "bf16", GGML_TYPE_BF16},
                             {"int8", "q8_0", GGML_TYPE_Q8_0},
                             {"int4", "q4_0", GGML_TYPE_Q4_0}};

static const Type *type_of(const char *format)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(TYPES[i].name, format) == 0)
            return &TYPES[i];
    return NULL;
}

typedef struct Job {
    struct ggml_cgraph **graph;
    size_t copies;
} Job;

static void call(void *job, size_t turn)
{
    Job *j = job;
    if (ggml_backend_graph_compute(cpu, j->graph[turn % j->copies]) != GGML_STATUS_SUCCESS)
        exit(1);
}

static struct ggml_context *context(size_t tensors)
{
    struct ggml_init_params p = {
        .mem_size =
            tensors * (ggml_tensor_overhead() + ggml_graph_overhead_custom(4, false)) + 65536,
        .no_alloc = true};
    return ggml_init(p);
}

/* Would the CPU multiply a weight that lies in a buffer of this kind? (llama.cpp asks in this way.) */
static bool takes(ggml_backend_buffer_type_t kind, Shape s, enum ggml_type type)
{
    struct ggml_context *c = context(3);
    struct ggml_tensor *w = ggml_new_tensor_2d(c, type, s.in, s.out);
    struct ggml_tensor *x = ggml_new_tensor_2d(c, GGML_TYPE_F32, s.in, s.rows);
    struct ggml_tensor *y = ggml_mul_mat(c, w, x);
    w->buffer = ggml_backend_buft_alloc_buffer(kind, 0);
    bool yes = ggml_backend_dev_supports_op(ggml_backend_get_device(cpu), y);
    ggml_backend_buffer_free(w->buffer);
    ggml_free(c);
    return yes;
}

static ggml_backend_buffer_type_t layout(Shape s, enum ggml_type type)
{
    ggml_backend_dev_t dev = ggml_backend_get_device(cpu);
    ggml_backend_dev_get_extra_bufts_t extra =
        (ggml_backend_dev_get_extra_bufts_t)ggml_backend_reg_get_proc_address(
            ggml_backend_dev_backend_reg(dev), "ggml_backend_dev_get_extra_bufts");
    ggml_backend_buffer_type_t *kinds = extra ? extra(dev) : NULL;
    for (; kinds && *kinds; kinds++)
        if (takes(*kinds, s, type))
            return *kinds;
    return ggml_backend_cpu_buffer_type();
}

/* Small numbers, as the file of a model would have them. The caller frees. */
static void *some_weights(Shape s, enum ggml_type type)
{
    const int64_t n = (int64_t)s.in * s.out;
    float *f = malloc((size_t)n * sizeof *f);
    void *q = malloc(ggml_row_size(type, s.in) * (size_t)s.out);
    if (!f || !q)
        exit(1);
    for (int64_t i = 0; i < n; i++)
        f[i] = (float)(i % 201 - 100) * 1e-3f;
    ggml_quantize_chunk(type, f, q, 0, s.out, s.in, NULL);
    free(f);
    return q;
}

static ggml_backend_buffer_t fill(struct ggml_context *c, ggml_backend_buffer_type_t kind, Shape s,
                                  enum ggml_type type)
{
    ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors_from_buft(c, kind);
    void *values = some_weights(s, type);
    if (!buffer)
        exit(1);
    for (struct ggml_tensor *w = ggml_get_first_tensor(c); w; w = ggml_get_next_tensor(c, w))
        ggml_backend_tensor_set(w, values, 0, ggml_nbytes(w));
    free(values);
    return buffer;
}

/* One graph for each copy, all of the same x and with one place for the result. */
static void graphs(Job *j, struct ggml_context *c, struct ggml_context *weights, Shape s)
{
    struct ggml_tensor *x = ggml_new_tensor_2d(c, GGML_TYPE_F32, s.in, s.rows);
    struct ggml_tensor *y = ggml_new_tensor_2d(c, GGML_TYPE_F32, s.out, s.rows);
    struct ggml_tensor *w = ggml_get_first_tensor(weights);
    ggml_backend_alloc_ctx_tensors_from_buft(c, ggml_backend_cpu_buffer_type());
    for (int64_t i = 0; i < (int64_t)s.in * s.rows; i++)
        ((float *)x->data)[i] = (float)(i % 201 - 100) * 0.01f;
    for (size_t i = 0; i < j->copies; i++, w = ggml_get_next_tensor(weights, w)) {
        struct ggml_tensor *product = ggml_mul_mat(c, w, x);
        product->data = y->data;
        product->buffer = y->buffer;
        j->graph[i] = ggml_new_graph_custom(c, 4, false);
        ggml_build_forward_expand(j->graph[i], product);
    }
}

static bool time_shape(Shape s, const char *format, int threads)
{
    const Type *t = type_of(format);
    if (!t)
        return false;
    ggml_backend_cpu_set_n_threads(cpu, threads);
    ggml_backend_buffer_type_t kind = layout(s, t->type);
    const size_t bytes = ggml_row_size(t->type, s.in) * (size_t)s.out;
    Job j = {.copies = copies_of(bytes)};
    j.graph = malloc(j.copies * sizeof *j.graph);
    struct ggml_context *weights = context(j.copies), *c = context(j.copies + 2);
    for (size_t i = 0; i < j.copies; i++)
        ggml_new_tensor_2d(weights, t->type, s.in, s.out);
    ggml_backend_buffer_t buffer = fill(weights, kind, s, t->type);
    graphs(&j, c, weights, s);
    char kernel[64];
    snprintf(kernel, sizeof kernel, "%s, %s", t->label, ggml_backend_buft_name(kind));
    print_time(s, kernel, median_ms(call, &j), bytes);
    ggml_backend_buffer_free(buffer);
    ggml_free(weights);
    ggml_free(c);
    free(j.graph);
    return true;
}

/* It would tell of each weight that it repacks. */
static void silent(enum ggml_log_level level, const char *text, void *user)
{
    (void)user;
    if (level >= GGML_LOG_LEVEL_ERROR && level != GGML_LOG_LEVEL_CONT)
        fputs(text, stderr);
}

int main(int argc, char **argv)
{
    ggml_log_set(silent, NULL);
    cpu = ggml_backend_cpu_init();
    return cpu ? products_main(argc, argv, time_shape) : 1;
}
