/* cpu/flush.h: the arithmetic that kernels run in: rounding to nearest, no traps, subnormal numbers count as
 * zero.
 *
 * One subnormal operand costs up to 45 ns on current CPUs; and a program that rounds otherwise would get other
 * sums from the calling thread than from the pool's. pool_run sets the mode around the caller's part of a piece of work and restores what it found, so that the caller never sees it; threads
 * of a pool have it set for good:
 *
 *     Flush f = flush_on();  ...  flush_off(f);
 */
#ifndef CPU_FLUSH_H
#define CPU_FLUSH_H

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef uint64_t Flush; /* the control register as it was */

static inline __attribute__((unused)) Flush flush_on(void)
{
#if defined(__x86_64__)
    Flush old = _mm_getcsr();
    _mm_setcsr(0x9fc0u); /* FTZ, DAZ, all exceptions masked, nearest */
    return old;
#elif defined(__aarch64__)
    Flush old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"((Flush)1 << 24)); /* FZ */
    return old;
#else
    return 0;
#endif
}

static inline __attribute__((unused)) void flush_off(Flush old)
{
#if defined(__x86_64__)
    _mm_setcsr((unsigned)old);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"(old));
#endif
}

#endif
