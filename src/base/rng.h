/* base/rng.h: a counter-based generator: value i of stream `seed` needs no state, so that a replay
 * (recomputation, resume, another thread count) draws the same numbers. SplitMix64 finaliser. Pure
 * functions: any thread may call them. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

uint64_t rng_u64(uint64_t seed, uint64_t counter);
double rng_unit(uint64_t seed, uint64_t counter);   /* uniform in [0,1), 53 bits */
double rng_normal(uint64_t seed, uint64_t counter); /* standard normal (Box-Muller) */

#endif
