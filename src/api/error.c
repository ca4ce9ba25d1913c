/* api/error.c: errors as the caller sees them. */
#include <string.h>

#include "api/api.h"

_Static_assert((int)ERR_FAILED == BLIP2_FAILED && (int)ERR_USAGE == BLIP2_USAGE &&
                   (int)ERR_NO_MODEL == BLIP2_NO_MODEL && (int)ERR_BAD_MODEL == BLIP2_BAD_MODEL &&
                   (int)ERR_MEMORY == BLIP2_MEMORY && (int)ERR_STOPPED == BLIP2_STOPPED,
               "the two lists of error codes are one");
_Static_assert(sizeof(((Error *)0)->message) == sizeof(((blip2_error *)0)->message),
               "messages are copied whole");

bool api_error(blip2_error *to, const Error *from)
{
    if (!to || to->code)
        return false;
    to->code = (blip2_error_code)from->code;
    memcpy(to->message, from->message, sizeof to->message);
    return false;
}

const char *blip2_version(void)
{
    return BLIP2_VERSION;
}
