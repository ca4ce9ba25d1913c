/* wait.c: sets GOMP_SPINCOUNT and starts the command again, since it is read before main. */
#include "wait.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char SPINS[] = "10000"; /* some tens of microseconds */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Under a loader or an emulator that was named on the command line, /proc/self/exe is that one. */
static bool is_itself(const char *name, char exe[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", exe, PATH_MAX - 1);
    if (n <= 0 || !name)
        return false;
    exe[n] = 0;
    return strcmp(base_name(exe), base_name(name)) == 0;
}

void wait_briefly(char **argv)
{
    static const char *const OWN[] = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"};
    char exe[PATH_MAX];
    for (int i = 0; i < 2; i++)
        if (getenv(OWN[i]))
            return;
    if (is_itself(argv[0], exe) && setenv(OWN[0], SPINS, 1) == 0)
        execv(exe, argv);
}
