/* net/http.c: redirects are followed here, one request each, and not by libcurl: where a token may go and
 * what an answer on the way says is ours to decide. */
#define _GNU_SOURCE
#include "net/http.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"

bool http_is_url(const char *text)
{
    return strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0;
}

#ifndef HAVE_LIBCURL
bool http_get(const HttpRequest *r, HttpReply *reply, Error *e)
{
    *reply = (HttpReply){.fate = HTTP_UNREACHABLE, .length = -1, .whole = -1, .linked_size = -1};
    return error_set(e, ERR_FAILED,
                     "%s: downloading takes libcurl, which this build is without: build it where "
                     "libcurl's header is (libcurl4-openssl-dev)",
                     r->url);
}

const char *http_library(void)
{
    return NULL;
}
#else
#include "net/answer.h"
#include "net/curl.h"

enum { QUIET_S = 30, CONNECT_S = 15, DROPPED_MAX = 1 << 16 };

typedef struct Exchange {
    const HttpRequest *r;
    HttpReply *reply;
    Error *e;
    const CurlCalls *curl;
    CURL *handle;
    char *url;                          /* of this request */
    double started;                     /* ms */
    uint64_t taken;                     /* bytes of the body */
    size_t dropped;                     /* bytes of bodies beside redirections */
    uint64_t begins;                    /* Content-Range */
    bool sends_token, stopped, refused; /* refused: e says why */
    char why[CURL_ERROR_SIZE];
} Exchange;

static size_t on_header(char *line, size_t one, size_t n, void *user)
{
    Exchange *x = user;
    answer_line(x->reply, &x->begins, line, one * n);
    return one * n;
}

/* --- the body -------------------------------------------------------------------------------------- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool refuse_size(Exchange *x, uint64_t got, const char *least)
{
    x->refused = true;
    return error_set(x->e, ERR_FAILED, "%s: size: expected at most %llu bytes, got %s%llu",
                     x->r->url, (unsigned long long)x->r->limit, least, (unsigned long long)got);
}

/* Before the first byte: is it the body that was asked for? */
static bool check_body(Exchange *x)
{
    HttpReply *p = x->reply;
    p->from = p->status == 206 ? x->r->from : 0;
    if (p->status == 206 && x->begins != x->r->from) {
        x->refused = true;
        return error_set(x->e, ERR_FAILED,
                         "%s: expected the bytes from %llu on, got others from the server",
                         x->r->url, (unsigned long long)x->r->from);
    }
    return !x->r->limit || p->length <= (int64_t)x->r->limit ||
           refuse_size(x, (uint64_t)p->length, "");
}

static size_t on_body(char *bytes, size_t one, size_t n, void *user)
{
    Exchange *x = user;
    n *= one;
    if (is_redirect(x->reply->status)) /* libcurl says where it leads when it has been read */
        return (x->dropped += n) <= DROPPED_MAX ? n : 0;
    if (x->reply->status / 100 != 2)
        return 0;
    if (x->reply->taken == 0 && !check_body(x))
        return 0;
    if (x->r->limit && x->reply->taken + n > x->r->limit)
        return refuse_size(x, x->reply->taken + n, "at least ") ? n : 0;
    if (x->r->sink && !x->r->sink(x->r->user, x->reply, bytes, n, x->e)) {
        x->refused = true;
        return 0;
    }
    x->reply->taken += n;
    return n;
}

static int on_time(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    Exchange *x = user;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    x->stopped = x->r->stop && x->r->stop(x->r->user);
    return x->stopped;
}

/* --- one request ----------------------------------------------------------------------------------- */

