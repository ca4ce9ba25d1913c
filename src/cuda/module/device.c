/* cuda/module/device.c: a card as a device: its memory, the weights that it owns, its streams; what the module gives to
 * the library. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "cuda/module/stream.h"

enum {
    SLAB = 64 << 20,  /* bytes that small weights share */
    CHUNK = 8 << 20,  /* of a copy to the card */
    CHUNKS = 2,       /* one is filled while the other goes */
    STAGED = 4 << 20, /* pinned bytes of a stream's uploads */
    LEAST_MAJOR = 8   /* compute capability: bf16 products */
};

/* Device memory with weights in it. */
typedef struct Slab {
    struct Slab *next;
    char *at;
    size_t size, used;
} Slab;

typedef struct CudaDevice {
    Device base;
    char name[16];
    int index;
    struct cudaDeviceProp about;
    pthread_mutex_t lock; /* for what follows */
    Slab *slab;           /* the first one is filled up, large weights have slabs of their own */
    char *chunk[CHUNKS];  /* pinned */
    cudaEvent_t sent[CHUNKS];
    int turn;
} CudaDevice;

/* --- memory ------------------------------------------------------------------------------------------- */

/* Device memory, or NULL: what the driver noted of it is forgotten. */
static void *take(size_t bytes)
{
    void *p = NULL;
    if (cudaMalloc(&p, bytes ? bytes : 1) == cudaSuccess)
        return p;
    cudaGetLastError();
    return NULL;
}

static void *cuda_alloc(Device *dev, size_t bytes)
{
    cudaSetDevice(((CudaDevice *)dev)->index);
    return take(bytes);
}

static void cuda_free(Device *dev, void *p)
{
    cudaSetDevice(((CudaDevice *)dev)->index);
    cudaFree(p);
}

/* A sixteenth is left to what is allocated beside, scratch among it. */
static size_t cuda_available(Device *dev)
{
    size_t left = 0, all = 0;
    cudaSetDevice(((CudaDevice *)dev)->index);
    if (cudaMemGetInfo(&left, &all) != cudaSuccess)
        return 0;
    return left - left / 16;
}

/* --- weights -------------------------------------------------------------------------------------------- */

static Slab *slab_new(size_t size)
{
    Slab *s = malloc(sizeof *s);
    char *at = s ? take(size) : NULL;
    if (!at) {
        free(s);
        return NULL;
    }
    *s = (Slab){.at = at, .size = size};
    return s;
}

/* With the lock. */
static char *room(CudaDevice *d, size_t bytes)
{
    Slab *first = d->slab;
    bytes = (bytes + 255) / 256 * 256;
    bool alone = bytes > SLAB / 4;
    if (alone || !first || first->size - first->used < bytes) {
        Slab *s = slab_new(alone ? bytes : SLAB);
        if (!s)
            return NULL;
        Slab **where = alone && first ? &first->next : &d->slab;
        s->next = *where;
        *where = s;
        s->used = bytes;
        return s->at;
    }
    char *at = first->at + first->used;
    first->used += bytes;
    return at;
}

/* With the lock. On the default stream, for which every other stream of the card waits: nobody reads a weight before it
 * is there. */
static bool send(CudaDevice *d, char *to, const char *from, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += CHUNK) {
        size_t n = bytes - done < CHUNK ? bytes - done : CHUNK;
        int i = d->turn++ % CHUNKS;
        if (cudaEventSynchronize(d->sent[i]) != cudaSuccess)
            return false;
        memcpy(d->chunk[i], from + done, n);
        if (cudaMemcpyAsync(to + done, d->chunk[i], n, cudaMemcpyHostToDevice, 0) != cudaSuccess ||
            cudaEventRecord(d->sent[i], 0) != cudaSuccess)
            return false;
    }
    return true;
}

static const void *cuda_place(Device *dev, const void *host, size_t bytes)
{
    CudaDevice *d = (CudaDevice *)dev;
    cudaSetDevice(d->index);
    pthread_mutex_lock(&d->lock);
    char *to = room(d, bytes);
    if (to && !send(d, to, host, bytes))
        to = NULL;
    pthread_mutex_unlock(&d->lock);
    return to;
}

/* --- streams --------------------------------------------------------------------------------------------- */

static void stream_close(Stream *on)
{
    CudaStream *c = (CudaStream *)on;
    cudaSetDevice(c->index);
    if (c->s)
        cudaStreamSynchronize(c->s);
    for (int i = 0; i < SCRATCH_COUNT && c->s; i++)
        if (c->scratch[i])
            cudaFreeAsync(c->scratch[i], c->s);
    if (c->s)
        cudaStreamDestroy(c->s);
    cudaFreeHost(c->up.at);
    cudaFreeHost(c->down.at);
    free(c);
}

static bool staging(Staging *s)
{
    s->size = STAGED;
    return cudaMallocHost((void **)&s->at, s->size) == cudaSuccess;
}

static void fill_table(Backend *b)
{
    *b = (Backend){0};
    cuda_install_memory(b);
    cuda_install_linear(b);
    cuda_install_attention(b);
    cuda_install_rows(b);
    cuda_install_select(b);
    cuda_install_back(b);
    cuda_install_attention_back(b);
}

