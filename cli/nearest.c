/* nearest.c: the name that was probably meant, for "did you mean". */
#include "options.h"

#include <blip2_debug.h>
#include <string.h>

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* What is part of a name ("--beams" of "--num-beams") is nearer than its distance says. */
static int strangeness(const char *word, const char *candidate)
{
    int d = blip2_debug_distance(word, candidate);
    return strlen(word) >= 3 && strstr(candidate, word) ? least(d, 2) : d;
}

const char *nearest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    int limit = (int)strlen(word) <= 3 ? 1 : (int)strlen(word) <= 5 ? 2 : 3, best_d = limit + 1;
    for (; *candidates; candidates++) {
        int d = strangeness(word, *candidates);
        if (d < best_d) {
            best_d = d;
            best = *candidates;
        }
    }
    return best;
}
