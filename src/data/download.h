/* data/download.h: files of data sets from the net to their places, whole and right or not at all. */
#ifndef DATA_DOWNLOAD_H
#define DATA_DOWNLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ckpt/pull.h"

typedef struct Download {
    const char *name; /* for messages */
    const char *url, *place;
    int64_t bytes;   /* -1: not known; else the server must have as many */
    const char *sum; /* 64 digits: SHA-256, 32: MD5; NULL: not known */
} Download;

/* Fetches what is not in its place, a few at once; `what` is for messages and progress. What an interrupted try has left beside the
 * place is continued. $BLIP2_DATA_ENDPOINT, when it is set, stands in the place of "https:/" in every url: a mirror.
 * Errors: ERR_NO_MODEL (out of reach, not there), ERR_FAILED (transfer, checksum, disk), ERR_USAGE, ERR_STOPPED, ERR_MEMORY. */
bool data_download(const char *what, const Download *list, size_t n, PullFn *progress, void *user,
                   Error *e);

/* Asks the servers for the sizes that are not known (HEAD); what does not answer leaves them so. Errors: ERR_STOPPED, ERR_MEMORY. */
bool data_sizes(const char *what, Download *list, size_t n, Error *e);

#endif
