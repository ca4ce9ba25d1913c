/* ckpt/ckpt.h: find a model, open its weights, look tensors up by name.
 *
 * A Checkpoint is a set of named tensors in mapped files, of safetensors or of PyTorch. It knows nothing of
 * models, and once open only ckpt_take and ckpt_unwrap change it. Files come from strangers: every offset, size
 * and name is checked before use, and nothing is copied but what does not lie in a row (ckpt/torch.h).
 *
 * A file must stay as it is while it is open: one that shrinks after it was mapped ends the process
 * with SIGBUS, and nothing here can prevent that. */
#ifndef CKPT_CKPT_H
#define CKPT_CKPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "tensor/dtype.h"

#define CKPT_MAX_RANK 8

/* LAVIS' files are loaded one over the other: a tensor that a later one has as well counts there. What the
 * base files have beyond that is left (their loading is not strict). */
enum { PIECE_VIT = -2, PIECE_LANGUAGE = -1, PIECE_MODEL = 0 };

typedef struct CkptTensor {
    const char *name;  /* in the file, for messages */
    const char *given; /* that, with the part it belongs to in front where the file leaves it out */
    const char
        *key;  /* by which it is looked up: the canonical name, once ckpt_unwrap has been called */
    int piece; /* PIECE_...: from which of the files that together are a model */
    DType dtype;
    int rank;
    int64_t shape[CKPT_MAX_RANK];
    const void *data; /* in the mapping, or a copy; aligned to nothing in particular */
    size_t bytes;
    const char *file; /* path of the file it lies in, for messages */
    bool used;        /* set by ckpt_take */
    bool copied;      /* data is memory of the Checkpoint's own */
    bool panels;      /* data lies in panels (tensor/panel.h), of a matrix [shape[0], all others] */
} CkptTensor;

typedef struct Checkpoint Checkpoint;

/* Opens all weights of a directory: model.safetensors, or model.safetensors.index.json with its
 * shards, or pytorch_model.bin, or pytorch_model.bin.index.json with its shards, the first of them that is
 * there. Errors: ERR_NO_MODEL (no such directory, no weights in it), ERR_BAD_MODEL, ERR_MEMORY.
 * What is checked of a file stands at safetensors_parse and torch_parse; of an index: that its shards are plain
 * names of files that are there, and that each tensor lies where it says. Tensors of a shard that
 * the index does not name are kept, unless another one has the name: whoever reports what is left
 * unused sees them. Free with ckpt_close; tensors point into it. */
Checkpoint *ckpt_open(const char *dir, Error *e);
void ckpt_close(Checkpoint *c);

/* One file on its own, told by its first bytes: safetensors, or a .bin, .pt or .pth of PyTorch (also used
 * by tests to read goldens). Its tensors have the names that the file gives them. */
Checkpoint *ckpt_open_file(const char *path, Error *e);

const char *ckpt_path(const Checkpoint *c);
/* Of a file that this program has packed: text i of its __metadata__ whose key begins with "blip2.", in the
 * order of the file. NULL: there are not so many. */
typedef struct CkptText {
    const char *key, *text;
    size_t size;
} CkptText;
const CkptText *ckpt_text(const Checkpoint *c, size_t i);
size_t ckpt_count(const Checkpoint *c);
CkptTensor *ckpt_at(Checkpoint *c, size_t i); /* in order of the name they are looked up by */
/* By the name in current Hugging Face files; older spellings (ckpt/names.h) are tried after it, so
 * the tensor's own name may differ. NULL: not there. */
CkptTensor *ckpt_find(Checkpoint *c, const char *name);

/* As ckpt_find, and marks it used: what is left over can then be reported. */
CkptTensor *ckpt_take(Checkpoint *c, const char *name);

/* Programs that wrap a model (data parallel, torch.compile, ...) save it with their own names between
 * its: "module.", "_orig_mod." and the like, or with one in front of all. From now on tensors are looked
 * up without them: wrappers are known names wherever they stand, and, when `known` is found only behind
 * something, that. Nothing changes where two tensors would get one name. *changed is how many names did, *first
 * (NULL: not asked for) the first of them. After that names of other families of files become
 * canonical (ckpt/names.h), and a tensor that a later piece of the model has as well is gone. false: out of memory. */
bool ckpt_unwrap(Checkpoint *c, const char *known, size_t *changed, const char **first, Error *e);

/* The tensor not used whose name is nearest to one that is missing; NULL: none is near. */
const CkptTensor *ckpt_nearest(const Checkpoint *c, const char *name);

/* With what the weights were quantised, if they are in a way that this program does not read, told by
 * the names of what lies beside them; NULL: they are not. */
const char *ckpt_quantised(const Checkpoint *c);

/* Tells the kernel that this tensor's bytes, having been copied, will not be read again: its pages
 * stop counting as this process's memory. Reading it stays correct. Never fails. */
void ckpt_done_with(const CkptTensor *t);

/* The same of all that has been read of the files, neighbours' pages included, which come along with huge ones. What is
 * still in use is read again. */
void ckpt_rest(const Checkpoint *c);
/* Asks for huge pages for what is read from the files from here on: where the system reads a file by 128 KiB and can keep it in pages of 2 MiB,
 * it does so. Only when all of the weights will be wanted, not a few of them: each touch reads 4 MiB. Where it cannot, nothing changes. */
void ckpt_huge(const Checkpoint *c);

/* Where a model named on the command line lives: an existing directory is itself; otherwise a name is
 * looked for in $BLIP2_MODELS (colon-separated), share/blip2/models beside the running program's bin/
 * and the library's directory, the sources' models/ (what was built there) or the installed prefix's
 * share/blip2/models (what was installed; the other one after it), and Hugging Face's cache (a
 * repository's name or a published model's, ckpt/hub.h). NULL name: "scenes", never a directory of that
 * name that happens to be here. A folder of that cache (models--OWNER--NAME) stands for the snapshot in
 * it. What is not there, or no directory (a URL, a file), gets ERR_NO_MODEL with what to do. The path
 * is mem_alloc'd. */
char *model_find(const char *name, Error *e);

/* The known name that is nearest to a mistyped one; NULL: none is near. */
const char *model_nearest(const char *name);

/* ERR_NO_MODEL unless dir is a directory. */
bool model_dir_check(const char *dir, Error *e);

/* For a directory in which a file was looked for in vain: says what the directory is instead (an adapter,
 * PyTorch weights, a folder with a model in it, ...) and what to do, else "DIR: `plain`". ERR_BAD_MODEL
 * for weights that are there and cannot be read, else ERR_NO_MODEL. Always returns false. */
bool model_dir_explain(const char *dir, const char *plain, Error *e);

/* The same for a name of model_find that is no directory: a URL, a file. false, and no error, when it is
 * neither. */
bool model_name_explain(const char *name, Error *e);

/* NPY (float32, C order) for dumps and goldens. */
bool npy_write(const char *path, const float *data, int rank, const int64_t *shape, Error *e);
/* Reads a float32 or float64 array; data is mem_alloc'd. Errors: ERR_FAILED. */
float *npy_read(const char *path, int *rank, int64_t shape[CKPT_MAX_RANK], Error *e);

#endif
