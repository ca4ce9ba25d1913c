/* nearest.c: the name that was probably meant, for "did you mean". */
#include "options.h"

#include <string.h>

enum { LONGEST = 40 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Edit distance with neighbouring letters swapped as one edit (optimal string alignment); words
 * longer than LONGEST are cut, they are nobody's typing error. */
static int distance(const char *a, const char *b)
{
    int m = least((int)strlen(a), LONGEST), n = least((int)strlen(b), LONGEST);
    int d[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= m; i++)
        d[i][0] = i;
    for (int j = 0; j <= n; j++)
        d[0][j] = j;
    for (int i = 1; i <= m; i++)
        for (int j = 1; j <= n; j++) {
            int change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least(change, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

/* What is part of a name ("--beams" of "--num-beams") is nearer than its distance says. */
static int strangeness(const char *word, const char *candidate)
{
    int d = distance(word, candidate);
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
