/* ckpt/hub.h: the published models by name, and Hugging Face's cache on this machine. For ckpt and
 * config; nothing is fetched or written. */
#ifndef CKPT_HUB_H
#define CKPT_HUB_H

#include <stdbool.h>
#include <stddef.h>

typedef struct HubModel {
    const char *name;     /* ours, e.g. "opt-2.7b" */
    const char *repo;     /* "Salesforce/blip2-opt-2.7b"; NULL: only as LAVIS' .pth files */
    const char *lavis[3]; /* LAVIS' spellings, "blip2_opt/pretrain_opt2.7b" */
} HubModel;

/* By our name, the repository's with or without "Salesforce/", or one of LAVIS'. NULL: unknown. */
const HubModel *hub_find(const char *name);
const HubModel *hub_at(int i); /* NULL behind the last one */

/* The directory that holds the newest downloaded version of a repository: the snapshot (hub_snapshot) of
 * its folder under $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub
 * or ~/.cache/huggingface/hub, the first that is set; "~" and "$NAME" in them are expanded. *out is
 * mem_alloc'd, NULL when there is none. false: out of memory. Source: huggingface_hub/constants.py and
 * file_download.py. */
bool hub_cached(const char *repo, char **out);

/* Whether the directory is a repository's folder in that cache, rather than a model. */
bool hub_is_folder(const char *dir);
/* The snapshot of such a folder that its refs/main names. *out and the result as in hub_cached. */
bool hub_snapshot(const char *folder, char **out);
/* "OWNER/NAME" of the last part of a path when that is "models--OWNER--NAME". false: it is not. */
bool hub_folder_repo(const char *path, char *repo, size_t cap);

#endif
