/* embed_file.c: see embed_file.h. */
#include "embed_file.h"

#include "json.h"
#include "memory.h"
#include "output.h"
#include "session.h"

#include <blip2_debug.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n > k && strcasecmp(path + n - k, end) == 0;
}

int embed_file_begin(EmbedFile *f, const char *path)
{
    f->path = path;
    f->form = !path                           ? EMBED_LINES
              : ends_in(path, ".npy")         ? EMBED_NPY
              : ends_in(path, ".safetensors") ? EMBED_SAFETENSORS
                                              : EMBED_LINES;
    if (path && f->form == EMBED_LINES && !ends_in(path, ".jsonl"))
        return usage_error(
            "--output: expected a name that ends in .npy, .safetensors or .jsonl, got %s", path);
    f->header = json_object();
    f->names = json_array();
    return f->header && f->names ? 0 : EXIT_MEMORY;
}

static json_t *name_json(const EmbedName *name)
{
    json_t *o = json_object();
    if (name->image)
        json_put_path(o, "image", name->image);
    if (name->text)
        json_put(o, "text", json_text(name->text));
    return o;
}

/* --- lines ---------------------------------------------------------------------------------------- */

static void keep_line(EmbedFile *f, json_t *o)
{
    char *line = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (!line)
        out_of_memory();
    size_t n = strlen(line);
    f->lines = need_room(f->lines, &f->cap_lines, f->n_lines + n + 1, 1);
    memcpy(f->lines + f->n_lines, line, n);
    f->lines[f->n_lines + n] = '\n';
    f->n_lines += n + 1;
    free(line);
}

static void put_line(EmbedFile *f, json_t *o)
{
    if (f->path)
        keep_line(f, o);
    else
        out_json(o);
}

/* Nine digits give every float back. */
static json_t *values_json(const blip2_feature *x, bool pooled)
{
    json_t *all = json_array();
    for (size_t r = 0; r < x->rows; r++) {
        json_t *row = pooled ? all : json_array();
        for (size_t k = 0; k < x->columns; k++)
            json_add(row, json_number((double)x->values[r * x->columns + k]));
        if (!pooled)
            json_add(all, row);
    }
    return all;
}

static bool is_pooled(const EmbedFile *f)
{
    return strcmp(f->pool, "none") != 0;
}

static void add_line(EmbedFile *f, const EmbedName *name, const blip2_feature *x)
{
    json_t *o = name_json(name);
    json_put(o, "kind", json_text(f->kind));
    json_put(o, "pool", json_text(f->pool));
    json_put(o, "values", values_json(x, is_pooled(f)));
    put_line(f, o);
}

/* --- arrays --------------------------------------------------------------------------------------- */

static float *more_values(EmbedFile *f, size_t n)
{
    f->values = need_room(f->values, &f->cap_values, f->n_values + n, sizeof *f->values);
    f->n_values += n;
    return f->values + f->n_values - n;
}

/* Items that failed before the first one whose size is known are filled in by it. */
static void add_missing(EmbedFile *f, size_t items)
{
    size_t n = items * f->rows * f->columns;
    float *v = more_values(f, n);
    for (size_t i = 0; i < n; i++)
        v[i] = NAN;
}

static int add_array(EmbedFile *f, const blip2_feature *x)
{
    if (!f->columns) {
        f->rows = x->rows;
        f->columns = x->columns;
        add_missing(f, f->taken);
    }
    if (x->rows != f->rows)
        return usage_error("%s: expected items of one length, got %zu and %zu rows: --pool, or a "
                           ".safetensors or .jsonl file",
                           f->path, f->rows, x->rows);
    memcpy(more_values(f, x->rows * x->columns), x->values, 4 * x->rows * x->columns);
    return 0;
}

