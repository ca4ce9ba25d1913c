/* The tiny model of tests/golden/opt in LAVIS' files: stage2.pth as PyTorch wrote it, the base vision tower and the
 * language model written here. */
#ifndef TEST_LAVIS_H
#define TEST_LAVIS_H

#include <jansson.h>

#include "test_torch_files.h"

#include "base/file.h"
#include "ckpt/checkpoint.h"
#include "ckpt/names.h"
#include "cpu/cpu.h"
#include "models/blip2.h"

#define GOLDEN SOURCE_DIR "/tests/golden/opt"
#define LAVIS  SOURCE_DIR "/tests/data/lavis"

static Checkpoint *golden;

static inline void copy_file(const char *from, const char *to)
{
    Error e = {0};
    size_t n;
    unsigned char *text = file_read(from, 1 << 22, &n, ERR_FAILED, &e);
    if (!text)
        fail_msg("%s", e.message);
    put(to, text, n);
    mem_free(text);
}

static inline void add_tensor(Checkpoint *c, const CkptTensor *t, const char *name)
{
    Error e = {0};
    CkptTensor copy = *t;
    copy.name = arena_strdup(&c->list.names, name);
    assert_true(tensors_push(&c->list, &copy, "test", &e));
}

/* Some thirds of a vector, from the first-th on. */
static inline void add_third(Checkpoint *c, const CkptTensor *t, int which, const char *name)
{
    CkptTensor part = *t;
    part.shape[0] /= 3;
    part.bytes /= 3;
    part.data = (const char *)t->data + part.bytes * (size_t)which;
    add_tensor(c, &part, name);
}

/* A tensor of the golden model's vision tower as EVA's file has it. block: the number it gets, where it has one; -1: its
 * own. */
static inline void add_eva(Checkpoint *c, const CkptTensor *t, int block)
{
    char name[NAME_LONGEST], *eva = name + strlen("visual_encoder.");
    assert_true(name_lavis(t->name, NAMES_EVA, name, sizeof name));
    if (block >= 0)
        eva[strlen("blocks.")] = (char)('0' + block);
    if (!str_ends(eva, "attn.qkv.bias")) {
        add_tensor(c, t, eva);
        return;
    }
    strcpy(strstr(eva, "qkv.bias"), "q_bias");
    add_third(c, t, 0, eva);
    *strstr(eva, "q_bias") = 'v';
    add_third(c, t, 2, eva);
}

/* With one block more than the model uses, and a norm, as the real one. */
static inline void put_eva(const char *file)
{
    Error e = {0};
    Checkpoint *c = ckpt_new("eva", &e);
    for (size_t i = 0; i < ckpt_count(golden); i++) {
        const CkptTensor *t = ckpt_at(golden, i);
        if (!str_starts(t->name, "vision_model.") || strstr(t->name, "post_layernorm"))
            continue;
        add_eva(c, t, -1);
        if (strstr(t->name, "layers.0."))
            add_eva(c, t, 3);
        if (strstr(t->name, "layers.0.layer_norm1"))
            add_tensor(c, t, strstr(t->name, "weight") ? "norm.weight" : "norm.bias");
    }
    put_torch(file, c, 0, 1);
    ckpt_close(c);
}

/* DIR/pytorch_model.bin and config.json; names as facebook/opt has them, in its first files (old) without "model.". */
static inline void put_language(const char *dir, bool old)
{
    static const char FRONT[] = "language_model.";
    Error e = {0};
    char path[256];
    Checkpoint *c = ckpt_new("opt", &e);
    for (size_t i = 0; i < ckpt_count(golden); i++) {
        const CkptTensor *t = ckpt_at(golden, i);
        if (str_starts(t->name, FRONT))
            add_tensor(c, t, t->name + strlen(FRONT) + (old ? strlen("model.") : 0));
    }
    mkdir(at(dir), 0777);
    snprintf(path, sizeof path, "%s/pytorch_model.bin", dir);
    put_torch(path, c, 0, 1);
    ckpt_close(c);
    json_t *config = json_load_file(GOLDEN "/config.json", 0, NULL);
    snprintf(path, sizeof path, "%s/config.json", dir);
    json_dump_file(json_object_get(config, "text_config"), at(path), 0);
    json_decref(config);
}

static inline void put_configs(const char *dir)
{
    static const char *const FILES[] = {"config.json", "generation_config.json",
                                        "preprocessor_config.json", "processor_config.json"};
    for (size_t i = 0; i < 4; i++) {
        char from[512], to[256];
        snprintf(from, sizeof from, GOLDEN "/%s", FILES[i]);
        snprintf(to, sizeof to, "%s%s", dir, FILES[i]);
        copy_file(from, to);
    }
}

/* Every Param of b, which has those of a, bit for bit. */
typedef struct Same {
    Visitor base;
    Visitor *other;
    Param *p[1000];
    int n;
} Same;

static inline bool list_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Same *s = (Same *)v;
    s->p[s->n++] = p;
    return true;
}

/* Row r, wherever it lies. */
static inline const void *row_of(const Param *p, size_t r, void *room)
{
    const size_t bytes = dtype_bytes(p->dtype, (size_t)p->cols);
    if (p->layout == LAYOUT_ROWS)
        return (const char *)p->data + r * bytes;
    panel_to_row(room, p->data, r, 0, (size_t)p->cols, p->dtype, (size_t)p->cols);
    return room;
}

static inline void same_values(const Param *a, const Param *b)
{
    static char one[1 << 16], other[1 << 16];
    const size_t bytes = dtype_bytes(a->dtype, (size_t)a->cols);
    assert_true(bytes <= sizeof one);
    for (size_t r = 0; r < (size_t)a->rows; r++)
        if (memcmp(row_of(a, r, one), row_of(b, r, other), bytes) != 0)
            fail_msg("%s differs in row %zu", a->name, r);
}

static inline void same_models(Blip2 *a, Blip2 *b)
{
    static Same x, y;
    x = y = (Same){.base.param = list_param};
    model_visit(&x.base, a);
    model_visit(&y.base, b);
    assert_int_equal(x.n, y.n);
    for (int i = 0; i < x.n; i++) {
        assert_int_equal(x.p[i]->data != NULL, y.p[i]->data != NULL);
        if (!x.p[i]->data)
            continue;
        assert_string_equal(x.p[i]->name, y.p[i]->name);
        assert_int_equal(x.p[i]->dtype, y.p[i]->dtype);
        assert_int_equal(param_count(x.p[i]), param_count(y.p[i]));
        same_values(x.p[i], y.p[i]);
    }
}

#endif
