/* settings/defaults.h: defaults of published models and of data sets, from the files models.yaml and datasets.yaml of
 * this folder, which the build puts into the program. */
#ifndef SETTINGS_DEFAULTS_H
#define SETTINGS_DEFAULTS_H

#include "settings/node.h"

/* The defaults of the map `model`, by its `arch` and `model_type`, in tree t; sources of origins are in `keep`. NULL: an
 * error that says what there is. file: for the message when there is nothing to name. */
const Node *defaults_model(Tree *t, Tree *keep, const Node *model, const char *file, Error *e);
/* The same of a member of `datasets`, by its key and `type`. */
const Node *defaults_dataset(Tree *t, Tree *keep, const Node *dataset, Error *e);

extern const char settings_models_yaml[], settings_datasets_yaml[];

#endif
