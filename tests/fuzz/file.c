/* fuzz/file.c - see fuzz.h: files for parsers that open files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

static char dir[64];

static void remove_dir(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", dir);
    if (system(command) != 0)
        fprintf(stderr, "'%s' stays\n", dir);
}

const char *fuzz_file(const char *name, const uint8_t *bytes, size_t n)
{
    static char path[4][128]; /* a driver uses a few at once */
    static int at;
    if (!*dir) {
        strcpy(dir, "/tmp/mixlaw-fuzz-XXXXXX");
        if (!mkdtemp(dir) || atexit(remove_dir) != 0)
            abort();
    }
    char *p = path[at = (at + 1) % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    FILE *f = fopen(p, "wb");
    if (!f || (n && fwrite(bytes, n, 1, f) != 1) || fclose(f) != 0)
        abort();
    return p;
}
