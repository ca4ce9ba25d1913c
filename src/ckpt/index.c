/* ckpt/index.c: model.safetensors.index.json or pytorch_model.bin.index.json and the shards, as
 * transformers' modeling_utils.py (load_sharded_checkpoint) reads them: {"weight_map": {tensor: file}}. */
#include "ckpt/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

enum { INDEX_MAX = 8 << 20 }; /* bytes; that of a 1247-tensor model is 150 kB */

/* One line of weight_map; the texts belong to the document. */
typedef struct Line {
    const char *name, *file;
} Line;

static int by_file(const void *x, const void *y)
{
    const Line *a = x, *b = y;
    int c = strcmp(a->file, b->file);
    return c ? c : strcmp(a->name, b->name);
}

/* A file name must stay in the directory: no path, and nothing that a terminal or the C library
 * reads differently from JSON. */
static bool plain_name(const json_t *v)
{
    const char *s = json_string_value(v);
    size_t n = s ? strlen(s) : 0;
    if (n == 0 || n > 255 || n != json_string_length(v) || strpbrk(s, "/\\") || strstr(s, ".."))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20)
            return false;
    return str_ends(s, ".safetensors") || str_ends(s, ".bin");
}

static Line *read_lines(const json_t *map, const char *path, Error *e)
{
    const char *name;
    json_t *file;
    size_t n = 0, bytes = json_object_size(map) * sizeof(Line);
    Line *v = mem_alloc(bytes);
    if (!v)
        error_memory(e, path, bytes);
    json_object_foreach((json_t *)(uintptr_t)map, name, file)
    {
        if (!v)
            break;
        if (!plain_name(file)) {
            error_set(e, ERR_BAD_MODEL,
                      "%s: weight_map: \"%.200s\": expected a plain name of a .safetensors or .bin "
                      "file, got \"%.100s\"",
                      path, name, json_is_string(file) ? json_string_value(file) : "not a string");
            mem_free(v);
            return NULL;
        }
        v[n++] = (Line){name, json_string_value(file)};
    }
    if (v)
        qsort(v, n, sizeof *v, by_file);
    return v;
}

static size_t count_files(const Line *v, size_t n)
{
    size_t files = 0;
    for (size_t i = 0; i < n; i++)
        files += i == 0 || strcmp(v[i - 1].file, v[i].file) != 0;
    return files;
}

/* The tensors of a shard against its lines, both in order of name. What the index places elsewhere
 * or does not name stays in the list, so that the loader can report it as left over. */
static bool check_shard(const CkptTensor *t, size_t n, const Line *v, size_t lines,
                        const char *path, const char *index_path, Error *e)
{
    size_t at = 0;
    for (size_t i = 0; i < lines; i++) {
        while (at < n && strcmp(t[at].name, v[i].name) < 0)
            at++;
        if (at == n || strcmp(t[at].name, v[i].name) != 0)
            return error_set(e, ERR_BAD_MODEL,
                             "%s: tensor \"%.200s\": not in the file, where %s "
                             "expects it",
                             path, v[i].name, index_path);
    }
    return true;
}

static bool open_shard(Checkpoint *c, const char *dir, const Line *v, size_t lines,
                       const char *index_path, Error *e)
{
    char *path = path_join(dir, v->file);
    if (path && !file_listed(path)) {
        error_set(e, ERR_BAD_MODEL, "%s: shard \"%.200s\": no such file in the directory",
                  index_path, v->file);
        mem_free(path);
        return false;
    }
    if (!ckpt_add_file(c, path, e))
        return false;
    const CkptFile *f = &c->files[c->n_files - 1];
    const CkptTensor *t = f->n ? c->list.t + f->first : NULL;
    return check_shard(t, f->n, v, lines, f->path, index_path, e);
}

static bool open_shards(Checkpoint *c, const char *dir, const Line *v, size_t n,
                        const char *index_path, Error *e)
{
    size_t files = count_files(v, n);
    if (files == 0 || files > SHARDS_MAX)
        return error_set(e, ERR_BAD_MODEL, "%s: weight_map: expected 1 to %d files, got %zu",
                         index_path, SHARDS_MAX, files);
    if (!ckpt_reserve(c, files, index_path, e))
        return false;
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && strcmp(v[i].file, v[next].file) == 0;)
            next++;
        if (!open_shard(c, dir, v + i, next - i, index_path, e))
            return false;
    }
    return true;
}

/* The same name in two shards: the copy that the index names counts, the other one is dropped. */
static void drop_copies(Checkpoint *c, const json_t *map)
{
    CkptTensor *t = c->list.t;
    size_t kept = 0;
    tensors_sort(t, c->list.n);
    for (size_t i = 0, next; i < c->list.n; i = next) {
        size_t best = i;
        for (next = i + 1; next < c->list.n && strcmp(t[i].name, t[next].name) == 0; next++) {
            const char *want = json_string_value(json_object_get(map, t[i].name));
            const char *file = strrchr(t[next].file, '/');
            if (want && file && strcmp(want, file + 1) == 0)
                best = next;
        }
        t[kept++] = t[best];
    }
    c->list.n = kept;
}

static json_t *load_index(const char *path, Error *e)
{
    MappedFile f;
    if (!file_map_within(&f, path, INDEX_MAX, ERR_BAD_MODEL, e))
        return NULL;
    json_t *doc = json_parse(f.data ? (const char *)f.data : "", f.size, path, ERR_BAD_MODEL, e);
    file_unmap(&f);
    return doc;
}

bool index_open(Checkpoint *c, const char *dir, const char *index_path, Error *e)
{
    json_t *doc = load_index(index_path, e);
    if (!doc)
        return false;
    const json_t *map = json_object_get(doc, "weight_map");
    Line *v = NULL;
    bool ok = json_is_object(map) ||
              error_set(e, ERR_BAD_MODEL, "%s: weight_map: expected an object, got %s", index_path,
                        map ? "something else" : "nothing");
    if (ok)
        ok = (v = read_lines(map, index_path, e)) != NULL;
    ok = ok && open_shards(c, dir, v, json_object_size(map), index_path, e);
    if (ok)
        drop_copies(c, map);
    mem_free(v);
    json_decref(doc);
    return ok;
}
