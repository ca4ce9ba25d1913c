/* net/curl.h: libcurl, loaded when it is first needed. For net/http.c alone. */
#ifndef NET_CURL_H
#define NET_CURL_H

#include "base/error.h"

#define CURL_DISABLE_TYPECHECK
#define CURL_DISABLE_DEPRECATION
#include <curl/curl.h>

#define CURL_CALLS(X) \
    X(global_init)    \
    X(easy_init)      \
    X(easy_setopt)    \
    X(easy_perform)   \
    X(easy_getinfo)   \
    X(easy_cleanup)   \
    X(easy_strerror)  \
    X(slist_append)   \
    X(slist_free_all) \
    X(url)            \
    X(url_set)        \
    X(url_get)        \
    X(url_cleanup)    \
    X(version)        \
    X(free)

typedef struct CurlCalls {
#define CURL_CALL(name) __typeof__(curl_##name) *name;
    CURL_CALLS(CURL_CALL)
#undef CURL_CALL
} CurlCalls;

/* NULL: it cannot be loaded, and e says "WHAT: ... libcurl ..." and which package has it. */
const CurlCalls *curl_calls(const char *what, Error *e);

#endif
