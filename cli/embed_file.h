/* embed_file.h: features as NPY, safetensors or lines of JSON. */
#ifndef CLI_EMBED_FILE_H
#define CLI_EMBED_FILE_H

#include <blip2.h>
#include <jansson.h>

/* What features are of: a picture, a text, or both; NULL: not that. */
typedef struct EmbedName {
    const char *image, *text;
} EmbedName;

/* Lines of JSON go out as they come; of the other files all values are kept until the end, four bytes a number. */
typedef struct EmbedFile {
    const char *path;        /* NULL: lines of JSON to standard output */
    const char *kind, *pool; /* what the file says of them; set by the caller */
    size_t count;            /* of items, done or not; set by the caller before the first one */
    enum { EMBED_LINES, EMBED_NPY, EMBED_SAFETENSORS } form;
    float *values;
    size_t n_values, cap_values;
    size_t rows, columns; /* of the first item; NPY: of all */
    size_t taken;         /* items so far, failed ones included */
    json_t *header, *names;
    char *lines; /* JSON for a file */
    size_t n_lines, cap_lines;
} EmbedFile;

/* The end of its name says which form a file has. Returns 0 or EXIT_USAGE after one line. Free in both cases. */
int embed_file_begin(EmbedFile *f, const char *path);
/* Returns 0, or the exit code after one line: NPY, whose items are [count, rows, columns] ([count, columns]
 * pooled), cannot hold items of different lengths. */
int embed_file_add(EmbedFile *f, const EmbedName *name, const blip2_feature *x);
/* NPY: its rows are not-a-number; safetensors: it is not there; JSON: {"error"}. */
void embed_file_failed(EmbedFile *f, const EmbedName *name, const char *message);
/* Writes the file, whole or not at all. */
int embed_file_end(EmbedFile *f);
void embed_file_free(EmbedFile *f);

#endif
