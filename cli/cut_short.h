/* cut_short.h: weights are read where the file is mapped. When the file is cut short, or its disk is
 * gone, the next look at it raises SIGBUS, which by itself ends a program without a word. */
#ifndef CLI_CUT_SHORT_H
#define CLI_CUT_SHORT_H

/* From now on that is one line with the file's name, and EXIT_BAD_MODEL. Any other SIGBUS does what it
 * did before. */
void watch_mapped_files(void);

#endif
