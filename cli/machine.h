/* machine.h: the machine as doctor and bench report it. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <blip2_debug.h>
#include <jansson.h>

/* {"cpu", "isa", "threads", "device", "card", "peak_gops": {...}, "read_gbs": {...}}; what is not there is null. */
json_t *machine_json(const blip2_machine *m);
/* The name of the kernel set, and all that this machine can run: "avx2 (portable avx2 avx512)". */
const char *isas_text(char buffer[128], const blip2_machine *m);

#endif
