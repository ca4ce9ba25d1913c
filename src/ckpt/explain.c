/* ckpt/explain.c: what a directory is that is no model this program can read, and what a name is that
 * is no directory. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/kind.h"
#include "base/mem.h"
#include "base/str.h"
#include "ckpt/ckpt.h"
#include "ckpt/hub.h"

enum { JSON_MAX = 1 << 20, ENTRIES_MAX = 10000 };

/* --- an adapter ---------------------------------------------------------------------------------- */

/* What adapter_config.json says about `key`, for the message; `otherwise` where it does not. */
static const char *adapter_fact(const json_t *doc, const char *key, const char *otherwise)
{
    const char *v = json_string_value(json_object_get(doc, key));
    return v && *v ? v : otherwise;
}

static bool explain_adapter(const char *dir, Error *e)
{
    Error ignored = {0};
    char *path = path_join(dir, "adapter_config.json");
    if (!path)
        return error_memory(e, dir, strlen(dir));
    json_t *doc = json_load_path(path, JSON_MAX, ERR_FAILED, &ignored);
    error_set(e, ERR_BAD_MODEL,
              "%s: model: expected a whole model, got a %.199s adapter without its base model "
              "(%.199s): merge the two with PEFT's merge_and_unload and pass the directory that "
              "this is saved to",
              path, adapter_fact(doc, "peft_type", "PEFT"),
              adapter_fact(doc, "base_model_name_or_path", "the model it was trained on"));
    json_decref(doc);
    mem_free(path);
    return false;
}

/* --- weights of other programs -------------------------------------------------------------------- */

static const struct {
    const char *end, *what;
} FOREIGN[] = {
    {".ckpt", "PyTorch Lightning .ckpt weights are not supported yet"},
    {".gguf", "GGUF files of llama.cpp cannot be read"},
    {".ggml", "GGML files of llama.cpp cannot be read"},
    {".onnx", "ONNX files cannot be read"},
    {".h5", "TensorFlow weights cannot be read"},
    {".msgpack", "Flax weights cannot be read"},
};

static const char *foreign(const char *name)
{
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++)
        if (str_ends(name, FOREIGN[i].end))
            return FOREIGN[i].what;
    return NULL;
}

/* Files that can be read, but make a model only under a known name beside a config.json. */
static bool is_torch_name(const char *name)
{
    static const char *const ENDS[] = {".pth", ".pt", ".bin", ".bin.index.json"};
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        if (str_ends(name, ENDS[i]))
            return true;
    return false;
}

/* What a look at the names in a directory finds; in order of name, so that a message is always the same. */
typedef struct Look {
    char weights[256]; /* a file of another program */
    char torch[256];   /* one of PyTorch */
    char safe[256];    /* safetensors under another name than those that are opened */
    char folder[256];  /* that holds a config.json */
    char dangling[256];
} Look;

static void keep_first(char first[256], const char *name)
{
    if (strlen(name) < 256 && (!*first || strcmp(name, first) < 0))
        strcpy(first, name);
}

