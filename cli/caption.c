/* blip2 caption IMAGE... */
#include "answer.h"
#include "verbs.h"

int run_caption(const Args *args)
{
    return answer_pictures(args, BLIP2_CAPTION, NULL, args->operands, (size_t)args->count);
}
