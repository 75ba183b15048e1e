/* report/assets.c - see assets.h. */
#include "report/assets.h"

#include <assert.h>
#include <string.h>

const struct asset *asset_find(const char *name)
{
    const struct asset *a = assets;
    while (a->name && strcmp(a->name, name) != 0)
        a++;
    assert(a->name);
    return a;
}
