/* models/convert.c: see models/convert.h. */
#include "models/convert.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ckpt/names.h"
#include "ckpt/packed.h"
#include "ckpt/st_write.h"
#include "models/build.h"
#include "models/extra.h"
#include "models/fits.h"
#include "models/recipe.h"

enum { CHUNK = 8 << 20, FILE_MAX = 24 << 20 };

/* One tensor of the output: some rows of a Param. */
typedef struct Output {
    StEntry entry; /* first: st_order, st_header */
    Recipe recipe;
    size_t first, rows;
    ParamSpec spec; /* of the Param */
    bool panels;    /* written in panels */
} Output;

typedef struct Converter {
    Visitor base;
    Blip2 *m;
    const ConvertOptions *o;
    unsigned family; /* of LAVIS' names */
    Output *out;
    size_t n, cap;
    uint64_t done, total;
    OutFile *file;
    Error *e;
} Converter;

/* --- what is to be written ------------------------------------------------------------------------- */

/* [panels, inputs, 32], of bf16 [panels, inputs/2, 32, 2] (tensor/panel.h). */
static void as_panels(Output *o)
{
    const DType t = o->recipe.dtype;
    const size_t group = panel_group(t), ins = panel_inputs(t, o->recipe.width);
    o->panels = true;
    o->entry.rank = group > 1 ? 4 : 3;
    o->entry.shape[0] = (int64_t)panel_count(o->rows);
    o->entry.shape[1] = (int64_t)(ins / group);
    o->entry.shape[2] = PANEL;
    o->entry.shape[3] = (int64_t)group;
    o->entry.bytes = dtype_bytes(t, panels_numbers(t, o->rows, o->recipe.width));
}

/* Rows of the Param under that name; rows 0: all of them. */
static bool push(Converter *c, const char *name, const ParamSpec *spec, const Recipe *r,
                 size_t first, size_t rows)
{
    if (!MEM_GROW(c->out, &c->cap, c->n + 1))
        return error_memory(c->e, name, (c->n + 1) * sizeof *c->out);
    Output *o = &c->out[c->n++];
    *o = (Output){.recipe = *r, .first = first, .rows = rows, .spec = *spec};
    o->entry = (StEntry){.name = arena_strdup(&c->m->mem, name),
                         .dtype = r->dtype,
                         .rank = spec->rank,
                         .bytes = dtype_bytes(r->dtype, rows * r->width)};
    memcpy(o->entry.shape, spec->shape, sizeof *spec->shape * (size_t)spec->rank);
    o->entry.shape[0] = (int64_t)rows;
    if (c->o->to == CONVERT_PACKED && spec->kind == PARAM_MATRIX && spec->rows >= PANEL)
        as_panels(o);
    c->total += o->entry.bytes;
    return o->entry.name || error_memory(c->e, name, strlen(name));
}

/* --- LAVIS' key without a bias: two tensors for one ---------------------------------------------------- */

static bool is_zero(const Recipe *r, size_t first, size_t rows)
{
    float v[256];
    for (size_t i = first; i < first + rows; i += 256 / r->width) {
        size_t n = first + rows - i < 256 / r->width ? first + rows - i : 256 / r->width;
        recipe_floats(r, v, i, n);
        for (size_t k = 0; k < n * r->width; k++)
            if (v[k] != 0)
                return false;
    }
    return true;
}

/* lavis: "visual_encoder.blocks.N.attn.qkv.bias", which becomes q_bias and v_bias (eva_vit.py, Attention). */
static bool push_bias(Converter *c, char *lavis, const char *name, const ParamSpec *spec,
                      const Recipe *r)
{
    size_t third = (size_t)spec->shape[0] / 3;
    char *tail = strstr(lavis, "qkv.bias");
    if (!is_zero(r, third, third))
        return error_set(c->e, ERR_BAD_MODEL,
                         "%s: tensor \"%s\": expected zeros for the keys, since LAVIS has no bias "
                         "there, got other numbers",
                         ckpt_path(c->m->ckpt), name);
    memcpy(tail, "q_bias", sizeof "q_bias");
    if (!push(c, lavis, spec, r, 0, third))
        return false;
    *tail = 'v';
    return push(c, lavis, spec, r, 2 * third, third);
}

