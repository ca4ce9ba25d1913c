/* ckpt/fetch.h: one file from the net to its place on disk: whole and right, or not at all. */
#ifndef CKPT_FETCH_H
#define CKPT_FETCH_H

#include <stdatomic.h>

#include "ckpt/hub_api.h"

typedef struct Fetch {
    const char *name; /* for messages: "OWNER/NAME/model.safetensors" */
    const char *url;
    const char *place; /* where it belongs */
    const char *part;  /* what has come by now; it differs for every content (tag) */
    const char
        *lock;       /* held meanwhile, so that two programs do not write to one part; NULL: none */
    const char *tag; /* 64 digits: SHA-256; 40: git's blob id; both are checked. Others are not */
    const char *sum; /* 64 digits: SHA-256, 32: MD5; checked instead of the tag. NULL: not known */
    int64_t size;    /* -1: not known */
    bool torch;      /* it must begin and end as a file of torch.save */
    atomic_ullong done; /* bytes on disk, for progress */
} Fetch;

/* Asks with HEAD for the tag and the size of f's url; tag is arena memory. Errors as hub_explain. */
bool fetch_look(Fetch *f, const HubRemote *h, Arena *mem, Error *e);

/* Whether it is in its place with the size that it should have. */
bool fetch_is_here(const Fetch *f);

/* Fetches it unless it is there. What an interrupted try has left is continued; what the server refuses
 * to continue, or turns out damaged, begins again, once. The directories are there. Errors: ERR_FAILED,
 * ERR_NO_MODEL, ERR_STOPPED, ERR_MEMORY. */
bool fetch_file(Fetch *f, const HubRemote *h, Error *e);

#endif
