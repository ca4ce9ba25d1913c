/* fenced.h: a test-only device: the CPU's kernels over memory that the host cannot touch.
 *
 * Its memory lies on pages without any access, but while a kernel or a copy runs. So whoever reads
 * or writes tensor data on the host crashes, as on a machine with a GPU. And whatever reaches a
 * kernel as device memory must be of this device: a list or a weight in host memory aborts with the
 * name of the kernel, so weights go through `place`. Fresh memory is NaN, or -1 as integers. Results
 * have the bits of the CPU.
 *
 * It is used as any other Device; several threads may use it, but while one of them computes, the
 * fence is open for all. Linked to every unit test (cmake/tests.cmake). */
#ifndef FENCED_H
#define FENCED_H

#include "tensor/backend.h"

/* NULL: ERR_MEMORY. Memory must be given back before close, but for what place returned. */
Device *fenced_device(Error *e);

/* The n-th `copy` from now on fails behind its call, once: what it wrote is lost, and the next wait (sync
 * or download) says so, as on a machine that works on its own. 0: none does. */
void fenced_fail_copy(Device *dev, long n);
/* Whether it has failed; whether a wait has said so. */
bool fenced_copy_failed(const Device *dev);
bool fenced_copy_told(const Device *dev);

#endif
