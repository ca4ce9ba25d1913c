/* data.h: the parts of blip2 data. */
#ifndef CLI_DATA_H
#define CLI_DATA_H

#include "options.h"

int data_prepare(const Args *args);

#endif