/* Two addresses with the same scheme, host and port. */
static bool same_origin(const Exchange *x, const char *a, const char *b)
{
    static const CURLUPart PARTS[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    CURLU *u[2] = {x->curl->url(), x->curl->url()};
    const char *text[2] = {a, b};
    bool same = u[0] && u[1];
    for (int i = 0; i < 2 && same; i++)
        same = x->curl->url_set(u[i], CURLUPART_URL, text[i], 0) == CURLUE_OK;
    for (int k = 0; k < 3 && same; k++) {
        char *part[2] = {NULL, NULL};
        for (int i = 0; i < 2 && same; i++)
            same = x->curl->url_get(u[i], PARTS[k], &part[i], CURLU_DEFAULT_PORT) == CURLUE_OK;
        same = same && strcasecmp(part[0], part[1]) == 0;
        for (int i = 0; i < 2; i++)
            x->curl->free(part[i]);
    }
    for (int i = 0; i < 2; i++)
        x->curl->url_cleanup(u[i]);
    return same;
}

/* curl's command and Python's requests know these; libcurl by itself does not. */
static void trust(const Exchange *x)
{
    static const char *const NAMES[] = {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"};
    for (int i = 0; i < 2; i++) {
        const char *file = getenv(NAMES[i]);
        if (file && *file) {
            x->curl->easy_setopt(x->handle, CURLOPT_CAINFO, file);
            return;
        }
    }
}

static long ms_left(const Exchange *x)
{
    double left = x->r->total_s * 1e3 - (now_ms() - x->started);
    return x->r->total_s == 0 ? 0 : left < 1 ? 1 : (long)left;
}

static void set_limits(const Exchange *x)
{
    const CurlCalls *c = x->curl;
    long quiet = x->r->quiet_s ? x->r->quiet_s : QUIET_S;
    c->easy_setopt(x->handle, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    c->easy_setopt(x->handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    c->easy_setopt(x->handle, CURLOPT_LOW_SPEED_TIME, quiet);
    c->easy_setopt(x->handle, CURLOPT_TIMEOUT_MS, ms_left(x));
    c->easy_setopt(x->handle, CURLOPT_NOSIGNAL, 1L);
    c->easy_setopt(x->handle, CURLOPT_FOLLOWLOCATION, 0L);
    c->easy_setopt(x->handle, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
}

static void set_callbacks(Exchange *x)
{
    const CurlCalls *c = x->curl;
    c->easy_setopt(x->handle, CURLOPT_ERRORBUFFER, x->why);
    c->easy_setopt(x->handle, CURLOPT_HEADERFUNCTION, on_header);
    c->easy_setopt(x->handle, CURLOPT_HEADERDATA, x);
    c->easy_setopt(x->handle, CURLOPT_WRITEFUNCTION, on_body);
    c->easy_setopt(x->handle, CURLOPT_WRITEDATA, x);
    c->easy_setopt(x->handle, CURLOPT_XFERINFOFUNCTION, on_time);
    c->easy_setopt(x->handle, CURLOPT_XFERINFODATA, x);
    c->easy_setopt(x->handle, CURLOPT_NOPROGRESS, 0L);
    c->easy_setopt(x->handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    c->easy_setopt(x->handle, CURLOPT_USERAGENT, "blip2/" BLIP2_VERSION);
}

/* The headers of the request; NULL with *ok false: out of memory. */
static struct curl_slist *headers(const Exchange *x, bool *ok)
{
    struct curl_slist *list = NULL;
    StrBuf line = {0};
    *ok = true;
    if (!x->r->bearer || !x->sends_token)
        return NULL;
    strbuf_printf(&line, "Authorization: Bearer %s", x->r->bearer);
    if (!line.failed)
        list = x->curl->slist_append(NULL, line.data);
    strbuf_free(&line);
    *ok = list != NULL;
    return list;
}

static CURLcode perform(Exchange *x)
{
    const CurlCalls *c = x->curl;
    char range[32];
    bool ok;
    struct curl_slist *list = headers(x, &ok);
    if (!ok)
        return CURLE_OUT_OF_MEMORY;
    x->why[0] = 0;
    set_limits(x);
    c->easy_setopt(x->handle, CURLOPT_URL, x->url);
    c->easy_setopt(x->handle, CURLOPT_HTTPHEADER, list);
    if (x->r->head)
        c->easy_setopt(x->handle, CURLOPT_NOBODY, 1L);
    if (x->r->from) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)x->r->from);
        c->easy_setopt(x->handle, CURLOPT_RANGE, range);
    }
    CURLcode got = c->easy_perform(x->handle);
    c->easy_setopt(x->handle, CURLOPT_HTTPHEADER, NULL);
    c->slist_free_all(list);
    return got;
}

/* --- what became of it ----------------------------------------------------------------------------- */

static HttpFate fate_of(const Exchange *x, CURLcode got)
{
    double connected = 0;
    switch (got) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return HTTP_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
        x->curl->easy_getinfo(x->handle, CURLINFO_CONNECT_TIME, &connected);
        if (x->r->total_s && now_ms() - x->started >= x->r->total_s * 1e3 - 1)
            return HTTP_REFUSED;
        return connected > 0 ? HTTP_CUT : HTTP_UNREACHABLE;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return HTTP_REFUSED;
    default: return HTTP_CUT;
    }
}

static bool fail(Exchange *x, CURLcode got)
{
    const char *why = x->why[0] ? x->why : x->curl->easy_strerror(got);
    x->reply->fate = HTTP_REFUSED;
    if (x->refused)
        return false;
    if (x->stopped)
        return error_set(x->e, ERR_STOPPED, "%s: stopped", x->r->url);
    if (got == CURLE_OUT_OF_MEMORY)
        return error_memory(x->e, x->r->url, 4096);
    x->reply->fate = fate_of(x, got);
    if (x->reply->fate == HTTP_UNREACHABLE)
        return error_set(x->e, ERR_FAILED, "%s: no connection: %s", x->r->url, why);
    if (x->reply->fate == HTTP_CUT)
        return error_set(x->e, ERR_FAILED, "%s: the transfer broke off: %s", x->r->url, why);
    return error_set(x->e, ERR_FAILED, "%s: %s", x->r->url, why);
}

static bool take_url(Exchange *x, const char *url)
{
    char *copy = mem_strdup(url);
    if (!copy)
        return error_memory(x->e, x->r->url, strlen(url));
    mem_free(x->url);
    x->url = copy;
    return true;
}

/* Whether, and if so that, the answer leads on. `go`: there is another request to make. */
static bool follow(Exchange *x, int hops, bool *go)
{
    char *to = NULL;
    *go = false;
    x->reply->fate = HTTP_REFUSED;
    x->curl->easy_getinfo(x->handle, CURLINFO_REDIRECT_URL, &to);
    if (!to)
        return error_set(x->e, ERR_FAILED, "%s: expected an address with status %d, got none",
                         x->r->url, x->reply->status);
    bool tagged = x->reply->etag[0] || x->reply->linked[0];
    if (x->r->head && tagged && !same_origin(x, x->r->url, to))
        return true;
    if (hops >= x->r->redirects)
        return error_set(x->e, ERR_FAILED, "%s: expected at most %d redirections, got more",
                         x->r->url, x->r->redirects);
    if (!http_is_url(to))
        return error_set(x->e, ERR_FAILED, "%s: expected to be redirected to HTTP, got %.*s",
                         x->r->url, (int)strcspn(to, "/"), to);
    if (strncasecmp(x->url, "https:", 6) == 0 && strncasecmp(to, "https:", 6) != 0)
        return error_set(x->e, ERR_FAILED,
                         "%s: redirected from https to http, which anybody on the way could read "
                         "and change",
                         x->r->url);
    x->sends_token = same_origin(x, x->r->url, to);
    if (x->sends_token) /* what a server says of a file it says when it has or gives it away */
        x->reply->etag[0] = x->reply->linked[0] = 0;
    *go = true;
    return take_url(x, to);
}

static bool finish(Exchange *x, Error *e)
{
    HttpReply *p = x->reply;
    if (p->status / 100 == 2 || (x->r->head && is_redirect(p->status))) {
        p->fate = HTTP_DONE;
        /* An empty body never came to on_body. */
        if (p->taken > 0 || x->r->head || !x->r->sink || p->status == 206)
            return true;
        bool taken = x->r->sink(x->r->user, p, "", 0, e);
        p->fate = taken ? HTTP_DONE : HTTP_REFUSED;
        return taken;
    }
    p->fate = HTTP_STATUS;
    return error_set(e, ERR_FAILED, "%s: the server answers with status %d", x->r->url, p->status);
}

static bool exchange(Exchange *x)
{
    bool go = true;
    for (int hops = 0; go; hops++) {
        CURLcode got = perform(x);
        bool answered = got == CURLE_OK || (got == CURLE_WRITE_ERROR && !x->refused &&
                                            x->reply->status && x->reply->status / 100 != 2);
        if (!answered)
            return fail(x, got);
        go = is_redirect(x->reply->status);
        if (go && !follow(x, hops, &go))
            return false;
    }
    return finish(x, x->e);
}

/* A peer that goes away while it is written to raises SIGPIPE in this thread; how a program takes signals
 * is not ours to change. */
static bool exchange_quietly(Exchange *x)
{
    sigset_t one, before, waiting;
    sigemptyset(&one);
    sigaddset(&one, SIGPIPE);
    sigpending(&waiting);
    pthread_sigmask(SIG_BLOCK, &one, &before);
    bool ok = exchange(x);
    if (!sigismember(&waiting, SIGPIPE))
        sigtimedwait(&one, NULL, &(struct timespec){0, 0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

bool http_get(const HttpRequest *r, HttpReply *reply, Error *e)
{
    Error own = {0};
    Exchange x = {
        .r = r, .reply = reply, .e = e ? e : &own, .sends_token = true, .started = now_ms()};
    *reply = (HttpReply){.fate = HTTP_UNREACHABLE, .length = -1, .whole = -1, .linked_size = -1};
    x.curl = curl_calls(r->url, x.e);
    if (!x.curl)
        return false;
    reply->fate = HTTP_REFUSED;
    if (!http_is_url(r->url))
        return error_set(x.e, ERR_FAILED, "%s: expected http:// or https://", r->url);
    x.handle = x.curl->easy_init();
    bool ok = x.handle ? take_url(&x, r->url) : error_memory(x.e, r->url, 4096);
    if (ok) {
        set_callbacks(&x);
        trust(&x);
        ok = exchange_quietly(&x);
    }
    if (x.handle)
        x.curl->easy_cleanup(x.handle);
    mem_free(x.url);
    return ok;
}

const char *http_library(void)
{
    const CurlCalls *c = curl_calls("libcurl", NULL);
    return c ? c->version() : NULL;
}
#endif
