/* operands.h: from what was named on the command line to pictures. */
#ifndef CLI_OPERANDS_H
#define CLI_OPERANDS_H

#include <blip2.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Pictures {
    char **paths;
    size_t count, capacity;
    bool many; /* more than one, or those of a folder: results stand behind their names */
} Pictures;

/* Each operand in the order given; in the place of a folder the pictures in it, told by the end of their
 * names, sorted by path, and with `below` those in the folders below it; what begins with "." is not
 * looked at, and below the folder named no link to a folder is followed. A folder without pictures, or
 * that cannot be read, stays itself. Free with pictures_free. */
void pictures_find(Pictures *p, char *const *operands, size_t count, bool below);
void pictures_free(Pictures *p);

/* Whether a word names a picture: "-", a file, a folder, an address. */
bool is_picture(const char *word);

/* Whether a name ends as those of pictures do. */
bool is_picture_name(const char *name);

/* Standard input can be read once only: 0, or EXIT_USAGE after one line. */
int pictures_once(char *const *paths, size_t count);

/* What is wrong with a folder that stayed: BLIP2_FAILED. */
void pictures_none(const char *folder, blip2_error *err);

/* The picture at one of the paths found, a folder that stayed included. */
blip2_image *open_operand(const char *path, blip2_error *err);

#endif
