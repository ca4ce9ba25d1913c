/* answer.h: one result as a line of text or JSON; and many pictures, one after the other. */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include "options.h"

#include <blip2.h>
#include <jansson.h>

/* One line on standard error that begins with the picture's path, even if the message does not. */
void complain_picture(const char *path, const char *message);
/* {"image", "question" unless NULL, "text", ...} of item `index`, which is done, of a result. */
json_t *answer_json(const char *path, const char *question, const blip2_result *result,
                    size_t index);
json_t *failure_json(const char *path, const char *message);

/* caption and ask: the same request for every picture. Returns the exit code. */
int answer_pictures(const Args *args, blip2_task task, const char *question, char *const *paths,
                    size_t count);

#endif
