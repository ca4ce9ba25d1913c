/* ckpt/find.c: from a name on the command line to a directory. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ckpt/ckpt.h"
#include "ckpt/hub.h"

static const char DEFAULT[] = "scenes";

/* Where the program that runs, and the library it runs, lie. */
typedef struct Places {
    char program[PATH_MAX], library[PATH_MAX]; /* "": not known */
} Places;

typedef struct Search {
    const char *name; /* a plain name: one folder below a root */
    Places at;
    char *found;
    bool failed; /* out of memory */
} Search;

/* root[0..n) / s->name */
static void try_root(Search *s, const char *root, size_t n)
{
    if (s->found || s->failed || n == 0)
        return;
    StrBuf path = {0};
    strbuf_printf(&path, "%.*s/%s", (int)n, root, s->name);
    s->failed = path.failed;
    if (!s->failed && file_is_dir(path.data)) {
        s->found = mem_strdup(path.data);
        s->failed = !s->found;
    }
    strbuf_free(&path);
}

static void find_places(Places *p)
{
    Dl_info info;
    ssize_t n = readlink("/proc/self/exe", p->program, sizeof p->program - 1);
    p->program[n > 0 ? n : 0] = 0;
    if (!dladdr(DEFAULT, &info) || !info.dli_fname || !realpath(info.dli_fname, p->library))
        p->library[0] = 0;
}

/* share/blip2/models in the prefix that file was installed to: it lies in bin/, lib/ or lib/TRIPLET/. */
static void try_beside(Search *s, const char *file)
{
    static const char *const UP[] = {"/../share/blip2/models", "/../../share/blip2/models"};
    const char *slash = strrchr(file, '/');
    for (int i = 0; slash && i < 2; i++) {
        StrBuf root = {0};
        strbuf_printf(&root, "%.*s%s", (int)(slash - file), file, UP[i]);
        s->failed |= root.failed;
        if (!root.failed)
            try_root(s, root.data, root.len);
        strbuf_free(&root);
    }
}

static bool is_built_here(const char *file)
{
    return strncmp(file, BLIP2_BUILD_DIR, strlen(BLIP2_BUILD_DIR)) == 0;
}

/* What was installed uses what was installed with it; only what runs where it was built looks into the
 * sources first. */
static void try_roots(Search *s)
{
    const char *list = getenv("BLIP2_MODELS");
    const Places *at = &s->at;
    for (const char *entry = list; entry; entry = strchr(entry, ':')) {
        entry += *entry == ':';
        try_root(s, entry, strcspn(entry, ":"));
    }
    try_beside(s, at->program);
    try_beside(s, at->library);
    bool built = is_built_here(at->program) || is_built_here(at->library);
    const char *first = built ? BLIP2_SOURCE_MODELS : BLIP2_INSTALL_MODELS;
    const char *second = built ? BLIP2_INSTALL_MODELS : BLIP2_SOURCE_MODELS;
    try_root(s, first, strlen(first));
    try_root(s, second, strlen(second));
}

static bool is_plain(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

static void search(Search *s, const HubModel *m)
{
    const char *given = s->name;
    find_places(&s->at);
    const char *names[] = {given, m ? m->name : NULL,
                           m && m->repo ? strchr(m->repo, '/') + 1 : NULL};
    for (int i = 0; i < 3; i++) {
        s->name = names[i];
        if (s->name && is_plain(s->name))
            try_roots(s);
    }
    s->name = given;
    const char *repo = m ? m->repo : hub_is_repo(given) ? given : NULL;
    if (!s->found && !s->failed && repo)
        s->failed = !hub_cached(repo, &s->found);
}

const char *model_nearest(const char *name)
{
    const char *best = NULL;
    int least = 3;
    for (int i = -1; i < 0 || hub_at(i); i++) {
        const char *known = i < 0 ? DEFAULT : hub_at(i)->name;
        int d = str_distance(name, known);
        if (d < least) {
            least = d;
            best = known;
        }
    }
    return best;
}

static bool not_here(const char *name, const HubModel *m, Error *e)
{
    if (m)
        return error_set(e, ERR_NO_MODEL,
                         "%s: model: not on this machine: blip2 pull %s fetches it", name, m->name);
    if (strcmp(name, DEFAULT) == 0)
        return error_set(
            e, ERR_NO_MODEL,
            "%s: model: comes with the program, in share/blip2/models, and is not there; "
            "the environment variable BLIP2_MODELS may name where it is",
            name);
    if (hub_is_repo(name) && !model_nearest(name))
        return error_set(
            e, ERR_NO_MODEL,
            "%s: model: expected a directory, or a repository in Hugging Face's cache, got "
            "neither: blip2 pull %s fetches the repository",
            name, name);
    const char *near = model_nearest(name);
    return error_set(e, ERR_NO_MODEL,
                     "%s: model: expected a directory or a known name (%s, %s, %s, ...), got "
                     "neither%s%s%s",
                     name, DEFAULT, hub_at(0)->name, hub_at(1)->name, near ? ": did you mean " : "",
                     near ? near : "", near ? "?" : "");
}

/* A folder of Hugging Face's cache stands for the snapshot in it. */
static bool take_dir(const char *dir, char **found, Error *e)
{
    if (!hub_is_folder(dir))
        *found = mem_strdup(dir);
    else if (hub_snapshot(dir, found) && !*found)
        return error_set(
            e, ERR_NO_MODEL,
            "%s: model: expected a downloaded snapshot that refs/main names, got none: download "
            "the repository again, or pass a directory of %s/snapshots",
            dir, dir);
    return *found || error_memory(e, dir, strlen(dir));
}

bool model_dir_check(const char *dir, Error *e)
{
    return file_is_dir(dir) ||
           error_set(e, ERR_NO_MODEL, "%s: model: expected a directory, got %s", dir,
                     file_exists(dir) ? "something else" : "nothing of that name");
}

char *model_find(const char *name, Error *e)
{
    char repo[256], *dir = NULL;
    Search s = {.name = name ? name : DEFAULT};
    if (name && file_is_dir(name))
        return take_dir(name, &dir, e) ? dir : NULL;
    if (name && (model_name_explain(name, e) || e->code))
        return NULL;
    if (name && hub_folder_repo(name, repo, sizeof repo))
        s.name = repo;
    const HubModel *m = hub_find(s.name);
    search(&s, m);
    if (s.failed)
        error_memory(e, s.name, strlen(s.name));
    else if (!s.found)
        not_here(s.name, m, e);
    return s.found;
}
