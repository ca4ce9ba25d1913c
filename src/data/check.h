/* data/check.h: what of a data set is there, and what is missing or broken, by name. */
#ifndef DATA_CHECK_H
#define DATA_CHECK_H

#include <stddef.h>

#include "data/sets.h"

typedef enum DataState { DATA_GOOD, DATA_MISSING, DATA_BROKEN } DataState;

/* One file. Strings are valid during the call. */
typedef struct DataFinding {
    const char *split;
    const char *path; /* below the root as it was given */
    bool picture;     /* else an annotation; good pictures are counted only */
    DataState state;
    const char *why; /* broken: what is wrong, beginning with the file; else NULL */
    size_t records;  /* of a good annotation that has such; else 0 */
} DataFinding;

typedef bool DataFindingFn(void *user, const DataFinding *f); /* false stops, ERR_STOPPED */

typedef struct DataCheck {
    bool deep; /* decode every picture, and compare published checksums of annotations */
    DataFindingFn *tell;
    /* Pictures looked at so far, for progress; may be NULL. */
    void (*progress)(void *user, size_t done);
    void *user;
} DataCheck;

/* Sums over the splits that were looked at; a picture counts once a split. */
typedef struct DataChecked {
    size_t files, files_missing, files_broken;
    size_t pictures, pictures_missing, pictures_broken;
} DataChecked;

/* Looks at all files of the split (NULL: of every split) below root, and at every picture that its records name. What is missing
 * or broken is a finding and no error; errors are ERR_USAGE (no such split), ERR_FAILED (root is no folder), ERR_STOPPED,
 * ERR_MEMORY. */
bool data_check(const DataSet *set, const char *split, const char *root, const DataCheck *how,
                DataChecked *out, Error *e);

#endif
