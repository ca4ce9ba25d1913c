/* wait.h: how the threads wait for each other; for main, before anything else. */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

/* Bounds the time that a thread spins before it sleeps. GNU OpenMP waits for milliseconds by
 * default: harmless on an idle machine, but beside other busy processes each of a caption's
 * thousands of short waits then lasts a time slice (docs/SPEED.md has figures). It reads its
 * settings before main, so the program starts itself once more with GOMP_SPINCOUNT set. Whatever
 * the user set is left alone. Returns when there is nothing to do or it cannot be done. */
void wait_briefly(char **argv);

#endif
