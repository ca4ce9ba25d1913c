/* cuda/cuda.h: NVIDIA's cards as devices. What knows CUDA is a module of its own, libblip2-cuda.so (src/cuda/module),
 * which is loaded when a card is first asked for: the library itself neither links nor needs CUDA. */
#ifndef CUDA_CUDA_H
#define CUDA_CUDA_H

#include "tensor/backend.h"

/* Opens card `index`. Memory is the card's; weights are copied to it through pinned memory, matrices in panels are put
 * in rows there. A Stream's `isa` is the card's architecture ("sm_90"), its precision is kept as on the CPU: PREC_F32
 * multiplies in f32, without TF32, PREC_FAST multiplies 16-bit and int8 weights on tensor cores. StreamOptions.isa is not
 * looked at.
 *
 * NULL: ERR_USAGE (no module, no driver, one that is too old, no such card, one that is too old), ERR_MEMORY,
 * ERR_FAILED. Free with dev->close(dev). */
Device *cuda_device(int index, Error *e);

typedef struct CudaCard {
    char name[256];
    size_t memory, available; /* bytes */
    int driver;               /* the CUDA version that the driver is for: 13000 is 13.0 */
} CudaCard;

/* What card `index` is. Errors: those of cuda_device. */
bool cuda_card(int index, CudaCard *card, Error *e);

/* --- between the library and its module ----------------------------------------------------------- */

/* What the module exports, as `blip2_cuda_module`. A module of another build is refused: the tables differ. */
typedef struct CudaModule {
    const char *version;
    size_t sizes[3]; /* of Backend, Device, Stream */
    Device *(*open)(int index, Error *e);
    bool (*card)(int index, CudaCard *card, Error *e);
} CudaModule;

#define CUDA_MODULE_SIZES                               \
    {                                                   \
        sizeof(Backend), sizeof(Device), sizeof(Stream) \
    }

#endif
