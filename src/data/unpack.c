/* data/unpack.c: entry by entry. */
#include "data/unpack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/write.h"
#include "ckpt/layout.h"
#include "data/libarchive.h"

enum { BLOCK = 1 << 18, NAME_BYTES_MAX = 4096, TELL_EACH = 64 };

typedef struct Unpacking {
    const Unpack *u;
    const ArchiveCalls *call;
    struct archive *a;
    Unpacked *out;
    uint64_t total;
    StrBuf path, folder; /* of the entry; the one that was made last */
} Unpacking;

bool stays_inside(const char *name)
{
    for (const char *p = name; *p; p += strcspn(p, "/"), p += *p == '/')
        if (p[0] == '.' && p[1] == '.' && (!p[2] || p[2] == '/'))
            return false;
    return *name && *name != '/' && strlen(name) <= NAME_BYTES_MAX;
}

static bool damaged(const Unpacking *x, const char *name, Error *e)
{
    const char *why = x->call->archive_error_string(x->a);
    return error_set(e, ERR_FAILED, "%s: %s%s%s", x->u->archive, name ? name : "archive", ": ",
                     why ? why : "damaged");
}

static bool tell(const Unpacking *x, Error *e)
{
    const Unpack *u = x->u;
    int64_t done = x->call->archive_filter_bytes(x->a, -1);
    if (!u->progress || u->progress(u->user, done > 0 ? (uint64_t)done : 0, x->total))
        return true;
    return error_set(e, ERR_STOPPED, "%s: stopped", u->archive);
}

/* --- one entry ----------------------------------------------------------------------------------------- */

static bool copy_data(Unpacking *x, const char *name, OutFile *f, Error *e)
{
    const void *bytes;
    size_t n;
    la_int64_t at, expected = 0;
    for (unsigned blocks = 1;; blocks++) {
        int r = x->call->archive_read_data_block(x->a, &bytes, &n, &at);
        if (r == ARCHIVE_EOF)
            return true;
        if (r != ARCHIVE_OK || at != expected) /* no picture has holes */
            return damaged(x, name, e);
        if (!out_add(f, bytes, n, e) || (blocks % TELL_EACH == 0 && !tell(x, e)))
            return false;
        expected += (la_int64_t)n;
    }
}

/* "INTO/BEGIN..." of the entry, and its folder, made unless it was the last one's, too. */
static bool find_place(Unpacking *x, const char *rest, Error *e)
{
    x->path.len = 0;
    strbuf_printf(&x->path, "%s/%s%s", x->u->into, x->u->begin, rest);
    if (x->path.failed)
        return error_memory(e, x->u->into, NAME_BYTES_MAX);
    size_t n = (size_t)(strrchr(x->path.data, '/') - x->path.data);
    if (x->folder.len == n && memcmp(x->folder.data, x->path.data, n) == 0)
        return true;
    x->folder.len = 0;
    strbuf_add(&x->folder, x->path.data, n);
    return !x->folder.failed ? layout_dir(x->folder.data, e) : error_memory(e, x->u->into, n);
}

static bool is_here(const Unpacking *x, struct archive_entry *entry)
{
    struct stat st;
    return x->call->archive_entry_size_is_set(entry) && stat(x->path.data, &st) == 0 &&
           S_ISREG(st.st_mode) && st.st_size == x->call->archive_entry_size(entry);
}

static bool write_entry(Unpacking *x, const char *name, Error *e)
{
    OutFile *f = out_begin(x->path.data, e);
    if (!f)
        return false;
    if (copy_data(x, name, f, e)) {
        x->out->written++;
        return out_commit_unsynced(f, e);
    }
    out_drop(f);
    return false;
}

static bool take_entry(Unpacking *x, struct archive_entry *entry, Error *e)
{
    const char *name = x->call->archive_entry_pathname(entry);
    name = name ? name : x->call->archive_entry_pathname_utf8(entry);
    while (name && str_starts(name, "./"))
        name += 2;
    if (!name || !str_starts(name, x->u->inside) ||
        x->call->archive_entry_filetype(entry) != AE_IFREG) {
        x->out->other++;
        return true;
    }
    if (!stays_inside(name))
        return error_set(e, ERR_FAILED,
                         "%s: %.200s: expected a path within the folder, got one "
                         "that leads out of it",
                         x->u->archive, name);
    if (!find_place(x, name + strlen(x->u->inside), e))
        return false;
    if (!is_here(x, entry))
        return write_entry(x, name, e);
    x->out->here++;
    return true;
}

/* --- all entries ------------------------------------------------------------------------------------------ */

static bool take_all(Unpacking *x, Error *e)
{
    struct archive_entry *entry;
    for (unsigned n = 1;; n++) {
        int r = x->call->archive_read_next_header(x->a, &entry);
        if (r == ARCHIVE_EOF)
            break;
        if (r < ARCHIVE_WARN)
            return damaged(x, NULL, e);
        if (!take_entry(x, entry, e) || (n % TELL_EACH == 0 && !tell(x, e)))
            return false;
    }
    return x->out->written + x->out->here > 0 ||
           error_set(e, ERR_FAILED,
                     "%s: archive: expected pictures below %s, got none among %zu entries",
                     x->u->archive, *x->u->inside ? x->u->inside : "it", x->out->other);
}

static bool open_archive(Unpacking *x, Error *e)
{
    struct stat st;
    if (stat(x->u->archive, &st) != 0)
        return error_set(e, ERR_FAILED, "%s: %s", x->u->archive, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(e, ERR_FAILED, "%s: expected a file, got something else", x->u->archive);
    x->total = (uint64_t)st.st_size;
    x->call->archive_read_support_filter_all(x->a);
    x->call->archive_read_support_format_tar(x->a);
    x->call->archive_read_support_format_zip(x->a);
    return x->call->archive_read_open_filename(x->a, x->u->archive, BLOCK) == ARCHIVE_OK ||
           damaged(x, NULL, e);
}

bool unpack(const Unpack *u, Unpacked *out, Error *e)
{
    Unpacking x = {.u = u, .out = out, .call = archive_calls(u->archive, e)};
    *out = (Unpacked){0};
    if (!x.call)
        return false;
    x.a = x.call->archive_read_new();
    bool ok = x.a ? open_archive(&x, e) && take_all(&x, e) : error_memory(e, u->archive, BLOCK);
    if (x.a)
        x.call->archive_read_free(x.a);
    strbuf_free(&x.path);
    strbuf_free(&x.folder);
    return ok;
}
