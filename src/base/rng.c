/* base/rng.c: SplitMix64 of seed and index, as bits, as a fraction, as a normal number. */
#include "base/rng.h"

#include <math.h>

static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rng_u64(uint64_t seed, uint64_t counter)
{
    return mix(mix(seed) + counter * 0x9e3779b97f4a7c15u);
}

double rng_unit(uint64_t seed, uint64_t counter)
{
    return (double)(rng_u64(seed, counter) >> 11) * 0x1p-53;
}

double rng_normal(uint64_t seed, uint64_t counter)
{
    double u = 1.0 - rng_unit(seed, 2 * counter), v = rng_unit(seed, 2 * counter + 1);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}