/* Item i is the tensor "i"; which one that is stands in the metadata. */
static int add_tensor(EmbedFile *f, const EmbedName *name, const blip2_feature *x)
{
    size_t n = x->rows * x->columns, from = 4 * f->n_values;
    json_t *entry = json_object(), *shape = json_array(), *place = json_array();
    char *key = need_format("%zu", f->taken);
    if (!is_pooled(f))
        json_add(shape, json_integer((json_int_t)x->rows));
    json_add(shape, json_integer((json_int_t)x->columns));
    json_add(place, json_integer((json_int_t)from));
    json_add(place, json_integer((json_int_t)(from + 4 * n)));
    json_put(entry, "dtype", json_text("F32"));
    json_put(entry, "shape", shape);
    json_put(entry, "data_offsets", place);
    json_put(f->header, key, entry);
    json_add(f->names, name_json(name));
    memcpy(more_values(f, n), x->values, 4 * n);
    free(key);
    return 0;
}

int embed_file_add(EmbedFile *f, const EmbedName *name, const blip2_feature *x)
{
    int code = 0;
    if (f->form == EMBED_LINES)
        add_line(f, name, x);
    else
        code = f->form == EMBED_NPY ? add_array(f, x) : add_tensor(f, name, x);
    f->taken++;
    return code;
}

void embed_file_failed(EmbedFile *f, const EmbedName *name, const char *message)
{
    if (f->form == EMBED_LINES) {
        json_t *o = name_json(name);
        json_put(o, "error", json_text(message));
        put_line(f, o);
    } else if (f->form == EMBED_NPY && f->columns) {
        add_missing(f, 1);
    } else if (f->form == EMBED_SAFETENSORS) {
        json_add(f->names, name_json(name));
    }
    f->taken++;
}

/* --- the end -------------------------------------------------------------------------------------- */

static char *metadata_header(EmbedFile *f)
{
    json_t *meta = json_object();
    char *names = json_dumps(f->names, JSON_COMPACT);
    json_put(meta, "kind", json_text(f->kind));
    json_put(meta, "pool", json_text(f->pool));
    json_put(meta, "items", json_text(names));
    json_put(f->header, "__metadata__", meta);
    free(names);
    return json_dumps(f->header, JSON_COMPACT);
}

static bool write_tensors(EmbedFile *f, blip2_error *err)
{
    char *header = metadata_header(f);
    if (!header)
        out_of_memory();
    size_t n = strlen(header), padded = (n + 7) / 8 * 8, bytes = 4 * f->n_values;
    unsigned char *all = need_array(8 + padded + bytes, 1);
    for (int i = 0; i < 8; i++)
        all[i] = (unsigned char)(padded >> (8 * i));
    memset(all + 8, ' ', padded);
    memcpy(all + 8, header, n);
    if (bytes)
        memcpy(all + 8 + padded, f->values, bytes);
    bool ok = blip2_debug_write(f->path, all, 8 + padded + bytes, err);
    free(all);
    free(header);
    return ok;
}

static bool write_array(EmbedFile *f, blip2_error *err)
{
    int64_t whole[3] = {(int64_t)f->count, (int64_t)f->rows, (int64_t)f->columns};
    int64_t pooled[2] = {(int64_t)f->count, (int64_t)f->columns};
    return blip2_npy_write(f->path, f->values, is_pooled(f) ? 2 : 3, is_pooled(f) ? pooled : whole,
                           err);
}

int embed_file_end(EmbedFile *f)
{
    blip2_error err = {0};
    bool ok = true;
    if (f->form == EMBED_NPY)
        ok = write_array(f, &err);
    else if (f->form == EMBED_SAFETENSORS)
        ok = write_tensors(f, &err);
    else if (f->path)
        ok = blip2_debug_write(f->path, f->lines, f->n_lines, &err);
    return ok ? 0 : report(&err);
}

void embed_file_free(EmbedFile *f)
{
    free(f->values);
    free(f->lines);
    json_decref(f->header);
    json_decref(f->names);
}
