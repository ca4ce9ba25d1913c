/* net/http.h: one GET or HEAD over HTTP or HTTPS, through libcurl. The library is loaded when the first
 * request is made, so that what fetches nothing needs none. Proxies and what certificates are trusted are
 * what libcurl takes from the environment (https_proxy, no_proxy, SSL_CERT_FILE, ...), and CURL_CA_BUNDLE
 * and REQUESTS_CA_BUNDLE. Any thread may call. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

typedef enum HttpFate {
    HTTP_DONE,        /* status is 2xx, the body came to its end */
    HTTP_STATUS,      /* the server answered with another status, whose body was not read */
    HTTP_UNREACHABLE, /* no answer: no such host, nobody listens there, no such network, no libcurl */
    HTTP_CUT,         /* broken off, or nothing came for too long: another try may do */
    HTTP_REFUSED, /* by us: not HTTP, redirected too often or downwards, too large, too slow, stopped */
} HttpFate;

typedef struct HttpReply {
    HttpFate fate;
    int status;     /* 0: none came */
    int64_t length; /* of what the sink gets, as the server says; -1: it does not */
    uint64_t taken; /* bytes that the sink has had: 0 at the first piece of a body */
    uint64_t from;  /* the first byte's place in the whole: as asked when status is 206, else 0 */
    int64_t whole;  /* bytes of the whole, when from > 0 and the server says; else -1 */
    /* ETag and X-Linked-Etag, which a hub gives for the file that it redirects to, without W/ and quotes:
     * those of the last answer of the url's own host, or else of the first that has one; "": none. */
    char etag[160], linked[160];
    int64_t linked_size; /* X-Linked-Size; -1: none */
    char commit[64];     /* X-Repo-Commit */
    char code[32];       /* X-Error-Code: "GatedRepo", "RepoNotFound", ... */
    int wait;            /* seconds, Retry-After; 0: none */
} HttpReply;

/* Takes a piece of a body, in order; false, with *e set: ends the request. */
typedef bool HttpSink(void *user, const HttpReply *reply, const void *bytes, size_t n, Error *e);

typedef struct HttpRequest {
    const char *url;
    const char
        *bearer;    /* goes to the url's own scheme, host and port, and to no other; NULL: none */
    bool head;      /* HEAD; an answer that has an ETag is not followed to another host */
    uint64_t from;  /* first byte that is wanted */
    uint64_t limit; /* bytes of the body at most; 0: any number */
    int redirects;  /* followed at most; from https only to https */
    int quiet_s;    /* seconds without a byte that end it (HTTP_CUT); 0: 30 */
    int total_s;    /* seconds that it may take altogether; 0: any */
    HttpSink *sink; /* NULL: what comes is dropped */
    bool (*stop)(
        void *user); /* asked all the time; true ends the request with ERR_STOPPED. NULL: never */
    void *user;      /* of sink and stop */
} HttpRequest;

/* true: HTTP_DONE. Otherwise e says what went wrong, beginning with the url without its query and
 * without a password; its code is ERR_FAILED but for ERR_MEMORY, ERR_STOPPED and what the sink set. */
bool http_get(const HttpRequest *r, HttpReply *reply, Error *e);

/* "libcurl/7.88.1 OpenSSL/3.0.15 ..."; NULL: it cannot be loaded, or was not there when this was built. */
const char *http_library(void);

/* "https://" or "http://", in any case. */
bool http_is_url(const char *text);

#endif
