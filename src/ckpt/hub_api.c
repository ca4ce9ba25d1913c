/* ckpt/hub_api.c: GET /api/models/OWNER/NAME/revision/main, as huggingface_hub/hf_api.py asks. */
#include "ckpt/hub_api.h"

#include <string.h>
#include <time.h>

#include "base/json.h"

enum {
    ANSWER_MAX = 16 << 20,
    ENTRIES_MAX = 100000,
    TRIES = 5,
    WAIT_MAX_MS = 60000,
    REDIRECTS = 5,
    ASK_S = 60
};

/* --- whom to ask ----------------------------------------------------------------------------------- */

bool hub_remote_init(HubRemote *h, Error *e)
{
    StrBuf s = {0};
    h->endpoint = NULL;
    hub_token(h->token);
    hub_add_endpoint(&s);
    if (s.failed || !(h->endpoint = mem_strdup(s.data)))
        error_memory(e, "HF_ENDPOINT", s.cap);
    else if (!http_is_url(h->endpoint))
        error_set(e, ERR_USAGE, "HF_ENDPOINT: expected http://... or https://..., got %.200s",
                  h->endpoint);
    strbuf_free(&s);
    return h->endpoint && http_is_url(h->endpoint);
}

void hub_remote_free(HubRemote *h)
{
    mem_free(h->endpoint);
    memset(h, 0, sizeof *h);
}

/* --- again ----------------------------------------------------------------------------------------- */

bool hub_worth_again(const HttpReply *p)
{
    return p->fate == HTTP_CUT || (p->fate == HTTP_STATUS &&
                                   (p->status == 408 || p->status == 429 || p->status / 100 == 5));
}

bool hub_wait(const HubRemote *h, const HttpReply *p, int tries, const char *what, Error *e)
{
    enum { SLICE_MS = 50 };
    int ms = p->wait ? p->wait * 1000 : 250 << (tries < 6 ? tries : 6);
    if (ms > WAIT_MAX_MS)
        ms = WAIT_MAX_MS;
    for (; ms > 0; ms -= SLICE_MS) {
        if (h->stop && h->stop(h->user))
            return error_set(e, ERR_STOPPED, "%s: stopped", what);
        nanosleep(&(struct timespec){0, SLICE_MS * 1000000L}, NULL);
    }
    return true;
}

bool hub_get(const HubRemote *h, const HttpRequest *r, HttpReply *reply, Error *e)
{
    for (int tries = 0;; tries++) {
        Error why = {0};
        if (http_get(r, reply, &why))
            return true;
        if (!hub_worth_again(reply) || tries + 1 == TRIES)
            return error_set(e, why.code, "%s", why.message);
        if (!hub_wait(h, reply, tries, r->url, e))
            return false;
    }
}

bool hub_explain(const HubRemote *h, const HttpReply *p, const char *what, const Error *why,
                 Error *e)
{
    const char *place = h->endpoint ? h->endpoint : "the server",
               *kind = h->what ? h->what : "model";
    if (p->fate == HTTP_UNREACHABLE)
        return error_set(e, ERR_NO_MODEL, "%s: %s: cannot be fetched: %s", what, kind,
                         why->message);
    if (p->fate != HTTP_STATUS || (p->status != 401 && p->status != 403 && p->status != 404))
        return error_set(e, why->code, "%s: %s: cannot be fetched: %s", what, kind, why->message);
    if (p->status == 404)
        return error_set(e, ERR_NO_MODEL, "%s: %s: not found at %s (status 404)", what, kind,
                         place);
    if (h->what)
        return error_set(e, ERR_NO_MODEL, "%s: %s: the server does not give it (status %d)", what,
                         kind, p->status);
    if (p->status == 403 || strcmp(p->code, "GatedRepo") == 0)
        return error_set(e, ERR_NO_MODEL,
                         "%s: model: %s gives it to those who have accepted its terms (status %d): "
                         "do so on its page, and set HF_TOKEN to a token of that account",
                         what, place, p->status);
    return error_set(e, ERR_NO_MODEL, "%s: model: %s knows no such model%s (status 401)", what,
                     place,
                     h->token[0] ? ", or does not accept the token (HF_TOKEN)"
                                 : ", or wants a token for it (HF_TOKEN)");
}

/* --- a repository ---------------------------------------------------------------------------------- */

bool hub_good_tag(const char *tag)
{
    static const char ALLOWED[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t n = strlen(tag);
    return n > 0 && n <= 128 && tag[strspn(tag, ALLOWED)] == 0;
}

bool hub_good_name(const char *name)
{
    static const char ALLOWED[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t n = strlen(name);
    return n > 0 && n <= 200 && *name != '.' && name[strspn(name, ALLOWED)] == 0;
}

typedef struct Answer {
    const HubRemote *h;
    StrBuf body;
} Answer;

static bool add_bytes(void *user, const HttpReply *reply, const void *bytes, size_t n, Error *e)
{
    StrBuf *s = &((Answer *)user)->body;
    if (reply->taken == 0)
        s->len = 0; /* another try */
    strbuf_add(s, bytes, n);
    return !s->failed || error_memory(e, "answer of the hub", s->cap);
}

static bool stopped(void *user)
{
    const HubRemote *h = ((const Answer *)user)->h;
    return h->stop && h->stop(h->user);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));
    return v && *v ? v : NULL;
}

