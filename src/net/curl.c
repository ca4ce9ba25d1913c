/* net/curl.c: libcurl is loaded, not linked: a dozen other libraries come with it, and most runs of the
 * program fetch nothing. */
#ifdef HAVE_LIBCURL
#include "net/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static CurlCalls curl;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool take_calls(void *library)
{
    bool all = true;
#define CURL_CALL(name) all = all && (*(void **)&curl.name = dlsym(library, "curl_" #name));
    CURL_CALLS(CURL_CALL)
#undef CURL_CALL
    return all && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* With the lock. Debian has it under three names, by the library of TLS that it uses. Only success is kept:
 * what failed for want of memory or descriptors may go well later. */
static bool load(char why[256])
{
    static const char *const NAMES[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"};
    static bool loaded;
    why[0] = 0;
    for (int i = 0; i < 3 && !loaded; i++) {
        void *library = dlopen(NAMES[i], RTLD_NOW | RTLD_LOCAL);
        const char *error = library ? NULL : dlerror();
        loaded = library && take_calls(library);
        if (library && !loaded)
            dlclose(library);
        if (!loaded && !why[0])
            snprintf(why, 256, "%s", error ? error : "a function is missing");
    }
    return loaded;
}

const CurlCalls *curl_calls(const char *what, Error *e)
{
    char why[256];
    pthread_mutex_lock(&lock);
    bool here = load(why);
    pthread_mutex_unlock(&lock);
    if (here)
        return &curl;
    error_set(e, ERR_FAILED,
              "%s: downloading takes libcurl, which cannot be loaded (%s); install it (libcurl4)",
              what, why);
    return NULL;
}
#endif
