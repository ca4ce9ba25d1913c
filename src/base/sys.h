/* base/sys.h: clock, processors, memory of this machine. */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <stddef.h>

double now_ms(void); /* monotonic clock in milliseconds */

/* Processors this process may really use: affinity mask and cgroup quota respected, at least 1. */
int cpus_usable(void);

size_t mem_physical(void); /* bytes of RAM, cgroup limit respected; 0 when unknown */
size_t mem_available(void);
size_t rss_peak(void); /* largest resident size of this process so far, in bytes */

#endif
