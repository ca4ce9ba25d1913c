/* ckpt/checkpoint.c: the list of tensors of all files of a checkpoint, and looking one up. */
#include "ckpt/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/kind.h"
#include "ckpt/names.h"
#include "ckpt/safetensors.h"
#include "ckpt/torch.h"

Checkpoint *ckpt_new(const char *path, Error *e)
{
    Checkpoint *c = mem_calloc(1, sizeof *c);
    if (c && (c->path = mem_strdup(path)))
        return c;
    error_memory(e, path, sizeof *c);
    mem_free(c);
    return NULL;
}

void ckpt_close(Checkpoint *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_files; i++) {
        file_unmap(&c->files[i].map);
        mem_free(c->files[i].path);
    }
    for (Checkpoint *part = c->parts, *next; part; part = next) {
        next = part->next;
        ckpt_close(part);
    }
    mem_free(c->files);
    tensors_free(&c->list);
    mem_free(c->path);
    mem_free(c);
}

bool ckpt_reserve(Checkpoint *c, size_t files, const char *where, Error *e)
{
    c->files = mem_calloc(files, sizeof *c->files);
    return c->files || error_memory(e, where, files * sizeof *c->files);
}

bool ckpt_add_file(Checkpoint *c, char *path, Error *e)
{
    if (!path)
        return error_memory(e, c->path, 0);
    CkptFile *f = &c->files[c->n_files++];
    *f = (CkptFile){.path = path, .first = c->list.n};
    if (!file_map(&f->map, path, ERR_BAD_MODEL, e))
        return false;
    bool torch = file_is_torch(f->map.data, f->map.size);
    if (!(torch ? torch_parse : safetensors_parse)(&c->list, f->map.data, f->map.size, path, e))
        return false;
    f->n = c->list.n - f->first;
    return true;
}

/* What its names lack in front; "": nothing. */
static const char *part_of(const TensorList *l)
{
    const char *part = NULL;
    for (size_t i = 0; i < l->n && !part; i++)
        part = name_part(l->t[i].name);
    return part ? part : "";
}

bool ckpt_join(Checkpoint *c, Checkpoint *part, int piece, Error *e)
{
    const char *front = part_of(&part->list);
    TensorList *l = &c->list;
    part->next = c->parts;
    c->parts = part;
    for (size_t i = 0; i < part->list.n; i++) {
        CkptTensor t = part->list.t[i];
        if (!tensors_push(l, &t, c->path, e))
            return false;
        CkptTensor *to = &l->t[l->n - 1];
        to->piece = piece;
        if (*front && !(to->given = arena_printf(&l->names, "%s%s", front, t.name)))
            return error_memory(e, c->path, strlen(t.name));
        to->key = to->given;
    }
    tensors_sort(l->t, l->n);
    return true;
}

/* --- looking up -------------------------------------------------------------------------------- */

const char *ckpt_path(const Checkpoint *c)
{
    return c->path;
}

const CkptText *ckpt_text(const Checkpoint *c, size_t i)
{
    return i < c->list.texts ? &c->list.text[i] : NULL;
}

size_t ckpt_count(const Checkpoint *c)
{
    return c->list.n;
}

CkptTensor *ckpt_at(Checkpoint *c, size_t i)
{
    return &c->list.t[i];
}

static CkptTensor *find_exact(Checkpoint *c, const char *name)
{
    size_t low = 0, high = c->list.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(name, c->list.t[mid].key);
        if (order == 0)
            return &c->list.t[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

CkptTensor *ckpt_find(Checkpoint *c, const char *name)
{
    char other[TENSOR_NAME_MAX + 1];
    CkptTensor *t = find_exact(c, name);
    for (int i = 0; !t && i < NAME_MAPS; i++)
        if (name_map(i, name, other, sizeof other))
            t = find_exact(c, other);
    return t;
}

CkptTensor *ckpt_take(Checkpoint *c, const char *name)
{
    CkptTensor *t = ckpt_find(c, name);
    if (t)
        t->used = true;
    return t;
}

void ckpt_done_with(const CkptTensor *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)t->data,
              to = from + t->bytes;
    if (t->copied) /* no file has these bytes to read again */
        return;
    from = (from + page - 1) / page * page; /* neighbours share the first and the last page */
    to = to / page * page;
    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

void ckpt_rest(const Checkpoint *c)
{
    for (size_t i = 0; i < c->n_files; i++)
        if (c->files[i].map.size)
            madvise((void *)(uintptr_t)c->files[i].map.data, c->files[i].map.size, MADV_DONTNEED);
    for (const Checkpoint *part = c->parts; part; part = part->next)
        ckpt_rest(part);
}

void ckpt_huge(const Checkpoint *c)
{
#ifdef MADV_HUGEPAGE
    for (size_t i = 0; i < c->n_files; i++)
        if (c->files[i].map.size)
            madvise((void *)(uintptr_t)c->files[i].map.data, c->files[i].map.size, MADV_HUGEPAGE);
    for (const Checkpoint *part = c->parts; part; part = part->next)
        ckpt_huge(part);
#else
    (void)c;
#endif
}
