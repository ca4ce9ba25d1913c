/* tidy.h: included first when clang-tidy looks at a file. It sees one file at a time and cannot know
 * that error_set and error_memory always return false; without that it follows paths on which memory
 * ran out and the work goes on. */
#include "base/error.h"

#define error_set(...)    ((void)error_set(__VA_ARGS__), 0 == 1)
#define error_memory(...) ((void)error_memory(__VA_ARGS__), 0 == 1)
