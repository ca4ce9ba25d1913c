/* ckpt/hub.c: what the environment says of Hugging Face's hub; snapshots in the cache. */
#include "ckpt/hub.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* --- where the cache is ------------------------------------------------------------------------- */

static bool is_set(const char *v)
{
    return v && *v;
}

/* "~" and "~user" as Python's os.path.expanduser: $HOME, else what the user database says; who is not in
 * there stays as it is. Returns how many bytes of the path were read. */
static size_t add_home(StrBuf *s, const char *path)
{
    struct passwd entry, *found = NULL;
    char room[4096], user[64];
    size_t n = strcspn(path, "/");
    const char *home = n == 1 ? getenv("HOME") : NULL;
    snprintf(user, sizeof user, "%.*s", (int)(n - 1 < sizeof user ? n - 1 : 0), path + 1);
    int failed = n > 1 ? getpwnam_r(user, &entry, room, sizeof room, &found)
                       : getpwuid_r(getuid(), &entry, room, sizeof room, &found);
    if (!is_set(home) && !failed && found)
        home = found->pw_dir;
    if (is_set(home))
        strbuf_puts(s, home);
    else
        strbuf_add(s, path, n);
    return n;
}

/* "$NAME" or "${NAME}" as Python's os.path.expandvars: what is not set stays as it is. Returns how many
 * bytes of p were read. */
static size_t add_variable(StrBuf *s, const char *p)
{
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    char name[256];
    size_t open = p[1] == '{', n = open ? strcspn(p + 2, "}") : strspn(p + 1, ALLOWED);
    size_t all = 1 + n + 2 * open;
    if (n == 0 || n >= sizeof name || (open && p[2 + n] != '}')) {
        strbuf_add(s, p, 1);
        return 1;
    }
    memcpy(name, p + 1 + open, n);
    name[n] = 0;
    const char *value = getenv(name);
    if (value)
        strbuf_puts(s, value);
    else
        strbuf_add(s, p, all);
    return all;
}

static void add_expanded(StrBuf *s, const char *path)
{
    StrBuf home = {0};
    if (path[0] == '~')
        path += add_home(&home, path);
    strbuf_puts(&home, path);
    const char *p = strbuf_cstr(&home);
    s->failed |= !p;
    while (p && *p) {
        size_t plain = strcspn(p, "$");
        strbuf_add(s, p, plain);
        p += plain;
        p += *p ? add_variable(s, p) : 0;
    }
    strbuf_free(&home);
}

/* The first of a list of variables that is set, and what comes behind it; or else `otherwise`. */
static void add_place(StrBuf *s, const char *const (*places)[2], const char *otherwise)
{
    for (int i = 0; places[i][0]; i++) {
        const char *v = getenv(places[i][0]);
        if (!is_set(v))
            continue;
        add_expanded(s, v);
        strbuf_puts(s, places[i][1]);
        return;
    }
    add_expanded(s, otherwise);
}

void hub_add_cache(StrBuf *s)
{
    static const char *const PLACES[][2] = {{"HF_HUB_CACHE", ""},
                                            {"HUGGINGFACE_HUB_CACHE", ""},
                                            {"HF_HOME", "/hub"},
                                            {"XDG_CACHE_HOME", "/huggingface/hub"},
                                            {NULL, NULL}};
    add_place(s, PLACES, "~/.cache/huggingface/hub");
}

bool hub_add_folder(StrBuf *s, const char *repo)
{
    const char *slash = strchr(repo, '/');
    if (slash)
        strbuf_printf(s, "/models--%.*s--%s", (int)(slash - repo), repo, slash + 1);
    return slash != NULL;
}

static void add_token_path(StrBuf *s)
{
    static const char *const PLACES[][2] = {{"HF_TOKEN_PATH", ""},
                                            {"HF_HOME", "/token"},
                                            {"XDG_CACHE_HOME", "/huggingface/token"},
                                            {NULL, NULL}};
    add_place(s, PLACES, "~/.cache/huggingface/token");
}

static void add_lavis(StrBuf *s)
{
    static const char *const PLACES[][2] = {{"TORCH_HOME", "/hub/checkpoints"},
                                            {"XDG_CACHE_HOME", "/torch/hub/checkpoints"},
                                            {NULL, NULL}};
    add_place(s, PLACES, "~/.cache/torch/hub/checkpoints");
}

bool lavis_path(const char *file, char **out)
{
    StrBuf s = {0};
    add_lavis(&s);
    strbuf_printf(&s, "/%s", file);
    *out = s.failed ? NULL : mem_strdup(s.data);
    strbuf_free(&s);
    return *out != NULL;
}

/* --- whom to ask ---------------------------------------------------------------------------------- */

/* As huggingface_hub reads a switch. */
static bool is_on(const char *name)
{
    static const char *const YES[] = {"1", "ON", "YES", "TRUE"};
    const char *v = getenv(name);
    for (int i = 0; v && i < 4; i++)
        if (strcasecmp(v, YES[i]) == 0)
            return true;
    return false;
}

bool hub_offline(void)
{
    return is_on(is_set(getenv("HF_HUB_OFFLINE")) ? "HF_HUB_OFFLINE" : "TRANSFORMERS_OFFLINE");
}

