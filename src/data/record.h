/* data/record.h: what one object of an annotation says. For data/reader.c and the fuzzer. */
#ifndef DATA_RECORD_H
#define DATA_RECORD_H

#include "data/reader.h"

/* Takes `record` over, also when it fails. where: "FILE: item 12". NULL: ERR_FAILED, ERR_MEMORY. */
DataItem *record_item(const DataSource *s, json_t *record, size_t index, const char *where,
                      Error *e);

/* The id that must not come twice: question_id, or of captions the picture's id (by LAVIS' rule it is what results are
 * told apart by); of pairs the picture's name. */
const char *record_id(const DataSource *s, const DataItem *item);

#endif
