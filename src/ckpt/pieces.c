/* ckpt/pieces.c: see ckpt/pieces.h. */
#include "ckpt/pieces.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "ckpt/checkpoint.h"
#include "ckpt/derive.h"
#include "ckpt/hub.h"
#include "ckpt/models.h"

typedef struct Pieces {
    ModelSource *s;
    const char *path; /* of the file with what was trained */
    const char *beside;
    const SourceHints *hints;
    const HubModel *model; /* which published one it is; NULL: not known */
    Error *e;
} Pieces;

static bool has(const Pieces *p, const char *name)
{
    return ckpt_find(p->s->ckpt, name) != NULL;
}

static bool no_memory(const Pieces *p)
{
    return error_memory(p->e, p->path, strlen(p->path));
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* --- where a part may lie ----------------------------------------------------------------------------- */

/* DIR/NAME in the source's memory, if there is one; NULL: there is none, or (an error) no memory. */
static const char *there(const Pieces *p, const char *dir, const char *name)
{
    const char *path = arena_printf(&p->s->mem, "%s/%s", dir, name);
    if (!path)
        no_memory(p);
    return path && file_exists(path) ? path : NULL;
}

/* In the source's memory; frees `path`. */
static const char *keep(const Pieces *p, char *path)
{
    const char *kept = path ? arena_strdup(&p->s->mem, path) : NULL;
    if (path && !kept)
        no_memory(p);
    mem_free(path);
    return kept;
}

/* Beside the file, or where LAVIS keeps what it has downloaded. */
static const char *find_file(const Pieces *p, const char *name)
{
    char *cached = NULL;
    const char *path = there(p, p->beside, name);
    if (path || p->e->code)
        return path;
    if (!lavis_path(name, &cached))
        no_memory(p);
    path = keep(p, cached);
    return path && file_exists(path) ? path : NULL;
}

/* The directory of a repository: beside the file, under its own name, or in Hugging Face's cache. */
static const char *find_repo(const Pieces *p, const char *repo)
{
    char *cached = NULL;
    const char *path = there(p, p->beside, base_name(repo));
    if (path || p->e->code)
        return path;
    if (!hub_cached(repo, &cached))
        no_memory(p);
    return keep(p, cached);
}

static const char *find_any_repo(const Pieces *p, const char *repo, const char *other)
{
    const char *path = find_repo(p, repo);
    return path || p->e->code || !other ? path : find_repo(p, other);
}

static bool add(const Pieces *p, const char *path, int piece)
{
    Checkpoint *part = file_is_dir(path) ? ckpt_open(path, p->e) : ckpt_open_file(path, p->e);
    return part && ckpt_join(p->s->ckpt, part, piece, p->e) &&
           ckpt_unwrap(p->s->ckpt, "query_tokens", NULL, NULL, p->e);
}

/* --- the vision tower --------------------------------------------------------------------------------- */

/* The file in which LAVIS keeps it. */
static const char *vit_name(const Pieces *p)
{
    static const char KEY[] = "qformer.encoder.layer.0.crossattention.attention.key.weight";
    if (p->model && p->model->vit)
        return p->model->vit;
    return derive_extent(p->s->ckpt, KEY, 1) == 1024 ? "clip_vit_L.pth" : "eva_vit_g.pth";
}

static bool add_vit(const Pieces *p)
{
    const char *name = vit_name(p), *path = p->hints->vit;
    if (has(p, "vision_model.encoder.layers.0.mlp.fc1.weight") && !path)
        return true;
    if (!path)
        path = find_file(p, name);
    if (!path)
        return error_set(
            p->e, ERR_NO_MODEL,
            "%s: vision tower: the file has none, as LAVIS keeps it in one of its own: "
            "expected %s beside it or where LAVIS has it (~/.cache/torch/hub/"
            "checkpoints), got neither",
            p->path, name);
    return add(p, path, PIECE_VIT);
}

/* --- the language model, or what words are to the Q-Former --------------------------------------------- */

static bool is_opt(const Pieces *p)
{
    const CkptTensor *t = ckpt_find(p->s->ckpt, "language_projection.weight");
    return !t || !strstr(t->given, "t5_proj");
}

/* The repository from which LAVIS takes it; NULL: not known. */
static const char *language_repo(const Pieces *p)
{
    static const struct {
        bool opt;
        int64_t width;
        const char *repo;
    } KNOWN[] = {{true, 2560, "facebook/opt-2.7b"},
                 {true, 4096, "facebook/opt-6.7b"},
                 {false, 2048, "google/flan-t5-xl"},
                 {false, 4096, "google/flan-t5-xxl"}};
    int64_t width = derive_extent(p->s->ckpt, "language_projection.weight", 2);
    if (p->model)
        return p->model->language;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (KNOWN[i].opt == is_opt(p) && KNOWN[i].width == width)
            return KNOWN[i].repo;
    return NULL;
}

/* The directory that the user names, or the one that belongs to the model; NULL: it is not here, or an
 * error. */
static const char *language_dir(const Pieces *p, bool matching)
{
    static const char BERT[] = "google-bert/bert-base-uncased", OLD_BERT[] = "bert-base-uncased";
    const char *named = p->hints->language, *repo = language_repo(p);
    if (named && file_is_dir(named))
        return arena_strdup(&p->s->mem, named);
    if (named) {
        const char *found = find_repo(p, named);
        if (!found)
            error_set(p->e, ERR_NO_MODEL,
                      "%s: language model: expected a directory, or a repository in Hugging Face's "
                      "cache, got neither",
                      named);
        return found;
    }
    return matching ? find_any_repo(p, BERT, OLD_BERT) : repo ? find_repo(p, repo) : NULL;
}

static bool has_language(const Pieces *p)
{
    return has(p, "language_model.model.decoder.layers.0.fc1.weight") ||
           has(p, "language_model.decoder.block.0.layer.0.layer_norm.weight");
}

static bool add_language(const Pieces *p, const char *dir)
{
    const char *repo = language_repo(p);
    if (has_language(p))
        return true;
    if (dir)
        return add(p, dir, PIECE_LANGUAGE);
    return error_set(
        p->e, ERR_NO_MODEL,
        "%s: language model: the file has none, as LAVIS takes it from %s: expected that "
        "beside it or in Hugging Face's cache, got neither",
        p->path,
        repo        ? repo
        : is_opt(p) ? "OPT's own directory"
                    : "Flan-T5's own directory");
}

/* --- all together -------------------------------------------------------------------------------------- */

static bool has_tokenizer(const Folder *f)
{
    static const char *const FILES[] = {"tokenizer.json", "vocab.json", "spiece.model",
                                        "vocab.txt"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        if (folder_has(f, FILES[i]) == 1)
            return true;
    return false;
}

/* BERT's own tokenizer, with the token that LAVIS adds (blip2.py, init_tokenizer). */
static bool add_dec(const Pieces *p, Folder *f)
{
    static const char ADDED[] = "{\"[DEC]\": 30522}";
    FolderFile *file = arena_alloc(&p->s->mem, sizeof *file);
    if (!file)
        return no_memory(p);
    *file = (FolderFile){"added_tokens.json", ADDED, sizeof ADDED - 1};
    if (folder_has(f, file->name) == 0) {
        f->file = file;
        f->files = 1;
    }
    return true;
}

static bool derive(const Pieces *p, const Folder *language)
{
    FolderFile *file = arena_alloc(&p->s->mem, 2 * sizeof *file);
    bool is_model = language && folder_has(language, "config.json") == 1 &&
                    has(p, "language_projection.weight");
    const char *text =
        file ? derive_config(p->s->ckpt, is_model ? language : NULL, &p->s->mem, p->e) : NULL;
    if (!file)
        return no_memory(p);
    if (!text)
        return false;
    const char *pictures = derive_pictures(p->s->ckpt, &p->s->mem);
    if (!pictures)
        return no_memory(p);
    file[0] = (FolderFile){"config.json", text, strlen(text)};
    file[1] = (FolderFile){"preprocessor_config.json", pictures, strlen(pictures)};
    p->s->config = (Folder){.path = p->s->path, .file = file, .files = 2};
    return true;
}

static const HubModel *which_model(const char *path, const SourceHints *hints, Error *e)
{
    const HubModel *m = hints->type ? hub_find(hints->type) : hub_find_pth(base_name(path));
    if (hints->type && !m)
        error_set(
            e, ERR_NO_MODEL,
            "%s: type: expected a published model (blip2_opt/pretrain_opt2.7b, opt-2.7b, ...), got "
            "another name",
            hints->type);
    return m;
}

/* The tokenizer beside the file, or else the language model's. */
static bool set_tokenizer(const Pieces *p, const Folder *own, const char *language, bool matching)
{
    Folder beside = own ? *own : folder_of(p->beside);
    bool here = has_tokenizer(&beside);
    p->s->tokenizer = here || !language ? beside : folder_of(language);
    return here || !language || !matching || add_dec(p, &p->s->tokenizer);
}

static const char *dir_of(const Pieces *p)
{
    const char *name = base_name(p->path);
    size_t n = (size_t)(name - p->path);
    return arena_printf(&p->s->mem, "%.*s", n > 1 ? (int)n - 1 : (int)n, n ? p->path : ".");
}

bool pieces_find(ModelSource *s, const char *path, const Folder *own, const SourceHints *hints,
                 Error *e)
{
    Error first = {0};
    Pieces p = {.s = s,
                .path = path,
                .hints = hints,
                .model = which_model(path, hints, &first),
                .e = &first};
    bool matching = !has(&p, "language_projection.weight");
    p.beside = strchr(path, '/') ? dir_of(&p) : ".";
    const char *language = first.code || !p.beside ? NULL : language_dir(&p, matching);
    bool ok = (p.beside || no_memory(&p)) && !first.code && add_vit(&p) &&
              (matching || add_language(&p, language)) &&
              set_tokenizer(&p, own, language, matching);
    Folder from = folder_of(language);
    ok = ok && (own || derive(&p, language ? &from : NULL)) && !first.code;
    if (own)
        s->config = *own;
    return ok || error_set(e, first.code, "%s", first.message);
}