static void look_at(Look *l, const char *dir, const char *name)
{
    struct stat st;
    char *path = path_join(dir, name);
    if (*name == '.' || !path) {
        mem_free(path);
        return;
    }
    if (foreign(name))
        keep_first(l->weights, name);
    if (is_torch_name(name))
        keep_first(l->torch, name);
    if (strstr(name, ".safetensors"))
        keep_first(l->safe, name);
    if (file_is_dir(path) && file_in_dir(path, "config.json") == 1)
        keep_first(l->folder, name);
    if (!file_exists(path) && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        keep_first(l->dangling, name);
    mem_free(path);
}

static void look(Look *l, const char *dir)
{
    *l = (Look){{0}, {0}, {0}, {0}, {0}};
    DIR *d = opendir(dir);
    const struct dirent *entry;
    for (int i = 0; d && i < ENTRIES_MAX && (entry = readdir(d)); i++)
        look_at(l, dir, entry->d_name);
    if (d)
        closedir(d);
}

/* Weights of PyTorch that lie there under a name of their own, or several without what says of which model they
 * are. */
static bool explain_torch(const char *dir, const char *name, Error *e)
{
    if (file_in_dir(dir, "config.json") == 1)
        return error_set(e, ERR_BAD_MODEL,
                         "%s/%s: weights: expected the name model.safetensors or pytorch_model.bin "
                         "(or their .index.json): rename it if it holds all weights of the model",
                         dir, name);
    return error_set(e, ERR_BAD_MODEL,
                     "%s/%s: weights: expected a config.json beside them, or one .pth file of "
                     "LAVIS, got neither: pass "
                     "the file with the Q-Former itself, or the Hugging Face directory of the "
                     "model (config.json, "
                     "weights, tokenizer)",
                     dir, name);
}

/* Weights of the right kind under a name that says what is missing. */
static bool explain_safe(const char *dir, const char *name, Error *e)
{
    const char *what = "rename it to model.safetensors if it holds all weights of the model";
    if (str_ends(name, ".incomplete") || str_ends(name, ".part") || str_ends(name, ".tmp"))
        what = "an unfinished download: fetch the file again";
    else if (str_ends(name, ".index.json"))
        what = "rename it to model.safetensors.index.json";
    else if (strstr(name, "-of-"))
        what = "a shard; model.safetensors.index.json is missing: download that as well";
    return error_set(e, ERR_BAD_MODEL,
                     "%s/%s: weights: expected the name model.safetensors, or an index beside its "
                     "shards: %s",
                     dir, name, what);
}

bool model_dir_explain(const char *dir, const char *plain, Error *e)
{
    Look l;
    if (file_in_dir(dir, "adapter_config.json") == 1)
        return explain_adapter(dir, e);
    look(&l, dir);
    if (*l.weights)
        return error_set(e, ERR_BAD_MODEL,
                         "%s/%s: weights: %s, expected a Hugging Face directory (config.json, "
                         "model.safetensors or pytorch_model.bin, or their shards and index)",
                         dir, l.weights, foreign(l.weights));
    if (*l.dangling)
        return error_set(e, ERR_BAD_MODEL,
                         "%s/%s: file: expected one, got a link to one that is not there: an "
                         "unfinished download? fetch the repository again",
                         dir, l.dangling);
    if (*l.safe && file_in_dir(dir, "config.json") == 1)
        return explain_safe(dir, l.safe, e);
    if (*l.torch)
        return explain_torch(dir, l.torch, e);
    if (*l.folder)
        return error_set(e, ERR_NO_MODEL, "%s: %s: did you mean %s/%s?", dir, plain, dir, l.folder);
    return error_set(e, ERR_NO_MODEL, "%s: %s", dir, plain);
}

/* --- names --------------------------------------------------------------------------------------- */

static bool explain_url(const char *url, Error *e)
{
    const char *repo;
    size_t n = hub_repo_in_url(url, &repo);
    if (n)
        return error_set(
            e, ERR_NO_MODEL,
            "%s: model: expected a directory or a name, got a URL: blip2 pull %.*s fetches the "
            "repository, and %.*s is its name then",
            url, (int)n, repo, (int)n, repo);
    return error_set(
        e, ERR_NO_MODEL,
        "%s: model: expected a directory or a name, got a URL: download the model and pass its "
        "directory",
        url);
}

/* A file in the place of a directory: by what it is, or by its name. */
static bool explain_file(const char *path, Error *e)
{
    MappedFile f = {0};
    Error ignored = {0};
    const char *dir = strrchr(path, '/'), *kind = NULL, *other = foreign(path);
    int n = dir == path ? 1 : dir ? (int)(dir - path) : 1;
    bool torch = false;
    if (str_ends(path, ".safetensors") || str_ends(path, "config.json") ||
        str_ends(path, "pytorch_model.bin"))
        return error_set(
            e, ERR_NO_MODEL,
            "%s: model: expected a directory, got a file: pass the directory it is in, %.*s", path,
            n, dir ? path : ".");
    if (file_map(&f, path, ERR_FAILED, &ignored)) {
        kind = file_kind(f.data, f.size);
        torch = file_is_torch(f.data, f.size);
    }
    file_unmap(&f);
    if (kind)
        return error_set(e, ERR_NO_MODEL, "%s: model: expected a directory, got %s%s", path, kind,
                         torch ? ": pass a directory with config.json, weights and tokenizer" : "");
    return error_set(e, ERR_NO_MODEL, "%s: model: expected a directory, got a file%s%s", path,
                     other ? ": " : "", other ? other : "");
}

bool model_name_explain(const char *name, Error *e)
{
    if (!file_exists(name) && (strstr(name, "://") || str_starts(name, "huggingface.co/")))
        return explain_url(name, e);
    return file_exists(name) && explain_file(name, e);
}
