/* config/config.c: the files of a model directory are read; the licence in its README. */
#include "config/config.h"

#include <string.h>

#include "base/mem.h"
#include "ckpt/ckpt.h"

enum { FILE_MAX = 1 << 20 }; /* bytes; config.json has some thousand */

/* A file that is not there leaves *t empty. */
static bool read_text(ConfigText *t, const Folder *dir, const char *name, Error *e)
{
    int there = folder_has(dir, name);
    if (there < 0)
        return error_memory(e, dir->path, strlen(dir->path));
    if (there)
        t->text = folder_read(dir, name, FILE_MAX, &t->size, ERR_BAD_MODEL, e);
    return !there || t->text;
}

/* --- licence: "license: mit" between the first two lines "---" of README.md ------------------------ */

static bool is_line(const char *line, size_t n, const char *text)
{
    return n == strlen(text) && memcmp(line, text, n) == 0;
}

/* Takes the value of a line "license: x" if it is short and plain. */
static void take_licence(char out[64], const char *line, size_t n)
{
    static const char KEY[] = "license:";
    size_t at = sizeof KEY - 1;
    if (n < at || memcmp(line, KEY, at) != 0)
        return;
    while (at < n && strchr(" \"'", line[at]) && line[at])
        at++;
    while (n > at && strchr(" \"'", line[n - 1]) && line[n - 1])
        n--;
    for (size_t i = at; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || (unsigned char)line[i] > 0x7e)
            return;
    if (n - at >= 64)
        return;
    memcpy(out, line + at, n - at);
    out[n - at] = 0;
}

static void scan_front_matter(char out[64], const char *p, size_t size)
{
    for (int line = 0; size > 0; line++) {
        const char *nl = memchr(p, '\n', size);
        size_t n = nl ? (size_t)(nl - p) : size, step = n + (nl != NULL);
        size_t shown = n && p[n - 1] == '\r' ? n - 1 : n;
        if (is_line(p, shown, "---") != (line == 0))
            return;
        take_licence(out, p, shown);
        p += step;
        size -= step;
    }
}

/* A README that cannot be read is no reason to refuse a model. */
static bool read_licence(ModelConfig *c, const Folder *dir, Error *e)
{
    static const char README[] = "README.md";
    Error ignored = {0};
    size_t n;
    int there = folder_has(dir, README);
    char *text = there > 0 ? folder_read(dir, README, FILE_MAX, &n, ERR_FAILED, &ignored) : NULL;
    if (text)
        scan_front_matter(c->licence, text, n < 4096 ? n : 4096);
    mem_free(text);
    return (there >= 0 && ignored.code != ERR_MEMORY) ||
           error_memory(e, dir->path, strlen(dir->path));
}

bool config_open(ModelConfig *c, const Folder *dir, Error *e)
{
    ConfigText texts[CONFIG_FILES] = {0};
    bool ok = true;
    *c = (ModelConfig){0};
    for (int i = 0; i < CONFIG_FILES && ok; i++)
        ok = read_text(&texts[i], dir, config_file_name((ConfigFile)i), e);
    if (ok && !texts[CONFIG_MODEL].text)
        ok = model_dir_explain(
            dir->path, "config.json: expected a Hugging Face model directory, got no such file", e);
    ok = ok && config_parse(c, texts, dir->path, e) && read_licence(c, dir, e);
    for (int i = 0; i < CONFIG_FILES; i++)
        mem_free((void *)(uintptr_t)texts[i].text);
    return ok;
}

bool config_load(ModelConfig *c, const char *dir, Error *e)
{
    Folder folder = folder_of(dir);
    *c = (ModelConfig){0};
    return model_dir_check(dir, e) && config_open(c, &folder, e);
}

void config_bert_ids(ModelConfig *c)
{
    c->bos = 101;
    c->gen.eos[0] = 102;
    c->gen.n_eos = 1;
    c->pad = 0;
}

LanguageConfig config_language(const ModelConfig *c)
{
    const OptConfig *opt = &c->opt;
    const T5Config *t5 = &c->t5;
    switch (c->kind) {
    case MODEL_OPT:
        return (LanguageConfig){"opt",    "OPT",      opt->width,    opt->layers,
                                opt->mlp, opt->vocab, opt->positions};
    case MODEL_T5:
        return (LanguageConfig){"t5",    "Flan-T5", t5->width, t5->layers + t5->decoder_layers,
                                t5->mlp, t5->vocab, 0};
    default: /* the words that the Q-Former reads */
        return (LanguageConfig){.name = "none", .title = "matching", .vocab = c->qformer.vocab};
    }
}