/* Without blanks and line ends around it. What else could not stand in a header is no token. */
static bool keep_token(const char *text, size_t n, char token[HUB_TOKEN])
{
    size_t from = 0;
    while (from < n && strchr(" \t\r\n", text[from]))
        from++;
    while (n > from && strchr(" \t\r\n", text[n - 1]))
        n--;
    n -= from;
    if (n == 0 || n >= HUB_TOKEN)
        return false;
    for (size_t i = 0; i < n; i++)
        if (text[from + i] <= ' ' || text[from + i] > '~')
            return false;
    memcpy(token, text + from, n);
    token[n] = 0;
    return true;
}

static bool token_from_file(char token[HUB_TOKEN])
{
    StrBuf path = {0};
    MappedFile f = {0};
    Error ignored = {0};
    add_token_path(&path);
    bool ok = !path.failed && file_map_within(&f, path.data, 4096, ERR_FAILED, &ignored) &&
              keep_token((const char *)f.data, f.size, token);
    file_unmap(&f);
    strbuf_free(&path);
    return ok;
}

bool hub_token(char token[HUB_TOKEN])
{
    static const char *const NAMES[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    token[0] = 0;
    if (is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return false;
    for (int i = 0; i < 2; i++) {
        const char *v = getenv(NAMES[i]);
        if (is_set(v))
            return keep_token(v, strlen(v), token);
    }
    return token_from_file(token);
}

void hub_add_endpoint(StrBuf *s)
{
    const char *v = getenv("HF_ENDPOINT");
    size_t n = is_set(v) ? strlen(v) : 0;
    while (n && v[n - 1] == '/')
        n--;
    if (n)
        strbuf_add(s, v, n);
    else
        strbuf_puts(s, "https://huggingface.co");
}

/* --- what is in it ------------------------------------------------------------------------------- */

/* refs/main holds a commit: it becomes part of a path, so only letters and digits will do. */
static bool add_commit(StrBuf *s, const MappedFile *ref)
{
    size_t n = 0;
    while (n < ref->size && n < 64 && isalnum(ref->data[n]))
        n++;
    if (n)
        strbuf_printf(s, "/snapshots/%.*s", (int)n, (const char *)ref->data);
    return n > 0;
}

bool hub_snapshot(const char *folder, char **out)
{
    StrBuf s = {0};
    MappedFile ref = {0};
    Error ignored = {0};
    *out = NULL;
    strbuf_puts(&s, folder);
    size_t base = s.len;
    strbuf_puts(&s, "/refs/main");
    if (!s.failed && file_map(&ref, s.data, ERR_NO_MODEL, &ignored)) {
        s.len = base;
        bool named = add_commit(&s, &ref);
        file_unmap(&ref);
        if (named && !s.failed && file_is_dir(s.data))
            s.failed = !(*out = mem_strdup(s.data));
    }
    bool ok = !s.failed;
    strbuf_free(&s);
    return ok;
}

bool hub_cached(const char *repo, char **out)
{
    StrBuf s = {0};
    *out = NULL;
    hub_add_cache(&s);
    bool ok = !hub_add_folder(&s, repo) || (!s.failed && hub_snapshot(s.data, out));
    strbuf_free(&s);
    return ok;
}

bool hub_is_folder(const char *dir)
{
    return file_in_dir(dir, "snapshots") == 1 && file_in_dir(dir, "config.json") != 1;
}

bool hub_is_repo(const char *name)
{
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    size_t owner = strspn(name, ALLOWED);
    if (owner == 0 || name[owner] != '/' || *name == '.')
        return false;
    const char *rest = name + owner + 1;
    return *rest && *rest != '.' && rest[strspn(rest, ALLOWED)] == 0;
}

size_t hub_repo_in_url(const char *url, const char **repo)
{
    static const char *const HOSTS[] = {"huggingface.co/", "hf.co/"};
    for (int i = 0; i < 2; i++) {
        const char *at = strstr(url, HOSTS[i]);
        if (!at)
            continue;
        *repo = at + strlen(HOSTS[i]);
        size_t owner = strcspn(*repo, "/?#");
        if (owner == 0 || (*repo)[owner] != '/')
            return 0;
        size_t name = strcspn(*repo + owner + 1, "/?#");
        return name ? owner + 1 + name : 0;
    }
    return 0;
}

bool hub_folder_repo(const char *path, char *repo, size_t cap)
{
    static const char START[] = "models--";
    size_t end = strlen(path);
    while (end && path[end - 1] == '/')
        end--;
    size_t at = end;
    while (at && path[at - 1] != '/')
        at--;
    if (end - at < sizeof START || end - at >= cap ||
        strncmp(path + at, START, sizeof START - 1) != 0)
        return false;
    memcpy(repo, path + at + sizeof START - 1, end - at - sizeof START + 1);
    repo[end - at - sizeof START + 1] = 0;
    char *gap = strstr(repo, "--");
    if (!gap || gap == repo || !gap[2])
        return false;
    *gap = '/';
    memmove(gap + 1, gap + 2, strlen(gap + 2) + 1);
    return true;
}