static bool push_lavis(Converter *c, const char *name, const ParamSpec *spec, const Recipe *r)
{
    char lavis[NAME_LONGEST];
    if (!name_lavis(name, c->family, lavis, sizeof lavis))
        return error_set(c->e, ERR_BAD_MODEL, "%s: tensor \"%s\": LAVIS has no such tensor",
                         ckpt_path(c->m->ckpt), name);
    if (c->family & NAMES_EVA && str_ends(lavis, "attn.qkv.bias"))
        return push_bias(c, lavis, name, spec, r);
    return push(c, lavis, spec, r, 0, (size_t)spec->shape[0]);
}

static bool plan_param(Visitor *v, const char *name, Param *p, const ParamSpec *spec)
{
    Converter *c = (Converter *)v;
    Recipe r;
    (void)p;
    if (!recipe_take(&r, c->m->ckpt, name, spec, c->e))
        return false;
    if (!r.n)
        return true;
    return c->o->to == CONVERT_LAVIS ? push_lavis(c, name, spec, &r)
                                     : push(c, name, spec, &r, 0, (size_t)spec->shape[0]);
}

/* Nothing is lost silently. */
static bool all_accounted(Converter *c)
{
    for (size_t i = 0; i < ckpt_count(c->m->ckpt); i++) {
        const CkptTensor *t = ckpt_at(c->m->ckpt, i);
        if (!t->used && !tensor_extra(t))
            return error_set(
                c->e, ERR_BAD_MODEL,
                "%s: tensor \"%s\": expected a place in the model, got none: it would be "
                "lost",
                t->file, t->name);
    }
    return true;
}

static bool plan(Converter *c)
{
    bool clip = ckpt_find(c->m->ckpt, "vision_model.pre_layernorm.weight") != NULL;
    c->family =
        (clip ? NAMES_CLIP : NAMES_EVA) | (c->m->config.kind == MODEL_T5 ? NAMES_T5 : NAMES_OPT);
    model_visit(&c->base, c->m);
    if (c->base.stopped) {
        model_disagree(c->m, c->e);
        return false;
    }
    if (!all_accounted(c))
        return false;
    if (c->n)
        qsort(c->out, c->n, sizeof *c->out, st_order);
    return true;
}

/* --- writing ------------------------------------------------------------------------------------------ */

static bool tell(Converter *c)
{
    return !c->o->on_progress || c->o->on_progress(c->o->user, c->done, c->total) ||
           error_set(c->e, ERR_STOPPED, "convert: stopped");
}

static bool write_bytes(Converter *c, const char *data, size_t n, bool stored)
{
    for (size_t at = 0; at < n;) {
        size_t k = n - at < CHUNK ? n - at : CHUNK;
        if (!out_add(c->file, data + at, k, c->e))
            return false;
        if (stored) /* read, and not to be read again */
            ckpt_done_with(&(CkptTensor){.data = data + at, .bytes = k});
        c->done += k;
        at += k;
        if (!tell(c))
            return false;
    }
    return true;
}

static bool write_zeros(Converter *c, size_t n)
{
    static const char ZEROS[4096];
    for (; n; n -= n < sizeof ZEROS ? n : sizeof ZEROS)
        if (!write_bytes(c, ZEROS, n < sizeof ZEROS ? n : sizeof ZEROS, false))
            return false;
    return true;
}

/* The rows of the output that are of this piece. */
static bool write_piece(Converter *c, const Output *o, const RecipePiece *p)
{
    size_t from = p->to > o->first ? p->to : o->first, row = o->recipe.width;
    size_t to = p->to + p->rows < o->first + o->rows ? p->to + p->rows : o->first + o->rows;
    DType t = o->recipe.dtype;
    if (from >= to)
        return true;
    size_t bytes = dtype_bytes(t, (to - from) * row);
    if (!p->from)
        return write_zeros(c, bytes);
    const char *data =
        (const char *)p->from->data + dtype_bytes(t, (p->first + from - p->to) * row);
    return write_bytes(c, data, bytes, !p->from->copied);
}

