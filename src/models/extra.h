/* models/extra.h: tensors of files that no model asks for, and why. For load.c and convert.c. */
#ifndef MODELS_EXTRA_H
#define MODELS_EXTRA_H

#include "ckpt/ckpt.h"

/* Why a tensor that nothing has asked for may be left ("a buffer"); NULL: nobody knows what it is. */
const char *tensor_extra(const CkptTensor *t);

#endif
