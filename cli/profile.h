/* profile.h: --profile, a table on standard error of where the time went. */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include <blip2.h>

/* From now on a session's work, and the pictures that are opened, are counted. 0, or the exit code after one line. */
int profile_begin(blip2_session *session);
/* A picture has been opened; NULL: it could not be. */
void profile_picture(const blip2_image *image);
/* Prints what was counted. Nothing when nothing was begun. */
void profile_end(const blip2_session *session);

#endif