/* 32 rows at a time become a panel, or are taken out of one; room is for both. */
static bool write_through(Converter *c, const Output *o, char *room)
{
    const Recipe *r = &o->recipe;
    const size_t row = dtype_bytes(r->dtype, r->width);
    char *panel = room + PANEL * row;
    for (size_t i = 0; i < o->rows; i += PANEL) {
        size_t n = o->rows - i < PANEL ? o->rows - i : PANEL;
        recipe_rows(r, room, o->first + i, n);
        if (o->panels)
            panel_from_rows(panel, room, n, r->dtype, r->width);
        if (!(o->panels
                  ? write_bytes(c, panel, dtype_bytes(r->dtype, panel_numbers(r->dtype, r->width)),
                                false)
                  : write_bytes(c, room, n * row, false)))
            return false;
    }
    recipe_done(r);
    return true;
}

static bool write_tensor(Converter *c, const Output *o)
{
    const Recipe *r = &o->recipe;
    if (o->panels || r->panels) {
        size_t bytes = dtype_bytes(r->dtype, PANEL * r->width + panel_numbers(r->dtype, r->width));
        char *room = mem_alloc(bytes);
        bool ok = room ? write_through(c, o, room) : error_memory(c->e, o->entry.name, bytes);
        mem_free(room);
        return ok;
    }
    for (int k = 0; k < r->n; k++)
        if (!write_piece(c, o, &r->piece[k]))
            return false;
    return true;
}

static bool write_tensors(Converter *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (!write_tensor(c, &c->out[i]))
            return false;
    return true;
}

/* The file of the weights; texts: the members of its metadata. */
static bool write_weights(Converter *c, const char *path, const char *texts)
{
    StrBuf header = {0};
    st_header(&header, c->out, c->n, sizeof *c->out, texts);
    if (header.failed)
        error_memory(c->e, path, header.len);
    c->file = header.failed ? NULL : out_begin(path, c->e);
    bool ok = c->file && out_add(c->file, header.data, header.len, c->e) && write_tensors(c);
    strbuf_free(&header);
    if (ok)
        return out_commit(c->file, c->e);
    out_drop(c->file);
    return false;
}

static bool write_packed(Converter *c, const ModelSource *from, const char *to)
{
    StrBuf texts = {0};
    strbuf_puts(&texts, "\"format\":\"pt\",");
    bool ok = packed_texts(&texts, &from->config, &from->tokenizer, c->e);
    for (size_t i = 0; i < c->n; i++)
        if (c->out[i].panels)
            packed_layout(&texts, c->out[i].entry.name, c->out[i].spec.rank, c->out[i].spec.shape);
    ok = ok && (!texts.failed || error_memory(c->e, to, texts.len)) &&
         write_weights(c, to, texts.data);
    strbuf_free(&texts);
    return ok;
}

/* --- a directory --------------------------------------------------------------------------------------- */

static bool fail(Converter *c, const char *path)
{
    return error_set(c->e, ERR_FAILED, "%s: %s", path, strerror(errno));
}

/* What an interrupted call has left. */
static void empty(const char *dir)
{
    DIR *d = opendir(dir);
    for (const struct dirent *entry; d && (entry = readdir(d));)
        unlinkat(dirfd(d), entry->d_name, 0); /* neither directories nor "." */
    if (d)
        closedir(d);
}

static bool copy_text(Converter *c, const ModelSource *from, const char *dir, const char *name)
{
    const Folder *f = packed_folder(&from->config, &from->tokenizer, name);
    int there = folder_has(f, name);
    size_t n;
    char *text = there > 0 ? folder_read(f, name, FILE_MAX, &n, ERR_BAD_MODEL, c->e) : NULL;
    char *path = text ? path_join(dir, name) : NULL;
    bool ok = path && file_write(path, &(Piece){text, n}, 1, WRITE_FILE, c->e);
    if (there < 0 || (text && !path))
        error_memory(c->e, dir, strlen(dir));
    mem_free(text);
    mem_free(path);
    return ok || there == 0;
}

