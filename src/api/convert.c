/* api/convert.c: blip2_convert. */
#include "api/api.h"
#include "models/convert.h"

_Static_assert((int)CONVERT_HF == BLIP2_HF_LAYOUT && (int)CONVERT_LAVIS == BLIP2_LAVIS_LAYOUT &&
                   (int)CONVERT_PACKED == BLIP2_PACKED_LAYOUT,
               "the two lists of layouts are one");

static bool take_options(blip2_convert_options *o, const blip2_convert_options *theirs, Error *e)
{
    static const char WHAT[] = "convert options";
    if (theirs && !sized_take(o, sizeof *o, theirs, WHAT, e))
        return false;
    if ((int)o->to < BLIP2_HF_LAYOUT || o->to > BLIP2_PACKED_LAYOUT)
        return error_set(e, ERR_USAGE, "%s: to: expected %d to %d, got %d", WHAT, BLIP2_HF_LAYOUT,
                         BLIP2_PACKED_LAYOUT, (int)o->to);
    if (o->dtype != BLIP2_AUTO && api_preset(o->dtype) == PRESET_NONE)
        return error_set(
            e, ERR_USAGE,
            "%s: dtype: expected int8, int4 or mixed (or none: weights keep their types), got "
            "another",
            WHAT);
    return true;
}

static bool convert(const char *from, const char *to, const blip2_convert_options *o, Error *e)
{
    ModelSource source = {0};
    SourceHints hints = {o->type, o->vit, o->language};
    ConvertOptions how = {(ConvertTo)o->to, o->on_progress, o->user, api_preset(o->dtype)};
    bool ok = source_find(&source, from, &hints, e) && model_convert(&source, to, &how, e);
    source_free(&source);
    return ok;
}

bool blip2_convert(const char *from, const char *to, const blip2_convert_options *options,
                   blip2_error *err)
{
    Error e = {0};
    blip2_convert_options o = blip2_convert_options_default();
    bool ok =
        (to || api_missing("to", &e)) && take_options(&o, options, &e) && convert(from, to, &o, &e);
    return ok || api_error(err, &e);
}
