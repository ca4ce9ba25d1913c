/* machine.c: the machine as JSON, its kernel sets as text. */
#include "machine.h"

#include "json.h"

#include <stdio.h>
#include <string.h>

static json_t *measured(double value)
{
    return value > 0 ? json_number(value) : json_null();
}

json_t *machine_json(const blip2_machine *m)
{
    json_t *o = json_object(), *peak = json_object(), *read = json_object();
    json_put(o, "cpu", json_text(m->cpu));
    json_put(o, "isa", json_text(m->isa));
    json_put(o, "threads", json_integer(m->threads));
    json_put(o, "device", json_text(m->device));
    json_put(o, "card", m->card[0] ? json_text(m->card) : json_null());
    json_put(peak, "f32", measured(m->gops_f32));
    json_put(peak, "bf16", measured(m->gops_bf16));
    json_put(peak, "fp16", measured(m->gops_fp16));
    json_put(peak, "int8", measured(m->gops_int8));
    json_put(o, "peak_gops", peak);
    json_put(read, "mapped", measured(m->gbs_mapped));
    json_put(read, "huge", measured(m->gbs_huge));
    json_put(o, "read_gbs", read);
    return o;
}

const char *isas_text(char buffer[128], const blip2_machine *m)
{
    size_t used = (size_t)snprintf(buffer, 128, "%s (can run:", m->isa);
    for (const char *const *isa = m->isas; isa && *isa && used < 128; isa++)
        used += (size_t)snprintf(buffer + used, 128 - used, " %s", *isa);
    if (used < 127)
        strcpy(buffer + used, ")");
    return buffer;
}
