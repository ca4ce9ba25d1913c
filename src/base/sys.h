/* base/sys.h: clock, processors, memory of this machine; any thread may ask, nothing fails. */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <stddef.h>

double now_ms(void); /* monotonic clock in milliseconds */

/* Processors this process may really use: affinity mask and cgroup quota respected, at least 1. */
int cpus_usable(void);

size_t mem_physical(void);  /* bytes of RAM, cgroup limit respected; 0 when unknown */
size_t mem_available(void); /* bytes that could be had without swapping; 0 when unknown */

#endif
