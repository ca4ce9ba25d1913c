/* api/device.c: which machine a model is computed on: what the caller, or $BLIP2_DEVICE, says. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"

/* N of "cuda:N", 0 of "cuda"; -1: neither. */
static int card_of(const char *s)
{
    char *end;
    if (strcmp(s, "cuda") == 0)
        return 0;
    if (strncmp(s, "cuda:", 5) != 0 || s[5] < '0' || s[5] > '9')
        return -1;
    long n = strtol(s + 5, &end, 10);
    return *end == '\0' && n < 1024 ? (int)n : -1;
}

bool api_device_choice(const char *asked, DeviceChoice *choice, Error *e)
{
    const char *from = "device";
    if (!asked || !*asked) {
        asked = getenv("BLIP2_DEVICE");
        from = "BLIP2_DEVICE";
    }
    *choice = (DeviceChoice){.kind = DEVICE_AUTO};
    if (!asked || !*asked || strcmp(asked, "auto") == 0)
        return true;
    choice->card = card_of(asked);
    choice->kind = strcmp(asked, "cpu") == 0 ? DEVICE_CPU : DEVICE_CUDA;
    return choice->kind == DEVICE_CPU || choice->card >= 0 ||
           error_set(e, ERR_USAGE, "%s: expected auto, cpu, cuda or cuda:N, got %.40s", from,
                     asked);
}

Device *api_device_open(const DeviceChoice *choice, Error *e)
{
    if (choice->kind == DEVICE_CUDA)
        return cuda_device(choice->card, e);
    Device *card = choice->kind == DEVICE_AUTO ? cuda_device(0, NULL) : NULL;
    return card ? card : cpu_device(e);
}

bool api_on_card(const Device *dev)
{
    return strcmp(dev->name, "cpu") != 0;
}