static Stream *cuda_stream(Device *dev, const StreamOptions *o, Error *e)
{
    CudaDevice *d = (CudaDevice *)dev;
    CudaStream *c = calloc(1, sizeof *c);
    if (!c) {
        error_memory(e, dev->name, sizeof *c);
        return NULL;
    }
    fill_table(&c->table);
    c->base = (Stream){.k = &c->table,
                       .dev = dev,
                       .precision = o->precision,
                       .threads = o->threads > 0 ? o->threads : 1,
                       .close = stream_close};
    snprintf(c->base.isa, sizeof c->base.isa, "sm_%d%d", d->about.major, d->about.minor);
    c->index = d->index;
    c->processors = d->about.multiProcessorCount;
    c->shared = (int)d->about.sharedMemPerBlockOptin;
    cudaSetDevice(d->index);
    cudaError_t got = cudaStreamCreate(&c->s);
    if (got == cudaSuccess && staging(&c->up) && staging(&c->down))
        return &c->base;
    error_set(e, ERR_MEMORY, "%s: stream: %s", dev->name,
              cudaGetErrorString(got ? got : cudaErrorMemoryAllocation));
    cudaGetLastError();
    stream_close(&c->base);
    return NULL;
}

/* --- the device ------------------------------------------------------------------------------------------- */

static void device_close(Device *dev)
{
    CudaDevice *d = (CudaDevice *)dev;
    cudaSetDevice(d->index);
    for (int i = 0; i < CHUNKS; i++) {
        if (d->sent[i]) {
            cudaEventSynchronize(d->sent[i]);
            cudaEventDestroy(d->sent[i]);
        }
        cudaFreeHost(d->chunk[i]);
    }
    for (Slab *s = d->slab, *next; s; s = next) {
        next = s->next;
        cudaFree(s->at);
        free(s);
    }
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* Why the driver gives nothing. Always returns 0. */
static int no_driver(cudaError_t got, Error *e)
{
    int driver = 0, own = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&own);
    if (!driver)
        error_set(e, ERR_USAGE, "cuda: no NVIDIA driver is installed here");
    else if (got == cudaErrorInsufficientDriver)
        error_set(e, ERR_USAGE,
                  "cuda: driver: expected one for CUDA %d.%d or later, got CUDA %d.%d", own / 1000,
                  own % 1000 / 10, driver / 1000, driver % 1000 / 10);
    else
        error_set(e, ERR_USAGE, "cuda: %s", cudaGetErrorString(got));
    cudaGetLastError();
    return 0;
}

/* How many cards there are; 0: e says why there is none. */
static int cards(Error *e)
{
    int n = 0;
    cudaError_t got = cudaGetDeviceCount(&n);
    if (got != cudaSuccess || n == 0)
        return no_driver(got ? got : cudaErrorNoDevice, e);
    return n;
}

static bool about_card(int index, struct cudaDeviceProp *about, Error *e)
{
    int n = cards(e);
    if (n == 0)
        return false;
    if (index < 0 || index >= n)
        return error_set(e, ERR_USAGE, "cuda:%d: expected a card from 0 to %d", index, n - 1);
    cudaError_t got = cudaGetDeviceProperties(about, index);
    if (got != cudaSuccess)
        return error_set(e, ERR_FAILED, "cuda:%d: %s", index, cudaGetErrorString(got));
    if (about->major < LEAST_MAJOR)
        return error_set(e, ERR_USAGE,
                         "cuda:%d: %s: compute capability: expected %d.0 or later, got %d.%d",
                         index, about->name, LEAST_MAJOR, about->major, about->minor);
    return true;
}

static bool module_card(int index, CudaCard *card, Error *e)
{
    struct cudaDeviceProp about;
    *card = (CudaCard){0};
    if (!about_card(index, &about, e))
        return false;
    snprintf(card->name, sizeof card->name, "%s", about.name);
    cudaDriverGetVersion(&card->driver);
    cudaSetDevice(index);
    cudaError_t got = cudaMemGetInfo(&card->available, &card->memory);
    return got == cudaSuccess ||
           error_set(e, ERR_FAILED, "cuda:%d: %s: %s", index, about.name, cudaGetErrorString(got));
}

static bool device_begin(CudaDevice *d, Error *e)
{
    bool ok = cudaSetDevice(d->index) == cudaSuccess;
    for (int i = 0; ok && i < CHUNKS; i++)
        ok = cudaMallocHost((void **)&d->chunk[i], CHUNK) == cudaSuccess &&
             cudaEventCreateWithFlags(&d->sent[i], cudaEventDisableTiming) == cudaSuccess &&
             cudaEventRecord(d->sent[i], 0) == cudaSuccess;
    return ok || error_set(e, ERR_MEMORY, "%s: %s: cannot be opened: %s", d->name, d->about.name,
                           cudaGetErrorString(cudaGetLastError()));
}

static Device *module_open(int index, Error *e)
{
    CudaDevice *d = calloc(1, sizeof *d);
    if (!d) {
        error_memory(e, "cuda: device", sizeof *d);
        return NULL;
    }
    pthread_mutex_init(&d->lock, NULL);
    d->index = index;
    snprintf(d->name, sizeof d->name, "cuda:%d", index);
    d->base = (Device){.name = d->name,
                       .model = d->about.name,
                       .alloc = cuda_alloc,
                       .free = cuda_free,
                       .place = cuda_place,
                       .rows_only = true,
                       .available = cuda_available,
                       .stream = cuda_stream,
                       .close = device_close};
    if (about_card(index, &d->about, e) && device_begin(d, e))
        return &d->base;
    device_close(&d->base);
    return NULL;
}

__attribute__((visibility("default"))) extern const CudaModule blip2_cuda_module;
const CudaModule blip2_cuda_module = {BLIP2_VERSION, CUDA_MODULE_SIZES, module_open, module_card};
