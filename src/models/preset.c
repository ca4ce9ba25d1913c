/* models/preset.c: see models/preset.h. */
#include "models/preset.h"

#include <string.h>

#include "base/str.h"

const char *preset_name(Preset p)
{
    static const char *const NAMES[PRESET_COUNT] = {NULL, "int8", "int4", "mixed"};
    return NAMES[p];
}

/* Small ones whose rounding would cost more than their bytes: pixels pass through the first, features and probabilities
 * come out of the others. */
static bool stays(const char *name)
{
    static const char *const BEGIN[] = {"vision_model.embeddings.patch_embedding.",
                                        "vision_projection.", "text_projection.", "itm_head."};
    for (size_t i = 0; i < sizeof BEGIN / sizeof *BEGIN; i++)
        if (str_starts(name, BEGIN[i]))
            return true;
    return false;
}

/* What bears int4 worst for its bytes, as measured (docs/QUANTIZATION.md): the first layer of a stack, through which all
 * that follows passes, and the values of attention, which nothing rounds off as softmax does with queries and keys. */
static bool sensitive(const char *name)
{
    bool first = strstr(name, "decoder.layers.0.") || strstr(name, "coder.block.0.");
    return first || str_ends(name, ".v_proj.weight") || str_ends(name, "Attention.v.weight");
}

static DType matrix_type(Preset p, const char *name, DType stored)
{
    if (stays(name))
        return stored;
    if (p == PRESET_INT8 || !str_starts(name, "language_model."))
        return I8;
    return p == PRESET_MIXED && sensitive(name) ? I8 : I4;
}

DType preset_type(Preset p, const char *name, const ParamSpec *spec, DType stored)
{
    if (spec->kind == PARAM_VECTOR)
        return F32;
    if (p == PRESET_NONE || spec->kind == PARAM_TABLE || !dtype_is_float(stored))
        return stored;
    return spec->kind == PARAM_HEAD ? I8 : matrix_type(p, name, stored);
}
