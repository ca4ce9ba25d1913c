/* ckpt/fetch.c: continuing, checking, locking. */
#define _GNU_SOURCE
#include "ckpt/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/kind.h"

enum { TRIES = 5, REDIRECTS = 5, PIECE = 1 << 18, QUIET_S = 10 };

/* As huggingface_hub: seconds without a byte. */
static int quiet_seconds(void)
{
    const char *v = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
    int s = v ? atoi(v) : 0;
    return s > 0 && s < 100000 ? s : QUIET_S;
}

/* --- looking ------------------------------------------------------------------------------------------- */

static bool take_tag(Fetch *f, const HttpReply *p, Arena *mem, Error *e)
{
    const char *tag = p->linked[0] ? p->linked : p->etag;
    if (p->linked_size >= 0)
        f->size = p->linked_size;
    else if (p->status / 100 == 2 && p->length >= 0)
        f->size = p->length;
    if (!*tag && f->tag)
        return true;
    if (!hub_good_tag(tag))
        return error_set(e, ERR_FAILED,
                         "%s: expected an ETag of letters and digits from the server, got \"%s\"",
                         f->name, tag);
    f->tag = arena_strdup(mem, tag);
    return f->tag || error_memory(e, f->name, 160);
}

static bool enough(void *user, const HttpReply *p, const void *bytes, size_t n, Error *e)
{
    (void)user;
    (void)p;
    (void)bytes;
    (void)n;
    return error_set(e, ERR_STOPPED, "enough");
}

bool fetch_look(Fetch *f, const HubRemote *h, Arena *mem, Error *e)
{
    HttpReply reply;
    Error why = {0};
    HttpRequest q = {.url = f->url,
                     .bearer = h->token[0] ? h->token : NULL,
                     .head = true,
                     .redirects = REDIRECTS,
                     .quiet_s = quiet_seconds(),
                     .stop = h->stop,
                     .user = h->user};
    bool ok = hub_get(h, &q, &reply, &why);
    if (!ok && reply.fate == HTTP_STATUS && (reply.status == 405 || reply.status == 501)) {
        why = (Error){0}; /* it has no HEAD: the beginning of a GET says the same */
        q.head = false;
        q.sink = enough;
        ok = http_get(&q, &reply, &why) || (reply.fate == HTTP_REFUSED && reply.status / 100 == 2);
    }
    if (ok)
        return take_tag(f, &reply, mem, e);
    return hub_explain(h, &reply, f->name, &why, e);
}

bool fetch_is_here(const Fetch *f)
{
    struct stat st;
    return stat(f->place, &st) == 0 && S_ISREG(st.st_mode) &&
           (f->size < 0 || st.st_size == f->size);
}

/* --- the part on disk ----------------------------------------------------------------------------------- */

typedef struct Download {
    Fetch *f;
    const HubRemote *h;
    int fd;
    uint64_t have; /* bytes in the part */
    Hash hash;     /* of them, if checked */
    bool checked, changed;
} Download;

static bool fail_errno(const char *path, Error *e)
{
    int why = errno;
    if (why == ENOMEM)
        return error_memory(e, path, 0);
    return error_set(e, ERR_FAILED, "%s: %s", path, strerror(why));
}

/* What the digest is compared with. */
static const char *digest(const Fetch *f)
{
    return f->sum ? f->sum : f->tag;
}

/* The digest that the sum or the tag is; git's begins with the size. A tag of 32 digits may be anything. */
static void begin_hash(Download *d)
{
    char head[40];
    size_t n = strlen(digest(d->f));
    bool digits = strspn(digest(d->f), "0123456789abcdef") == n;
    bool git = n == 40 && d->f->size >= 0;
    d->checked = digits && (n == 64 || git || (n == 32 && d->f->sum));
    if (!d->checked)
        return;
    hash_begin(&d->hash, n == 64 ? HASH_SHA256 : n == 40 ? HASH_SHA1 : HASH_MD5);
    if (n == 40)
        hash_add(&d->hash, head,
                 (size_t)snprintf(head, sizeof head, "blob %lld", (long long)d->f->size) + 1);
}

static bool restart(Download *d, Error *e)
{
    d->have = 0;
    atomic_store(&d->f->done, 0);
    begin_hash(d);
    return ftruncate(d->fd, 0) == 0 || fail_errno(d->f->part, e);
}

