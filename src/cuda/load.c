/* cuda/load.c: finds and loads the module. It is looked for beside the library or the program, in the folder of libraries
 * beside that of programs, in the folder of the build, and where the system's loader looks. */
#define _GNU_SOURCE /* dladdr */
#include "cuda/cuda.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MODULE "libblip2-cuda.so"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The folder that this code was loaded from, with its slash; "": unknown. */
static void own_folder(char folder[1024])
{
    Dl_info info;
    const char *slash = NULL;
    folder[0] = 0;
    if (dladdr((void *)&lock, &info) && info.dli_fname)
        slash = strrchr(info.dli_fname, '/');
    if (slash)
        snprintf(folder, 1024, "%.*s", (int)(slash - info.dli_fname + 1), info.dli_fname);
}

/* The path of the module in one of those folders; else its name alone. */
static void find(char path[1200])
{
    char own[1024];
    own_folder(own);
    const char *const place[][2] = {
        {own, ""}, {own, "../lib/"}, {own, BLIP2_CUDA_LIBDIR}, {BLIP2_BUILD_DIR, ""}};
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        snprintf(path, 1200, "%s%s" MODULE, place[i][0], place[i][1]);
        if (place[i][0][0] && access(path, R_OK) == 0)
            return;
    }
    snprintf(path, 1200, MODULE);
}

static const CudaModule *refuse(void *library, Error *e, const char *path, const char *what)
{
    error_set(e, ERR_USAGE, "cuda: %s: %s", path, what);
    dlclose(library);
    return NULL;
}

static const CudaModule *load(Error *e)
{
    static const size_t SIZES[] = CUDA_MODULE_SIZES;
    char path[1200];
    find(path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        if (strchr(path, '/'))
            error_set(e, ERR_USAGE, "cuda: %s", why ? why : path);
        else
            error_set(e, ERR_USAGE,
                      "cuda: " MODULE " is not installed: this program computes on the CPU only");
        return NULL;
    }
    const CudaModule *m = dlsym(library, "blip2_cuda_module");
    if (!m)
        return refuse(library, e, path, "this is no module of blip2");
    if (strcmp(m->version, BLIP2_VERSION) != 0 || memcmp(m->sizes, SIZES, sizeof SIZES) != 0)
        return refuse(library, e, path,
                      "expected the module of this build, version " BLIP2_VERSION
                      ", got another one");
    return m;
}

/* Once loaded it stays: a card's driver does not like to be unloaded. What failed may go well later. */
static const CudaModule *module(Error *e)
{
    static const CudaModule *loaded;
    pthread_mutex_lock(&lock);
    if (!loaded)
        loaded = load(e);
    const CudaModule *m = loaded;
    pthread_mutex_unlock(&lock);
    return m;
}

Device *cuda_device(int index, Error *e)
{
    const CudaModule *m = module(e);
    return m ? m->open(index, e) : NULL;
}

bool cuda_card(int index, CudaCard *card, Error *e)
{
    const CudaModule *m = module(e);
    return m && m->card(index, card, e);
}
