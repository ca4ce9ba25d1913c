/* ckpt/hub.h: Hugging Face's hub as the environment names it, and its cache on this machine, in which
 * huggingface_hub's and our downloads are the same. Nothing is fetched or written here. Source:
 * huggingface_hub/constants.py and file_download.py. */
#ifndef CKPT_HUB_H
#define CKPT_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"
#include "ckpt/models.h"

/* The directory that holds the newest downloaded version of a repository: the snapshot (hub_snapshot) of
 * its folder in the cache. *out is mem_alloc'd, NULL when there is none. false: out of memory. */
bool hub_cached(const char *repo, char **out);

/* Whether the directory is a repository's folder in that cache, rather than a model. */
bool hub_is_folder(const char *dir);
/* The snapshot of such a folder that its refs/main names. *out and the result as in hub_cached. */
bool hub_snapshot(const char *folder, char **out);
/* "OWNER/NAME" of the last part of a path when that is "models--OWNER--NAME". false: it is not. */
bool hub_folder_repo(const char *path, char *repo, size_t cap);

/* Whether a name can be that of a repository: "OWNER/NAME", of the letters that the hub allows. */
bool hub_is_repo(const char *name);
/* "OWNER/NAME" in the address of a page of huggingface.co; its length, 0: it is none. */
size_t hub_repo_in_url(const char *url, const char **repo);

/* Appends the cache's path: $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub,
 * $XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub, the first that is set; "~" and "$NAME" in
 * them are expanded. */
void hub_add_cache(StrBuf *s);
/* Appends "/models--OWNER--NAME". false: repo has no "/". */
bool hub_add_folder(StrBuf *s, const char *repo);

/* Appends $HF_ENDPOINT, without "/" at its end, or the hub's own address. */
void hub_add_endpoint(StrBuf *s);
/* $HF_HUB_OFFLINE, or else $TRANSFORMERS_OFFLINE: nothing may be fetched. */
bool hub_offline(void);

enum { HUB_TOKEN = 512 };
/* $HF_TOKEN, $HUGGING_FACE_HUB_TOKEN, or what `hf auth login` left at $HF_TOKEN_PATH or $HF_HOME/token;
 * printable ASCII. false: there is none, and token is "". */
bool hub_token(char token[HUB_TOKEN]);

/* Where LAVIS keeps a file that it has downloaded: $TORCH_HOME/hub/checkpoints,
 * $XDG_CACHE_HOME/torch/hub/checkpoints or ~/.cache/torch/hub/checkpoints (torch.hub.get_dir); it need not
 * be there. *out is mem_alloc'd. false: out of memory. */
bool lavis_path(const char *file, char **out);

#endif
