/* data/prepare.c: the steps of a plan. */
#define _GNU_SOURCE
#include "data/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ckpt/layout.h"
#include "data/unpack.h"

/* --- downloads ------------------------------------------------------------------------------------------ */

static bool asks_size(const DataStep *s)
{
    return s->doing == DATA_DOWNLOAD && s->bytes < 0 &&
           !(s->source && s->source->packing == DATA_SINGLE);
}

bool data_plan_sizes(DataPlan *p, Error *e)
{
    size_t n = 0;
    Download *list = mem_calloc(p->count ? p->count : 1, sizeof *list);
    if (!list)
        return error_memory(e, p->set->name, p->count * sizeof *list);
    for (size_t i = 0; i < p->count; i++)
        if (asks_size(&p->step[i]))
            list[n++] = (Download){p->step[i].name, p->step[i].from, p->step[i].to, -1, NULL};
    bool ok = data_sizes(p->set->name, list, n, e);
    for (size_t i = p->count; ok && i-- > 0;)
        if (asks_size(&p->step[i]))
            p->step[i].bytes = list[--n].bytes;
    mem_free(list);
    return ok;
}

static bool download_all(const DataPlan *p, PullFn *progress, void *user, Error *e)
{
    size_t n = 0;
    Download *list = mem_calloc(p->count ? p->count : 1, sizeof *list);
    if (!list)
        return error_memory(e, p->set->name, p->count * sizeof *list);
    for (size_t i = 0; i < p->count; i++) {
        const DataStep *s = &p->step[i];
        if (s->doing == DATA_DOWNLOAD)
            list[n++] = (Download){s->name, s->from, s->to, s->bytes, s->sum};
    }
    bool ok = data_download(p->set->name, list, n, progress, user, e);
    mem_free(list);
    return ok;
}

/* --- archives --------------------------------------------------------------------------------------------- */

typedef struct Telling {
    PullFn *fn;
    void *user;
    PullProgress progress;
} Telling;

static bool tell(void *user, uint64_t done, uint64_t total)
{
    Telling *t = user;
    t->progress.bytes_done = done;
    t->progress.bytes_total = total;
    return t->fn(t->user, &t->progress);
}

static bool unpack_step(const DataPlan *p, const DataStep *s, PullFn *progress, void *user,
                        Error *e)
{
    Unpacked done;
    Telling t = {progress, user, {.repository = p->set->name, .file = s->name}};
    Unpack u = {.archive = s->from,
                .inside = s->source->inside,
                .begin = s->source->begin,
                .into = s->to,
                .progress = progress ? tell : NULL,
                .user = &t};
    return unpack(&u, &done, e);
}

/* --- all of it ---------------------------------------------------------------------------------------------- */

/* Two that write to one place would disturb each other. Where there are no locks, on some network file systems, it goes
 * without. Returns a descriptor, -1: error. */
static int take_root(const char *root, Error *e)
{
    if (!layout_dir(root, e))
        return -1;
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        error_set(e, ERR_FAILED, "%s: %s", root, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        error_set(e, ERR_FAILED,
                  "%s: expected nobody else to prepare data there, got another process", root);
        close(fd);
        fd = -1;
    }
    return fd;
}

bool data_carry_out(const DataPlan *p, const char *root, PullFn *progress, void *user, Error *e)
{
    int fd = take_root(root, e);
    bool ok = fd >= 0 && download_all(p, progress, user, e);
    for (size_t i = 0; i < p->count && ok; i++)
        if (p->step[i].doing == DATA_UNPACK)
            ok = unpack_step(p, &p->step[i], progress, user, e);
    if (fd >= 0)
        close(fd);
    return ok;
}
