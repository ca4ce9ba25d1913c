/* data/libarchive.c: see data/libarchive.h. */
#include "data/libarchive.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static ArchiveCalls calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* With the lock. Only success is kept: what failed for want of memory may go well later. */
static bool load(char why[256])
{
    static bool loaded;
    void *library = loaded ? NULL : dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    if (loaded || !library) {
        const char *error = loaded ? NULL : dlerror();
        snprintf(why, 256, "%s", error ? error : "");
        return loaded;
    }
    loaded = true;
#define ARCHIVE_CALL(name) loaded = loaded && (*(void **)&calls.name = dlsym(library, #name));
    ARCHIVE_CALLS(ARCHIVE_CALL)
#undef ARCHIVE_CALL
    snprintf(why, 256, "a function is missing");
    if (!loaded)
        dlclose(library);
    return loaded;
}

const ArchiveCalls *archive_calls(const char *what, Error *e)
{
    char why[256];
    pthread_mutex_lock(&lock);
    bool here = load(why);
    pthread_mutex_unlock(&lock);
    if (here)
        return &calls;
    error_set(
        e, ERR_FAILED,
        "%s: unpacking takes libarchive, which cannot be loaded (%s); install it (libarchive13)",
        what, why);
    return NULL;
}
