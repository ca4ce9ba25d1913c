/* cuda/module/stream.h: the stream of the CUDA backend, and the entries that its kernel files give to the table.
 * Read by C (device.c, stream.c) and by CUDA C++ (*.cu). */
#ifndef CUDA_STREAM_H
#define CUDA_STREAM_H

#ifdef __cplusplus
#define _Noreturn [[noreturn]]
extern "C" {
#endif

#include <cuda_runtime_api.h>
#include "tensor/backend.h"
#include "tensor/host.h"

enum {
    SCRATCH_LINEAR, /* weights taken out of panels */
    SCRATCH_ROWS,   /* a number or a few per row */
    SCRATCH_BACK,
    SCRATCH_COUNT
};

/* Uploads lie here until they are done. */
typedef struct Staging {
    char *at; /* pinned */
    size_t size, used;
} Staging;

typedef struct CudaStream {
    Stream base;
    Backend table; /* base.k points here */
    cudaStream_t s;
    int index;      /* of the card */
    int processors; /* multiprocessors */
    int shared;     /* bytes of shared memory that a block may have */
    Staging up, down;
    void *scratch[SCRATCH_COUNT];
    size_t scratch_size[SCRATCH_COUNT];
    cudaError_t failed; /* the first thing that went wrong and has not been told */
    const char *where;
} CudaStream;

/* For what follows on this thread: another device may have been used on it in between. */
static inline cudaStream_t cuda_stream_of(Stream *on)
{
    cudaSetDevice(((CudaStream *)on)->index);
    return ((CudaStream *)on)->s;
}

/* Remembers the first failure; `what` must stay. */
static inline void cuda_note(Stream *on, cudaError_t got, const char *what)
{
    CudaStream *c = (CudaStream *)on;
    if (got == cudaSuccess || c->failed != cudaSuccess)
        return;
    c->failed = got;
    c->where = what;
}

/* At least `bytes` of device memory that stays until the next call with the same `which`. NULL: out of memory. */
void *cuda_scratch(Stream *on, int which, size_t bytes);

/* The families of the table. */
void cuda_install_memory(Backend *b);    /* stream.c: upload, download, sync, zero */
void cuda_install_linear(Backend *b);    /* linear.cu */
void cuda_install_attention(Backend *b); /* attention.cu */
void cuda_install_rows(Backend *b);      /* rows.cu */
void cuda_install_select(Backend *b);    /* select.cu */
void cuda_install_back(Backend *b);      /* back.cu */
void cuda_install_attention_back(Backend *b);

/* Room that a kernel needs beyond 48 KiB has to be asked for once per kernel. */
bool cuda_shared(Stream *on, const void *kernel, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
