/* bench/peers/onednn_products.c: the speed of oneDNN's matrix products, through its C API; products.py builds and runs it.
 *
 * Weights are in the layout that oneDNN chooses, reordered before anything is timed, as an inference program
 * would. f32: all of it f32. bf16: x and weights bf16, sums f32. int8: x u8 as it would come from a layer before (making it is not timed),
 * weights s8 with a scale for each output, result f32. */
#include <oneapi/dnnl/dnnl.h>

#include "products.h"

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static bool ok(dnnl_status_t status)
{
    return status == dnnl_success;
}

typedef struct Types {
    const char *name;
    dnnl_data_type_t x, w;
} Types;

static const Types TYPES[] = {
    {"f32", dnnl_f32, dnnl_f32}, {"bf16", dnnl_bf16, dnnl_bf16}, {"int8", dnnl_u8, dnnl_s8}};

static const Types *types_of(const char *format)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(TYPES[i].name, format) == 0)
            return &TYPES[i];
    return NULL;
}

typedef struct Job {
    dnnl_primitive_t matmul;
    dnnl_memory_t x, y, scale, *w;
    size_t copies;
} Job;

static void call(void *job, size_t turn)
{
    Job *j = job;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, j->x},
                              {DNNL_ARG_WEIGHTS, j->w[turn % j->copies]},
                              {DNNL_ARG_DST, j->y},
                              {DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, j->scale}};
    if (!ok(dnnl_primitive_execute(j->matmul, stream, j->scale ? 4 : 3, args)) ||
        !ok(dnnl_stream_wait(stream)))
        exit(1);
}

static dnnl_memory_t memory(const_dnnl_memory_desc_t md)
{
    dnnl_memory_t m;
    void *p;
    size_t bytes = dnnl_memory_desc_get_size(md);
    if (!ok(dnnl_memory_create(&m, md, engine, DNNL_MEMORY_ALLOCATE)) ||
        !ok(dnnl_memory_map_data(m, &p)))
        exit(1);
    memset(p, 0x3c, bytes); /* a small number in each of the types */
    dnnl_memory_unmap_data(m, p);
    return m;
}

static dnnl_memory_desc_t desc(int rows, int cols, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md = NULL;
    dnnl_dims_t dims = {rows, cols};
    return ok(dnnl_memory_desc_create_with_tag(&md, 2, dims, type, tag)) ? md : NULL;
}

/* NULL when oneDNN has none for these types. */
static dnnl_primitive_desc_t describe(Shape s, const Types *t)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr;
    dnnl_memory_desc_t x = desc(s.rows, s.in, t->x, dnnl_ab),
                       w = desc(s.in, s.out, t->w, dnnl_format_tag_any),
                       y = desc(s.rows, s.out, dnnl_f32, dnnl_ab);
    if (!ok(dnnl_primitive_attr_create(&attr)))
        exit(1);
    if (t->w == dnnl_s8)
        dnnl_primitive_attr_set_scales_mask(attr, DNNL_ARG_WEIGHTS, 1 << 1);
    if (!ok(dnnl_matmul_primitive_desc_create(&pd, engine, x, w, NULL, y, attr)))
        pd = NULL;
    return pd;
}

static bool time_shape(Shape s, const char *format, int threads)
{
    const Types *t = types_of(format);
    dnnl_primitive_desc_t pd = t ? describe(s, t) : NULL;
    const char *kernel = "";
    Job j = {0};
    (void)threads; /* products.py gives the process as many processors */
    if (!pd || !ok(dnnl_primitive_create(&j.matmul, pd)))
        return false;
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&kernel);
    const_dnnl_memory_desc_t md = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    size_t bytes = dnnl_memory_desc_get_size(md);
    j.copies = copies_of(bytes);
    j.w = malloc(j.copies * sizeof *j.w);
    for (size_t i = 0; i < j.copies; i++)
        j.w[i] = memory(md);
    j.x = memory(desc(s.rows, s.in, t->x, dnnl_ab));
    j.y = memory(desc(s.rows, s.out, dnnl_f32, dnnl_ab));
    if (t->w == dnnl_s8) {
        dnnl_memory_desc_t scale = NULL;
        dnnl_dims_t dims = {s.out};
        dnnl_memory_desc_create_with_tag(&scale, 1, dims, dnnl_f32, dnnl_a);
        j.scale = memory(scale);
    }
    print_time(s, kernel, median_ms(call, &j), bytes);
    for (size_t i = 0; i < j.copies; i++)
        dnnl_memory_destroy(j.w[i]);
    free(j.w);
    return true;
}

int main(int argc, char **argv)
{
    dnnl_status_t status = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (!ok(status) || !ok(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags))) {
        fprintf(stderr, "oneDNN: no engine for the CPU (status %d)\n", (int)status);
        return 1;
    }
    return products_main(argc, argv, time_shape);
}
