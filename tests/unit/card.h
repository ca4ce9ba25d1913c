/* card.h: a test-only device over host memory whose kernels run on an NVIDIA card.
 *
 * Whatever a kernel is given is carried to the card before it and back behind it, so that the tests of kernels, which read
 * and write their matrices on the host, serve any backend. What lies together on the host lies together there: views,
 * and results over their input, are what they are on the CPU. */
#ifndef CARD_H
#define CARD_H

#include "tensor/backend.h"

/* What tests run on: the kernel sets of this CPU, and "cuda" where $BLIP2_TEST_CARD is set; there must be a card then. Ends
 * with NULL. */
const char *const *card_isas(void);
/* Whether it is the card's: "cuda", or a stream's "sm_90". */
bool card_is(const char *isa);

/* A stream whose table does that; close frees it. NULL: e says why. */
Stream *card_stream(Precision precision, Error *e);

#endif