static bool take_entry(HubRepo *r, const json_t *file)
{
    const json_t *lfs = json_object_get(file, "lfs"), *size = json_object_get(file, "size");
    const char *name = text_of(file, "rfilename");
    const char *tag = lfs ? text_of(lfs, "sha256") : text_of(file, "blobId");
    if (!name || !hub_good_name(name))
        return true;
    HubEntry *x = &r->entry[r->n++];
    *x = (HubEntry){.name = arena_strdup(&r->mem, name), .size = -1};
    if (json_is_integer(size) && json_integer_value(size) >= 0)
        x->size = json_integer_value(size);
    if (tag && hub_good_tag(tag))
        x->tag = arena_strdup(&r->mem, tag);
    return x->name != NULL;
}

/* "license: mit" of the card, or a list of such. */
static const char *licence_of(const json_t *answer)
{
    const json_t *card = json_object_get(answer, "cardData");
    const json_t *list = json_object_get(card, "license");
    const char *name = text_of(card, "license_name");
    if (json_is_array(list))
        list = json_array_get(list, 0);
    const char *one = json_string_value(list);
    return one && strcmp(one, "other") == 0 && name ? name : one && *one ? one : NULL;
}

static bool read_answer(HubRepo *r, const json_t *answer, const char *url, Error *e)
{
    const char *commit = text_of(answer, "sha"), *licence = licence_of(answer);
    const json_t *files = json_object_get(answer, "siblings");
    size_t n = json_array_size(files);
    if (!commit || !hub_good_tag(commit) || !json_is_array(files) || n > ENTRIES_MAX)
        return error_set(
            e, ERR_FAILED,
            "%s: expected a commit (sha) and a list of files (siblings) in the answer, "
            "got something else",
            url);
    r->entry = arena_alloc(&r->mem, n * sizeof *r->entry);
    r->commit = arena_strdup(&r->mem, commit);
    r->licence = licence ? arena_printf(&r->mem, "%.100s", licence) : NULL;
    bool ok = r->entry && r->commit && (r->licence || !licence);
    for (size_t i = 0; i < n && ok; i++)
        ok = take_entry(r, json_array_get(files, i));
    return ok || error_memory(e, r->repo, n * sizeof *r->entry);
}

static bool ask(HubRepo *r, Answer *a, const char *url, Error *e)
{
    HttpReply reply;
    Error why = {0};
    HttpRequest q = {.url = url,
                     .bearer = a->h->token[0] ? a->h->token : NULL,
                     .limit = ANSWER_MAX,
                     .redirects = REDIRECTS,
                     .total_s = ASK_S,
                     .sink = add_bytes,
                     .stop = stopped,
                     .user = a};
    if (hub_get(a->h, &q, &reply, &why))
        return true;
    /* Some mirrors know a repository, but not its branches. */
    const char *branch = strstr(url, "/revision/main");
    if (branch && reply.fate == HTTP_STATUS && reply.status == 404) {
        const char *plain = arena_printf(&r->mem, "%.*s%s", (int)(branch - url), url,
                                         branch + sizeof "/revision/main" - 1);
        return plain ? ask(r, a, plain, e) : error_memory(e, r->repo, 256);
    }
    return hub_explain(a->h, &reply, r->repo, &why, e);
}

bool hub_repo_parse(HubRepo *r, const char *text, size_t n, const char *name, Error *e)
{
    json_t *answer = json_parse(text, n, name, ERR_FAILED, e);
    bool ok = answer && read_answer(r, answer, name, e);
    json_decref(answer);
    return ok;
}

bool hub_repo(HubRepo *r, const HubRemote *h, const char *repo, Error *e)
{
    Answer a = {.h = h};
    *r = (HubRepo){.repo = repo};
    const char *url =
        arena_printf(&r->mem, "%s/api/models/%s/revision/main?blobs=true", h->endpoint, repo);
    bool ok = url ? ask(r, &a, url, e) : error_memory(e, repo, 256);
    ok = ok && hub_repo_parse(r, a.body.data ? a.body.data : "", a.body.len, url, e);
    strbuf_free(&a.body);
    return ok;
}

void hub_repo_free(HubRepo *r)
{
    arena_free(&r->mem);
    *r = (HubRepo){0};
}

const HubEntry *hub_entry(const HubRepo *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->entry[i].name, name) == 0)
            return &r->entry[i];
    return NULL;
}