/* What is there is hashed again: nobody knows who wrote it. */
static bool hash_part(Download *d, uint64_t size, Error *e)
{
    unsigned char *piece = mem_alloc(PIECE);
    bool ok = piece || error_memory(e, d->f->part, PIECE);
    while (ok && d->have < size) {
        ssize_t n = pread(d->fd, piece, PIECE, (off_t)d->have);
        if (n < 0 && errno == EINTR)
            continue;
        ok = n > 0 || fail_errno(d->f->part, e);
        if (ok && d->checked)
            hash_add(&d->hash, piece, (size_t)n);
        d->have += ok ? (size_t)n : 0;
        if (ok && d->h->stop && d->h->stop(d->h->user))
            ok = error_set(e, ERR_STOPPED, "%s: stopped", d->f->name);
    }
    mem_free(piece);
    atomic_store(&d->f->done, d->have);
    return ok;
}

static bool open_part(Download *d, Error *e)
{
    struct stat st;
    d->fd = open(d->f->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (d->fd < 0 || fstat(d->fd, &st) != 0)
        return fail_errno(d->f->part, e);
    if (!S_ISREG(st.st_mode))
        return error_set(e, ERR_FAILED, "%s: expected a file, got something else", d->f->part);
    if (d->f->size >= 0 && st.st_size > d->f->size)
        return restart(d, e);
    begin_hash(d);
    return hash_part(d, (uint64_t)st.st_size, e);
}

/* The command that continues. */
static const char *again(const HubRemote *h)
{
    return h->what ? "prepare" : "pull";
}

/* --- what comes ------------------------------------------------------------------------------------------ */

static bool same_content(Download *d, const HttpReply *p, Error *e)
{
    const char *tag = p->linked[0] ? p->linked : p->etag;
    if (!*tag || strcmp(tag, d->f->tag) == 0)
        return true;
    d->changed = true;
    return error_set(e, ERR_FAILED, "%s: changed while it was fetched: %s again", d->f->name,
                     again(d->h));
}

static bool write_piece(Download *d, const char *bytes, size_t n, Error *e)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = pwrite(d->fd, bytes + at, n - at, (off_t)(d->have + at));
        if (k < 0 && errno != EINTR)
            return fail_errno(d->f->part, e);
        at += k > 0 ? (size_t)k : 0;
    }
    if (d->checked)
        hash_add(&d->hash, bytes, n);
    d->have += n;
    atomic_store(&d->f->done, d->have);
    return true;
}

static bool take_piece(void *user, const HttpReply *p, const void *bytes, size_t n, Error *e)
{
    Download *d = user;
    if (p->taken == 0 && !same_content(d, p, e))
        return false;
    if (p->taken == 0 && p->from != d->have && !restart(d, e))
        return false;
    if (d->f->size >= 0 && d->have + n > (uint64_t)d->f->size)
        return error_set(e, ERR_FAILED, "%s: size: expected %lld bytes, got more", d->f->name,
                         (long long)d->f->size);
    return write_piece(d, bytes, n, e);
}

static bool stop_download(void *user)
{
    const HubRemote *h = ((const Download *)user)->h;
    return h->stop && h->stop(h->user);
}

static bool request_rest(Download *d, HttpReply *reply, Error *e)
{
    HttpRequest q = {.url = d->f->url,
                     .bearer = d->h->token[0] ? d->h->token : NULL,
                     .from = d->have,
                     .redirects = REDIRECTS,
                     .quiet_s = quiet_seconds(),
                     .sink = take_piece,
                     .stop = stop_download,
                     .user = d};
    return http_get(&q, reply, e);
}

static bool is_whole(const Download *d)
{
    return d->f->size >= 0 && d->have == (uint64_t)d->f->size;
}

/* Until the size is reached; where the server does not say it, until an answer comes to its end. As long as
 * bytes come, a connection may break as often as it likes. */
