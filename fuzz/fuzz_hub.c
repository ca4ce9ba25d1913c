/* Arbitrary bytes as what the hub answers when it is asked for a repository. What is accepted becomes parts of
 * paths and addresses: no name may lead out of its directory. */
#include "ckpt/hub_api.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plain(const char *part)
{
    if (!*part || *part == '.' || strpbrk(part, "/\\%?#\n\r\t "))
        BUG("a name that leads elsewhere");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    HubRepo r = {.repo = "owner/name"};
    Error e = {0};
    bool ok = hub_repo_parse(&r, (const char *)data, size, "fuzz", &e);
    if (ok != (e.code == ERR_NONE))
        BUG("no error, or one that is not one");
    if (ok)
        plain(r.commit);
    for (size_t i = 0; ok && i < r.n; i++) {
        plain(r.entry[i].name);
        if (r.entry[i].tag)
            plain(r.entry[i].tag);
    }
    hub_repo_free(&r);
    return 0;
}
