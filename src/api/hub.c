/* api/hub.c: the published models, fetching them, fetching pictures. */
#include <pthread.h>
#include <string.h>

#include "api/api.h"
#include "base/sys.h"
#include "ckpt/ckpt.h"
#include "ckpt/hub.h"
#include "ckpt/pull.h"
#include "net/http.h"

enum { ALIASES = 5, PICTURE_BYTES_MAX = 256 << 20, PICTURE_S = 60, PICTURE_REDIRECTS = 5 };

/* --- the zoo -------------------------------------------------------------------------------------- */

enum { ZOO_MAX = 32 };
static blip2_zoo zoo[ZOO_MAX];
static const char *aliases[ZOO_MAX][ALIASES];
static size_t zoo_n;
static pthread_once_t zoo_once = PTHREAD_ONCE_INIT;

static void fill_zoo(void)
{
    const HubModel *m;
    for (; zoo_n < ZOO_MAX && (m = hub_at((int)zoo_n)); zoo_n++) {
        size_t k = 0;
        const char **also = aliases[zoo_n];
        if (m->repo)
            also[k++] = strchr(m->repo, '/') + 1;
        for (int i = 0; m->lavis[i] && k + 1 < ALIASES; i++)
            also[k++] = m->lavis[i];
        also[k] = NULL;
        zoo[zoo_n] = (blip2_zoo){m->name, m->repo, also, m->good_for, m->licence, m->bytes};
    }
}

size_t blip2_zoo_count(void)
{
    pthread_once(&zoo_once, fill_zoo);
    return zoo_n;
}

const blip2_zoo *blip2_zoo_at(size_t i)
{
    return i < blip2_zoo_count() ? &zoo[i] : NULL;
}

/* --- finding and pulling --------------------------------------------------------------------------- */

static bool give_path(char *path, size_t size, const char *found, Error *e)
{
    size_t n = strlen(found) + 1;
    if (!path)
        return true;
    if (n > size)
        return error_set(e, ERR_USAGE, "%s: path: expected room for %zu bytes, got %zu", found, n,
                         size);
    memcpy(path, found, n);
    return true;
}

bool blip2_find(const char *path_or_name, char *path, size_t size, blip2_error *err)
{
    Error e = {0};
    char *found = model_find(path_or_name, &e);
    bool ok = found && give_path(path, size, found, &e);
    mem_free(found);
    return ok || api_error(err, &e);
}

typedef struct Listener {
    blip2_pull_fn fn;
    void *user;
} Listener;

static bool pass_on(void *user, const PullProgress *p)
{
    const Listener *l = user;
    blip2_pull_progress theirs = {p->repository,  p->licence,    p->file,       p->bytes_done,
                                  p->bytes_total, p->files_done, p->files_total};
    return l->fn(l->user, &theirs);
}

static bool check_options(const blip2_pull_options *o, Error *e)
{
    return (o->files >= 0 && o->files <= 32) ||
           error_set(e, ERR_USAGE, "files: expected 0 to 32, got %d", o->files);
}

bool blip2_pull(const char *name, const blip2_pull_options *options, char *path, size_t size,
                blip2_error *err)
{
    Error e = {0};
    char *found = NULL;
    blip2_pull_options o = {.size = sizeof o};
    size_t known = offsetof(blip2_pull_options, reserved);
    bool ok = (name || api_missing("model", &e)) &&
              (!options || sized_take(&o, known, options, "pull options", &e)) &&
              check_options(&o, &e);
    Listener l = {o.on_progress, o.user};
    PullOptions inner = {o.on_progress ? pass_on : NULL, &l, o.files};
    ok = ok && model_pull(name, &inner, &found, &e) && give_path(path, size, found, &e);
    mem_free(found);
    return ok || api_error(err, &e);
}

/* --- pictures ---------------------------------------------------------------------------------------- */

static bool add_bytes(void *user, const HttpReply *reply, const void *bytes, size_t n, Error *e)
{
    StrBuf *s = user;
    (void)reply;
    strbuf_add(s, bytes, n);
    return !s->failed || error_memory(e, "picture", s->len + n);
}

static bool fetch_picture(const char *url, StrBuf *bytes, Error *e)
{
    HttpReply reply;
    HttpRequest q = {.url = url,
                     .limit = PICTURE_BYTES_MAX,
                     .redirects = PICTURE_REDIRECTS,
                     .total_s = PICTURE_S,
                     .sink = add_bytes,
                     .user = bytes};
    return http_get(&q, &reply, e);
}

blip2_image *blip2_image_from_url(const char *url, blip2_error *err)
{
    Error e = {0};
    StrBuf bytes = {0};
    blip2_image *image = NULL;
    if (!url || !http_is_url(url))
        error_set(&e, ERR_USAGE, "%.500s: expected http://... or https://...", url ? url : "NULL");
    else if (fetch_picture(url, &bytes, &e))
        image = api_image_decode(bytes.data ? bytes.data : "", bytes.len, url, &e);
    strbuf_free(&bytes);
    if (!image)
        api_error(err, &e);
    return image;
}
