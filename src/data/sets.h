/* data/sets.h: the data sets that are known by name: their files in LAVIS' layout, where those come from, whose they are.
 *
 * One table, sets.c. Places are relative to a root, LAVIS' cache_root. It knows files and forms and neither
 * evaluation nor training; a configuration may put other paths in the place of those of the table (data/reader.h). */
#ifndef DATA_SETS_H
#define DATA_SETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What a record is: one object of the annotation's list. */
typedef enum DataForm {
    DATA_CAPTIONS, /* {"image", "caption": [...]}: a picture with all of its captions */
    DATA_PAIRS,    /* {"image", "caption": "..."}: a picture and one caption */
    DATA_QUESTIONS /* {"image", "question", "question_id", "answer": "..." or [...]} */
} DataForm;

/* What a file is for. LAVIS tells it by the position in the list of a split. */
typedef enum DataRole {
    DATA_RECORDS,    /* what the reader reads; several are one after the other */
    DATA_ANSWERS,    /* a closed list of answers, of which BLIP-2 makes no use */
    DATA_VQA_ASKED,  /* VQA's questions and */
    DATA_VQA_TRUTH,  /* annotations: ground truth of VQA accuracy */
    DATA_COCO_TRUTH, /* COCO's captions: ground truth of caption metrics */
} DataRole;

typedef struct DataFile {
    DataRole role;
    const char *place, *url; /* url NULL: comes with the program */
    int64_t bytes;           /* -1: not published */
    const char *sum;         /* 64 digits: SHA-256, 32: MD5; NULL: not published */
} DataFile;

typedef enum DataPacking {
    DATA_ARCHIVE, /* a zip or tar file with pictures */
    DATA_SINGLE,  /* each picture alone, at the url and its name in the annotation */
} DataPacking;

/* Where pictures come from. */
typedef struct DataPictures {
    DataPacking packing;
    const char *archive; /* the name of the archive's file; a user's may have it, too */
    const char *url;     /* NULL: nobody may fetch it without an account; page says where it is */
    const char *page;
    int64_t bytes;
    const char *sum;
    const char *begin;  /* the pictures whose names in annotations begin so are in it; "": all */
    const char *inside; /* what their names in the archive begin with instead */
} DataPictures;

enum { DATA_FILES_MAX = 6, DATA_PICTURES_MAX = 4, DATA_SPLITS_MAX = 3 };

typedef struct DataSplit {
    const char *name; /* "train", "val", "test"; NULL: the set has no more */
    DataForm form;
    const char *id_key;   /* of the picture's id; NULL: LAVIS takes it from the file's name */
    const char *text_key; /* of captions or answers; NULL: "caption", "answer" */
    bool numbered;        /* pictures have no id: their place in the list is it (retrieval) */
    bool texts_missing;   /* records may be without captions or answers */
    bool repeats; /* the same picture (captions) or question_id (questions) may come twice */
    DataFile file[DATA_FILES_MAX];                   /* ends with a NULL place */
    const DataPictures *pictures[DATA_PICTURES_MAX]; /* ends with NULL */
} DataSplit;

typedef struct DataSet {
    const char *name, *type; /* as LAVIS calls it and its default file; type NULL: "default" */
    const char *type_also;   /* another type that is the same here; NULL: none */
    const char *also[4];     /* other names */
    const char *what;
    const char *licence, *page;
    const char *images;   /* folder of the pictures */
    const char *download; /* folder for archives */
    DataSplit split[DATA_SPLITS_MAX];
} DataSet;

/* All, in the order of lists; NULL behind the last. */
const DataSet *data_set_at(size_t i);

/* "NAME" or "NAME/TYPE" (gqa/balanced_val; without a type the first of the name). NULL, ERR_USAGE: there is none; the
 * nearest name, or the types, are in the message. */
const DataSet *data_set(const char *name, Error *e);

/* NULL, ERR_USAGE: "NAME: split: expected train, val or test, got X". */
const DataSplit *data_split(const DataSet *s, const char *split, Error *e);

/* root, or where NULL the folder of what came with the program (s->page NULL); mem_alloc'd. NULL: ERR_USAGE (a set that came with
 * nothing), errors of model_find, ERR_MEMORY. */
char *data_root(const DataSet *s, const char *root, Error *e);

#endif
