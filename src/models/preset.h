/* models/preset.h: which weights are quantised, and to what. docs/QUANTIZATION.md has the measurements behind it. */
#ifndef MODELS_PRESET_H
#define MODELS_PRESET_H

#include "nn/visitor.h"

typedef enum Preset {
    PRESET_NONE,
    PRESET_INT8,  /* every large matrix int8 */
    PRESET_INT4,  /* the language model's layers int4, the rest int8 */
    PRESET_MIXED, /* those of them int4 that bear it, the rest int8 */
    PRESET_COUNT
} Preset;

const char *preset_name(Preset p); /* "int8"; NULL of none */

/* The type that a parameter has in memory. `stored`: its type in the file, F32 for one that does not exist yet. Vectors
 * are f32, small and read by every kernel; tables, whose rows are looked up, and what is quantised already stay as they
 * are stored. */
DType preset_type(Preset p, const char *name, const ParamSpec *spec, DType stored);

#endif
