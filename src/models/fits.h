/* models/fits.h: what no file of a model says wrong by itself: that its parts do not fit each other. Whoever
 * has opened network and tokenizer asks. */
#ifndef MODELS_FITS_H
#define MODELS_FITS_H

#include "base/note.h"
#include "models/blip2.h"
#include "text/tokenizer.h"

/* false: e (ERR_BAD_MODEL) says which parts cannot work together. t may be NULL: there is no tokenizer.
 * dir is what messages name. */
bool model_fits(const Blip2 *net, const Tokenizer *t, const char *dir, Error *e);
/* To an error of loading: which two parts of the model it is that disagree about a size, where that is it
 * (the projection and the language model, the Q-Former and the vision tower, weights and config.json). */
void model_disagree(const Blip2 *net, Error *e);
/* What was found in the files and is no error, tokenizer and vocabulary included. */
Notes model_notes(const Blip2 *net, const Tokenizer *t, const char *dir);

#endif
