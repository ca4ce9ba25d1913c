/* data/reader.h: the records of a data set, by index or one after the other.
 *
 * An annotation is mapped, not read into memory: an index keeps 8 bytes a record (50 at most while it is made), and a record is
 * parsed when it is asked for. So every record is looked at once when the set is opened, and what is wrong in one
 * is told then, with its number, before anything is computed. */
#ifndef DATA_READER_H
#define DATA_READER_H

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "data/sets.h"

enum { DATA_RECORDS_MAX = 8 };

/* What is opened. data_source fills it from the table; a configuration may put others in the place of its paths. Strings
 * belong to the caller and live as long as the reader. */
typedef struct DataSource {
    const char *name, *split;              /* for messages */
    const char *records[DATA_RECORDS_MAX]; /* annotation files, read one after the other */
    size_t record_files;
    const char *images; /* folder that pictures' names are relative to */
    DataForm form;
    const char *id_key, *text_key; /* as in DataSplit */
    bool numbered, texts_missing, repeats;
} DataSource;

/* The source of a split below root; paths are memory of mem. False: ERR_MEMORY. */
bool data_source(DataSource *out, const DataSet *set, const DataSplit *split, const char *root,
                 Arena *mem, Error *e);

/* The part-th of `parts` parts, from 0; {0, 1}: all. Parts are runs of records: one behind the other they are the whole in its
 * order, and they differ in length by one at most. */
typedef struct DataShard {
    size_t part, parts;
} DataShard;

/* "2/4", from 1 to N, as --shard takes it. False, ERR_USAGE. */
bool data_shard(DataShard *out, const char *text, Error *e);

/* A caption or an answer. */
typedef struct DataText {
    const char *text;
    double weight; /* captions: 1; answers: the share of those that are this one */
} DataText;

/* One record. Strings are UTF-8, end with a zero, and belong to it. */
typedef struct DataItem {
    size_t index; /* in the whole, all annotation files together; LAVIS' instance_id */
    const char *image_name, *image; /* as the annotation has it; the path below the image folder */
    const char *
        image_id; /* captions and pairs: as LAVIS writes it to results; NULL: questions, retrieval */
    const char *question, *question_id; /* questions; else NULL */
    const DataText *texts; /* captions, or answers in the order of their first use, each once */
    size_t text_count;
    json_t *record; /* all of it, for members that only one data set has; read only */
} DataItem;

typedef struct DataReader DataReader;

/* Errors, one line, ERR_FAILED with file and record in front: a file that is not there or no JSON, no list; a record without its
 * keys or with one of another type; an id that came before; no records at all. ERR_USAGE: a part that is not
 * one; ERR_MEMORY. */
DataReader *data_open(const DataSource *source, DataShard shard, Error *e);
void data_close(DataReader *r); /* NULL is fine */

size_t data_count(const DataReader *r); /* records of the whole */
size_t data_first(const DataReader *r); /* of the part: those from first */
size_t data_end(const DataReader *r);   /* up to end, without it */
size_t data_index_bytes(const DataReader *r);

/* Any record of the whole; any thread may ask. NULL: ERR_FAILED when the file has been changed meanwhile, ERR_MEMORY. */
DataItem *data_item(const DataReader *r, size_t index, Error *e);
void data_item_free(DataItem *item); /* NULL is fine */

/* The next record of the part, from its first one on; for one thread. NULL: there are no more, and e is as it was, or an error.
 * Pages of the annotation that lie behind are given back to the system. */
DataItem *data_next(DataReader *r, Error *e);
void data_seek(DataReader *r, size_t index); /* the next record is this one (end at most) */

/* An id as LAVIS writes it to result files: an integer where it looks like one (-?[0-9]+, "00123" is 123). False: it
 * stays text. */
bool data_id_whole(const char *id, int64_t *whole);

#endif
