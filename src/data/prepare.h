/* data/prepare.h: what has to be done before a data set can be read, and doing it: first the annotations, then the pictures that
 * they name. A plan is made before anything is fetched or written, for whoever has to agree to it. */
#ifndef DATA_PREPARE_H
#define DATA_PREPARE_H

#include <stddef.h>

#include "base/mem.h"
#include "ckpt/pull.h"
#include "data/download.h"
#include "data/sets.h"

typedef enum DataDoing {
    DATA_DOWNLOAD, /* fetch a file */
    DATA_UNPACK,   /* an archive that is there, or will be */
    DATA_ASK,      /* nobody may fetch it without an account: the user has to, from `page` */
} DataDoing;

/* Strings are memory of the plan. */
typedef struct DataStep {
    DataDoing doing;
    const char *name; /* "coco/annotations/vqa_train.json", "val2014.zip" */
    const char *from; /* download: url; unpack: path of the archive; ask: page */
    const char *to;   /* download: path; unpack: folder; ask: the path where it is looked for */
    size_t pictures;  /* that are missing and come with it; 0: an annotation */
    int64_t bytes;    /* of a download; -1: not known */
    const char *sum;
    const DataPictures *source; /* of pictures; else NULL */
} DataStep;

/* Starts as {0}, freed by data_plan_free. Thousands of single pictures are as many steps. */
typedef struct DataPlan {
    Arena mem;
    DataStep *step;
    size_t count, cap;
    const DataSet *set;
} DataPlan;

/* The annotations of the split (NULL: of all) that are not there. Errors: ERR_USAGE (no such split), ERR_MEMORY. */
bool data_plan_files(DataPlan *p, const DataSet *set, const char *split, const char *root,
                     Error *e);

/* The pictures that are not there. Archives are looked for among `archives`, paths that the user has named, and in
 * the set's folder for downloads, by their names. A split without its annotation is passed over. Errors: ERR_FAILED
 * (an annotation that cannot be read), ERR_USAGE (no such split, an archive that is none of this set's), ERR_MEMORY. */
bool data_plan_pictures(DataPlan *p, const DataSet *set, const char *split, const char *root,
                        const char *const *archives, size_t archive_count, Error *e);

/* Asks the servers how large downloads are of which that is not known, but for single pictures; what does not answer stays
 * unknown. Errors: ERR_MEMORY. */
bool data_plan_sizes(DataPlan *p, Error *e);

/* Does all steps but DATA_ASK; progress as for models, also while an archive is unpacked. Archives stay where they are. What was done
 * stays when a later step fails, and is not done again. Errors as of data/download.h and data/unpack.h; ERR_FAILED when
 * another process prepares in the same root. */
bool data_carry_out(const DataPlan *p, const char *root, PullFn *progress, void *user, Error *e);
void data_plan_free(DataPlan *p);

#endif
