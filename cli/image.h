/* image.h: a picture that the user has named on the command line. */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include <blip2.h>

/* A file, "-", an http:// or https:// address, or a folder (an error that says so). Only what the user has
 * typed may come here: nothing is fetched that a file names. */
blip2_image *open_image(const char *name, blip2_error *err);

#endif
