/* ckpt/hub_api.h: what the hub says of a repository and of its files, and what its refusals mean. */
#ifndef CKPT_HUB_API_H
#define CKPT_HUB_API_H

#include "base/mem.h"
#include "ckpt/hub.h"
#include "net/http.h"

typedef bool StopFn(void *user);

/* Whom to ask, and when to give up. */
typedef struct HubRemote {
    char *endpoint; /* "https://huggingface.co"; NULL: what is asked is no hub (LAVIS' files) */
    char token[HUB_TOKEN];
    const char *what; /* what is asked for, in messages; NULL: a model */
    StopFn *stop;     /* may be NULL */
    void *user;
} HubRemote;

/* A file of a repository as the hub lists it. */
typedef struct HubEntry {
    const char *name;
    const char *tag; /* sha256 of what is kept apart (LFS), else git's blob id; NULL: not said */
    int64_t size;    /* -1: not said */
} HubEntry;

typedef struct HubRepo {
    Arena mem;
    const char *repo, *commit;
    const char *licence; /* NULL: not said */
    HubEntry *entry;
    size_t n;
} HubRepo;

/* Reads the environment. Errors: ERR_USAGE (HF_ENDPOINT is no HTTP address), ERR_MEMORY. */
bool hub_remote_init(HubRemote *h, Error *e);
void hub_remote_free(HubRemote *h);

/* The newest commit of a repository and its files. Errors: ERR_NO_MODEL when the hub is out of reach or
 * knows no such repository for us, ERR_FAILED, ERR_STOPPED, ERR_MEMORY. Free with hub_repo_free, also after
 * an error. */
bool hub_repo(HubRepo *r, const HubRemote *h, const char *repo, Error *e);
/* The same from the hub's answer, which comes from a stranger; r->repo is set. */
bool hub_repo_parse(HubRepo *r, const char *text, size_t n, const char *name, Error *e);
void hub_repo_free(HubRepo *r);
/* NULL: the repository has no such file. */
const HubEntry *hub_entry(const HubRepo *r, const char *name);

/* A tag that may be part of a path: letters, digits, "-", "_", and no more than 128. */
bool hub_good_tag(const char *tag);
/* A file's name that may be part of a path and of a URL as it is. */
bool hub_good_name(const char *name);

/* http_get, and again after answers that mean "not now": 408, 429, 5xx, or after a break. */
bool hub_get(const HubRemote *h, const HttpRequest *r, HttpReply *reply, Error *e);
/* Whether another try may do, and the wait before it; false from wait: stopped, with *e set. */
bool hub_worth_again(const HttpReply *reply);
bool hub_wait(const HubRemote *h, const HttpReply *reply, int tries, const char *what, Error *e);

/* What the failure of a request for `what` ("OWNER/NAME") means to a user. Always returns false. */
bool hub_explain(const HubRemote *h, const HttpReply *reply, const char *what, const Error *why,
                 Error *e);

#endif
