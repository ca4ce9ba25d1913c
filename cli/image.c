/* image.c: see image.h. */
#include "image.h"

#include "path.h"

blip2_image *open_image(const char *name, blip2_error *err)
{
    return is_url(name) ? blip2_image_from_url(name, err) : blip2_image_from_file(name, err);
}
