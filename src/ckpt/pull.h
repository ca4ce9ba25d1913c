/* ckpt/pull.h: a model from the net into the cache of this machine. */
#ifndef CKPT_PULL_H
#define CKPT_PULL_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

typedef struct PullProgress {
    const char *repository;           /* "Salesforce/blip2-opt-2.7b", or LAVIS' file */
    const char *licence;              /* NULL: not known */
    const char *file;                 /* one of those that are being fetched; NULL: none */
    uint64_t bytes_done, bytes_total; /* of the repository; total 0: not known yet */
    size_t files_done, files_total;
} PullProgress;

/* Called by the thread that pulls, some times a second; false stops (ERR_STOPPED). */
typedef bool PullFn(void *user, const PullProgress *progress);

typedef struct PullOptions {
    PullFn *on_progress; /* may be NULL */
    void *user;
    int jobs; /* files at once; 0: 4 */
} PullOptions;

/* Fetches what is needed of a published model (any spelling of ckpt/models.h, one of LAVIS' .pth files) or
 * of a repository OWNER/NAME, also as the URL of its page: configs, tokenizer, and weights as safetensors, or
 * else as PyTorch's .bin. It is laid into Hugging Face's cache as huggingface_hub does it: blobs by their
 * checksum, a snapshot of links, and last of all refs/main, by which model_find finds it; until then what
 * was there before stays what is found. What exists only as LAVIS' files lies where LAVIS puts them
 * (lavis_path), and the language model or tokenizer that they are without in the cache. Interrupted, it
 * continues when it is called again. *path, mem_alloc'd: the snapshot, or LAVIS' file. Errors: ERR_NO_MODEL
 * (unknown, offline, not for us), ERR_BAD_MODEL (a repository without weights that could be read),
 * ERR_FAILED (transfer, disk), ERR_USAGE, ERR_STOPPED, ERR_MEMORY. */
bool model_pull(const char *name, const PullOptions *options, char **path, Error *e);

#endif