static bool download(Download *d, Error *e)
{
    for (int tries = 0; !is_whole(d); tries++) {
        Error why = {0};
        HttpReply reply;
        uint64_t before = d->have;
        bool ended = request_rest(d, &reply, &why);
        if (ended && d->f->size < 0)
            return true;
        if (is_whole(d))
            return true;
        if (d->have > before)
            tries = 0;
        if (ended) {
            reply.fate = HTTP_CUT;
            error_set(&why, ERR_FAILED, "%s: size: expected %lld bytes, got %llu", d->f->name,
                      (long long)d->f->size, (unsigned long long)d->have);
        }
        bool gone = reply.fate == HTTP_STATUS && reply.status == 416;
        if (gone && before == 0)
            return hub_explain(d->h, &reply, d->f->name, &why, e);
        if (gone && !restart(d, e))
            return false;
        if (!gone && (tries + 1 >= TRIES ||
                      !(hub_worth_again(&reply) || (reply.fate == HTTP_UNREACHABLE && before))))
            return hub_explain(d->h, &reply, d->f->name, &why, e);
        if (!gone && !hub_wait(d->h, &reply, tries, d->f->name, e))
            return false;
    }
    return true;
}

/* --- is it right? ---------------------------------------------------------------------------------------- */

/* A zip archive has its directory's end within the last 64 KiB and 22 bytes (APPNOTE 4.3.16); the layout
 * before PyTorch 1.6 is a pickle, of which only the beginning can be told. */
static bool check_torch(const Download *d, Error *e)
{
    enum { TAIL = 65557 };
    MappedFile m = {0};
    if (!file_map(&m, d->f->part, ERR_FAILED, e))
        return false;
    size_t from = m.size > TAIL ? m.size - TAIL : 0;
    bool zip = m.size > 4 && memcmp(m.data, "PK\3\4", 4) == 0;
    bool good = m.size > 4 && file_is_torch(m.data, m.size) &&
                (!zip || memmem(m.data + from, m.size - from, "PK\5\6", 4));
    const char *kind = m.size ? file_kind(m.data, m.size) : "an empty file";
    if (!good)
        error_set(e, ERR_FAILED, "%s: expected a whole file of torch.save, got %s", d->f->name,
                  zip    ? "one without its end"
                  : kind ? kind
                         : "something else");
    file_unmap(&m);
    return good;
}

static bool check(Download *d, Error *e)
{
    char sum[HASH_TEXT];
    if (d->f->torch && !check_torch(d, e))
        return false;
    if (!d->checked)
        return true;
    Hash whole = d->hash;
    hash_end(&whole, sum);
    return strcmp(sum, digest(d->f)) == 0 ||
           error_set(e, ERR_FAILED,
                     "%s: checksum: expected %s, got %s: damaged on the way, %s again", d->f->name,
                     digest(d->f), sum, again(d->h));
}

static bool put_in_place(Download *d, Error *e)
{
    if (fsync(d->fd) != 0)
        return fail_errno(d->f->part, e);
    return rename(d->f->part, d->f->place) == 0 || fail_errno(d->f->place, e);
}

/* A part that was here before may be anybody's: what is wrong with it is no reason to give up. */
static bool fetch_part(Download *d, Error *e)
{
    Error first = {0};
    if (!open_part(d, e))
        return false;
    bool old = d->have > 0, good = false;
    if (!download(d, e))
        return false;
    good = check(d, &first);
    if (!good && old && first.code == ERR_FAILED) {
        first = (Error){0};
        good = restart(d, e) && download(d, e) && check(d, &first);
    }
    if (!good && first.code) {
        unlink(d->f->part);
        return error_set(e, first.code, "%s", first.message);
    }
    return good && put_in_place(d, e);
}

/* --- one at a time --------------------------------------------------------------------------------------- */

/* The locks of huggingface_hub (filelock) are flock()s on the same names. Where there are none, on some
 * network file systems, it goes without. Returns a descriptor; -1 without a lock. */
static int take_lock(const Fetch *f, const HubRemote *h, bool *stopped)
{
    int fd = f->lock ? open(f->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666) : -1;
    *stopped = false;
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        *stopped = h->stop && h->stop(h->user);
        if (*stopped)
            break;
        nanosleep(&(struct timespec){0, 50 * 1000000L}, NULL);
    }
    return fd;
}

bool fetch_file(Fetch *f, const HubRemote *h, Error *e)
{
    bool stopped = false;
    Download d = {.f = f, .h = h, .fd = -1};
    int lock = fetch_is_here(f) ? -1 : take_lock(f, h, &stopped);
    bool ok = !stopped || error_set(e, ERR_STOPPED, "%s: stopped", f->name);
    if (ok && !fetch_is_here(f))
        ok = fetch_part(&d, e);
    if (ok && f->size >= 0)
        atomic_store(&f->done, (unsigned long long)f->size);
    if (d.fd >= 0)
        close(d.fd);
    if (lock >= 0)
        close(lock);
    return ok;
}
