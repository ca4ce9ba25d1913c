/* models/convert_write.c: tensors pass through a buffer, from one file into another. */
#include "ckpt/packed.h"
#include "models/convert_parts.h"

enum { CHUNK = 8 << 20 };

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
        if (o->form == OUT_PANELS)
            panel_from_rows(panel, room, n, r->dtype, r->width);
        if (!(o->form == OUT_PANELS ? write_bytes(c, panel, panel_bytes(r->dtype, r->width), false)
                                    : write_bytes(c, room, n * row, false)))
            return false;
    }
    recipe_done(r);
    return true;
}

static bool write_rearranged(Converter *c, const Output *o)
{
    const Recipe *r = &o->recipe;
    size_t bytes = PANEL * dtype_bytes(r->dtype, r->width) + panel_bytes(r->dtype, r->width);
    char *room = mem_alloc(bytes);
    bool ok = room ? write_through(c, o, room) : error_memory(c->e, o->entry.name, bytes);
    mem_free(room);
    return ok;
}

/* Of whole panels, or all. */
static size_t rows_at_once(const Output *o)
{
    size_t n = CHUNK / (o->recipe.width + 1) / PANEL * PANEL;
    return n < PANEL ? PANEL : n > o->rows ? o->rows : n;
}

static bool write_quantised_rows(Converter *c, const Output *o, size_t first, size_t n, char *room)
{
    const Recipe *r = &o->recipe;
    float *scale = o->to == I8 ? o->scale + first : NULL;
    if (!quantise(&c->quantiser, r, o->to, o->first + first, n, room, scale))
        return error_memory(c->e, o->entry.name, n * r->width);
    recipe_done_rows(r, o->first + first, n);
    size_t odd = quantised_odd(o->to, room, scale, n, r->width);
    if (odd < n)
        return error_set(c->e, ERR_BAD_MODEL,
                         "%s: tensor \"%s\": row %zu: expected numbers within the range of %s, got "
                         "others",
                         ckpt_path(c->m->ckpt), o->entry.name, o->first + first + odd,
                         dtype_name(o->to));
    return write_bytes(c, room, o->to == I4 ? panels_bytes(I4, n, r->width) : n * r->width, false);
}

static bool write_quantised(Converter *c, const Output *o)
{
    const size_t most = rows_at_once(o), width = o->recipe.width;
    const size_t bytes = o->to == I4 ? panels_bytes(I4, most, width) : most * width;
    char *room = mem_alloc(bytes);
    bool ok = room || error_memory(c->e, o->entry.name, bytes);
    for (size_t i = 0; ok && i < o->rows; i += most)
        ok = write_quantised_rows(c, o, i, o->rows - i < most ? o->rows - i : most, room);
    mem_free(room);
    recipe_done(&o->recipe);
    return ok;
}

/* Those of an int8 weight that is stored so have not been read yet. */
static bool write_scales(Converter *c, const Output *o)
{
    if (recipe_quantised(&o->recipe))
        recipe_scales(&o->recipe, o->scale, o->first, o->rows);
    return write_bytes(c, (const char *)o->scale, o->entry.bytes, false);
}

static bool write_stored(Converter *c, const Output *o)
{
    const Recipe *r = &o->recipe;
    if (o->to == I4)
        return write_bytes(c, r->piece[0].from->data, o->entry.bytes, !r->piece[0].from->copied);
    for (int k = 0; k < r->n; k++)
        if (!write_piece(c, o, &r->piece[k]))
            return false;
    return true;
}

static bool write_tensor(Converter *c, const Output *o)
{
    switch (o->form) {
    case OUT_QUANTISED: return write_quantised(c, o);
    case OUT_SCALES: return write_scales(c, o);
    case OUT_PANELS: return write_rearranged(c, o);
    case OUT_STORED: break;
    }
    const Recipe *r = &o->recipe;
    bool moved = r->four.code || (r->panels && r->dtype != I4);
    return moved ? write_rearranged(c, o) : write_stored(c, o);
}

static bool write_tensors(Converter *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!write_tensor(c, &c->out[i]))
            return false;
        ckpt_rest(c->m->ckpt);
    }
    return true;
}

bool convert_write(Converter *c, const char *path, const char *texts)
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
