/* cuda/module/stream.c: copies, scratch memory and errors of a stream.
 *
 * Small uploads are copied to pinned memory and go from there while the host goes on; when the pinned memory is full,
 * the stream is waited for once. */
#include "cuda/module/stream.h"

#include <stdio.h>
#include <string.h>

enum { STAGED_MOST = 1 << 20 }; /* a larger copy is worth waiting for */

static bool good(Stream *on, cudaError_t got, const char *what)
{
    cuda_note(on, got, what);
    if (got != cudaSuccess)
        cudaGetLastError(); /* forgets it, unless the card is lost */
    return got == cudaSuccess;
}

static bool wait(Stream *on)
{
    CudaStream *c = (CudaStream *)on;
    c->up.used = 0;
    return good(on, cudaStreamSynchronize(c->s), "waiting");
}

static bool upload(Stream *on, void *to, const void *from, size_t bytes)
{
    CudaStream *c = (CudaStream *)on;
    cudaSetDevice(c->index);
    if (bytes > STAGED_MOST)
        return good(on, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, c->s), "upload") &&
               wait(on);
    if (c->up.used + bytes > c->up.size && !wait(on))
        return false;
    char *at = c->up.at + c->up.used;
    memcpy(at, from, bytes);
    c->up.used += (bytes + 63) / 64 * 64;
    return good(on, cudaMemcpyAsync(to, at, bytes, cudaMemcpyHostToDevice, c->s), "upload");
}

static bool download(Stream *on, void *to, const void *from, size_t bytes)
{
    CudaStream *c = (CudaStream *)on;
    bool small = bytes <= c->down.size;
    cudaSetDevice(c->index);
    if (!good(on,
              cudaMemcpyAsync(small ? c->down.at : to, from, bytes, cudaMemcpyDeviceToHost, c->s),
              "download") ||
        !wait(on) || c->failed != cudaSuccess)
        return false;
    if (small)
        memcpy(to, c->down.at, bytes);
    return true;
}

static bool synchronise(Stream *on, Error *e)
{
    CudaStream *c = (CudaStream *)on;
    cudaSetDevice(c->index);
    wait(on);
    if (c->failed == cudaSuccess)
        return true;
    error_set(e, c->failed == cudaErrorMemoryAllocation ? ERR_MEMORY : ERR_FAILED,
              "cuda:%d: %s: %s", c->index, c->where, cudaGetErrorString(c->failed));
    c->failed = cudaSuccess;
    return false;
}

static void zero(Stream *on, void *p, size_t bytes)
{
    good(on, cudaMemsetAsync(p, 0, bytes, cuda_stream_of(on)), "zero");
}

void *cuda_scratch(Stream *on, int which, size_t bytes)
{
    CudaStream *c = (CudaStream *)on;
    bytes = bytes ? bytes : 1;
    if (bytes <= c->scratch_size[which])
        return c->scratch[which];
    if (c->scratch[which])
        cudaFreeAsync(c->scratch[which], c->s);
    bytes += bytes / 4; /* what grows by and by is not asked for each time */
    c->scratch_size[which] = bytes;
    if (cudaMallocAsync(&c->scratch[which], bytes, c->s) != cudaSuccess) {
        cudaGetLastError();
        c->scratch[which] = NULL;
        c->scratch_size[which] = 0;
    }
    return c->scratch[which];
}

bool cuda_shared(Stream *on, const void *kernel, size_t bytes)
{
    CudaStream *c = (CudaStream *)on;
    if (bytes <= 48 * 1024)
        return true;
    if (bytes > (size_t)c->shared)
        return good(on, cudaErrorInvalidConfiguration, "attention: shared memory");
    return good(
        on, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),
        "attention: shared memory");
}

void cuda_install_memory(Backend *b)
{
    b->upload = upload;
    b->download = download;
    b->sync = synchronise;
    b->zero = zero;
}
