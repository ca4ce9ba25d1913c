/* ckpt/names.c: the table of names that changed. */
#include "ckpt/names.h"

#include <stdio.h>

#include "base/str.h"

/* OPT's first files, and BLIP-2 models saved around them, have no "model." before the decoder. */
static bool opt_without_model(const char *canonical, char *buf, size_t cap)
{
    static const char NEW[] = "language_model.model.decoder.", OLD[] = "language_model.decoder.";
    if (!str_starts(canonical, NEW))
        return false;
    int n = snprintf(buf, cap, "%s%s", OLD, canonical + sizeof NEW - 1);
    return n >= 0 && (size_t)n < cap;
}

bool name_map(int i, const char *canonical, char *buf, size_t cap)
{
    static bool (*const MAPS[NAME_MAPS])(const char *, char *, size_t) = {opt_without_model};
    return MAPS[i](canonical, buf, cap);
}
