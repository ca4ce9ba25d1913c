/* settings/settings.h: what an evaluation or a training is told, from a YAML file as LAVIS reads it and --options.
 *
 * Four layers, later ones over earlier: defaults of the table (keys.h); of the model (models.yaml, by model.arch and
 * model.model_type) and of each data set (datasets.yaml, by its name and `type`); the file; the options. Options count when
 * defaults are chosen. Every value of the result knows where it comes from; values of known keys have been checked. */
#ifndef SETTINGS_SETTINGS_H
#define SETTINGS_SETTINGS_H

#include <jansson.h>
#include "settings/node.h"

typedef struct Settings {
    Tree tree;
    const char *path; /* as given; "standard input" for "-" */
    Node *root;       /* a map: model, datasets, run, env */
    const char **notices;
    size_t
        notice_count; /* lines for the user: unknown keys with the nearest known ones, "FILE:LINE: KEY: ..." */
} Settings;

/* options: count texts "a.b=value", the value YAML; or, when the first one has no "=", keys and values in turn. Errors
 * name the file and line and have ERR_FAILED, those of options ERR_USAGE. settings_free in any case. */
bool settings_load(Settings *s, const char *path, const char *const *options, size_t count,
                   Error *e);
/* The same of a text; name is copied. */
bool settings_parse(Settings *s, const char *text, size_t n, const char *name,
                    const char *const *options, size_t count, Error *e);
void settings_free(Settings *s);

/* A value below a map, s.root or a part of it such as a data set's, by its path: "run.max_len", "images.storage". NULL: it
 * is not there, or null, and the table has no default. Lists and maps: node->count, and node->first, its ->next, ... */
const Node *settings_at(const Node *in, const char *path);

/* Typed. What is not there, of another type or out of bounds is an error that says where. */
bool settings_flag(const Node *in, const char *path, bool *out, Error *e);
bool settings_whole(const Node *in, const char *path, int64_t min, int64_t max, int64_t *out,
                    Error *e);
bool settings_real(const Node *in, const char *path, double *out, Error *e); /* finite */
/* Belongs to the settings. */
bool settings_text(const Node *in, const char *path, const char **out, Error *e);
/* Of "a text or a list of texts", the i-th; NULL: there are no more. */
const char *settings_text_at(const Node *n, size_t i);

/* The result as YAML, with origins as comments; s->failed: out of memory. */
void settings_print(const Settings *s, StrBuf *out);
/* As JSON, keys in order; what JSON has no number for is a text. NULL: out of memory. The caller frees. */
json_t *settings_json(const Settings *s);

#endif
