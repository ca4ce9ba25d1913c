/* base/sys.c: the clock, processors and memory, as Linux tells them. */
#define _GNU_SOURCE
#include "base/sys.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Containers are limited by time share: "quota period" in cgroup v2, two files in v1. */
static double cgroup_cpus(void)
{
    double quota = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (f) {
        if (fscanf(f, "%lf %lf", &quota, &period) != 2)
            quota = 0; /* "max" */
        fclose(f);
    } else if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r"))) {
        if (fscanf(f, "%lf", &quota) != 1)
            quota = 0;
        fclose(f);
        if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r"))) {
            if (fscanf(f, "%lf", &period) != 1)
                period = 0;
            fclose(f);
        }
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

int cpus_usable(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                        : (int)sysconf(_SC_NPROCESSORS_ONLN);
    double share = cgroup_cpus();
    if (share > 0 && share < n)
        n = (int)(share + 0.5);
    return n < 1 ? 1 : n;
}

static size_t read_bytes(const char *path)
{
    unsigned long long v = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    if (fscanf(f, "%llu", &v) != 1)
        v = 0; /* "max" */
    fclose(f);
    return (size_t)v;
}

/* The smaller of two of which 0 is not known. */
static size_t lesser(size_t a, size_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* The number of either version of cgroups; 0: there is none. */
static size_t cgroup(const char *v2, const char *v1)
{
    size_t n = read_bytes(v2);
    return n ? n : read_bytes(v1);
}

static size_t ram(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
}

/* 0: there is none; one that no memory reaches is how the first version says so. */
static size_t cgroup_limit(void)
{
    size_t limit =
        cgroup("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes");
    size_t most = ram();
    return most && limit >= most ? 0 : limit;
}

size_t mem_physical(void)
{
    return lesser(ram(), cgroup_limit());
}

/* What the number behind `key` is in a file of such lines, 0 when there is none. */
static size_t read_line(const char *path, const char *key)
{
    char line[128];
    unsigned long long v = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%llu", &v) == 1)
            break;
    fclose(f);
    return (size_t)v;
}

/* A cgroup counts pages of files, too, that it would give back. */
size_t mem_available(void)
{
    size_t free_now = 1024 * read_line("/proc/meminfo", "MemAvailable:");
    size_t limit = cgroup_limit();
    size_t used =
        cgroup("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes");
    size_t files = read_line("/sys/fs/cgroup/memory.stat", "inactive_file ");
    if (!limit)
        return free_now;
    if (!files)
        files = read_line("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file ");
    used -= files < used ? files : used;
    return lesser(free_now, used < limit ? limit - used : 1);
}