/* config.json, without which it is no model, is the last. */
static bool write_files(Converter *c, const ModelSource *from, const char *dir)
{
    char *weights = path_join(dir, "model.safetensors");
    bool ok = weights ? write_weights(c, weights, "\"format\":\"pt\"")
                      : error_memory(c->e, dir, strlen(dir));
    mem_free(weights);
    for (size_t i = 1; ok && packed_file(i); i++)
        ok = copy_text(c, from, dir, packed_file(i));
    return ok && copy_text(c, from, dir, packed_file(0));
}

static bool write_dir(Converter *c, const ModelSource *from, const char *to)
{
    StrBuf partial = {0};
    size_t n = strlen(to);
    while (n > 1 && to[n - 1] == '/')
        n--;
    strbuf_printf(&partial, "%.*s.partial", (int)n, to);
    if (partial.failed)
        return error_memory(c->e, to, n);
    bool ok = mkdir(partial.data, 0777) == 0 || (errno == EEXIST && file_is_dir(partial.data)) ||
              fail(c, partial.data);
    if (ok) {
        empty(partial.data);
        ok = write_files(c, from, partial.data) && (rename(partial.data, to) == 0 || fail(c, to));
        if (!ok) {
            empty(partial.data);
            rmdir(partial.data);
        }
    }
    strbuf_free(&partial);
    return ok;
}

/* Said before anything is written: a directory there must be empty. */
static bool check_target(const char *to, ConvertTo what, Error *e)
{
    if (what != CONVERT_HF)
        return !file_is_dir(to) ||
               error_set(e, ERR_USAGE, "%s: expected the name of a file, got a directory", to);
    bool taken = file_exists(to), empty_dir = true;
    DIR *d = opendir(to);
    for (const struct dirent *entry; empty_dir && d && (entry = readdir(d));)
        empty_dir = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    error_set(e, ERR_USAGE,
                              "%s: expected a new or an empty directory, got one with %s in it", to,
                              entry->d_name);
    if (d)
        closedir(d);
    return empty_dir &&
           (d || !taken ||
            error_set(e, ERR_USAGE, "%s: expected a new or an empty directory, got a file", to));
}

/* --- all together ---------------------------------------------------------------------------------------- */

/* A tokenizer need not be there. */
static bool check_fits(const Blip2 *m, const ModelSource *from, Error *e)
{
    Error why = {0};
    Tokenizer *t = tokenizer_open(&from->tokenizer, &why);
    bool ok = (t || why.code == ERR_NO_MODEL || error_set(e, why.code, "%s", why.message)) &&
              model_fits(m, t, from->path, e);
    tokenizer_free(t);
    return ok;
}

/* Blip2VisionModel has no norm in front of its blocks: what it would compute of such weights is wrong. */
static bool check_kind(const Blip2 *m, const ModelSource *from, ConvertTo to, Error *e)
{
    return to != CONVERT_HF || !m->config.vit.clip ||
           error_set(e, ERR_USAGE,
                     "%s: vision tower: expected one that transformers' BLIP-2 has, got CLIP's "
                     "(ViT-L): packed and lavis are the forms for it",
                     from->path);
}

bool model_convert(ModelSource *from, const char *to, const ConvertOptions *o, Error *e)
{
    if (!check_target(to, o->to, e))
        return false;
    Converter c = {.base.param = plan_param, .m = model_begin(NULL, from, e), .o = o, .e = e};
    bool ok = c.m && check_kind(c.m, from, o->to, e) && check_fits(c.m, from, e) && plan(&c) &&
              (o->to == CONVERT_HF ? write_dir(&c, from, to) : write_packed(&c, from, to));
    mem_free(c.out);
    model_close(c.m);
    return ok;
}
