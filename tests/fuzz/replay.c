/*
 * fuzz/replay.c - runs a driver without libFuzzer:   fuzz_NAME SECONDS SEED...
 *
 * Each seed (a file, or the files of a folder) goes through as it is, cut short at some places, and
 * then mutated by a seeded generator until the time is over. A failure is an abort or a sanitizer's
 * report; what was tried last is kept as fuzz-last-NAME in the working folder, to be given as a
 * seed again.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "fuzz/fuzz.h"

enum { SEED_MAX = 1 << 20, GROW_MAX = 4096, CUTS = 64 };

static struct strbuf tried; /* for keep_last */
static const char *driver;

static void keep_last(int sig)
{
    char name[128];
    snprintf(name, sizeof name, "fuzz-last-%s", driver);
    FILE *f = fopen(name, "wb");
    if (f) {
        fwrite(tried.s, 1, tried.n, f);
        fclose(f);
    }
    signal(sig, SIG_DFL);
    raise(sig);
}

/* The sanitizers' failures are aborts too, and a segmentation fault is reported by them. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1:handle_segv=2";
}

static void try_it(void)
{
    uint8_t *copy = xmalloc(tried.n); /* of its exact size, so that a read behind it is seen */
    memcpy(copy, tried.s, tried.n);
    LLVMFuzzerTestOneInput(copy, tried.n);
    free(copy);
}

/* One change: another byte, a bit, a number at its limit, a piece left out, doubled or moved. */
static void mutate(struct rng *rng, struct strbuf *b)
{
    static const uint8_t odd[] = {
        0, 1, 9, 10, 13, 32, 34, 44, 60, 62, 91, 92, 123, 127, 128, 255
    };
    if (b->n == 0)
        str_addc(b, 'x');
    size_t at = rng_below(rng, b->n), left = b->n - at, n = 1 + rng_below(rng, left);
    switch (rng_below(rng, 7)) {
    case 0:
        b->s[at] = (char)rng_u64(rng);
        break;
    case 1:
        b->s[at] = (char)(b->s[at] ^ 1 << rng_below(rng, 8));
        break;
    case 2:
        b->s[at] = (char)odd[rng_below(rng, sizeof odd)];
        break;
    case 3: /* a number of 1, 2, 4 or 8 bytes: 0, -1, the largest */
        n = (size_t)1 << rng_below(rng, 4);
        memset(b->s + at, rng_below(rng, 2) ? 0xFF : 0, n < left ? n : left);
        break;
    case 4:
        n = n > 64 ? 1 + rng_below(rng, 64) : n;
        memmove(b->s + at, b->s + at + n, left - n);
        b->n -= n;
        break;
    case 5: {
        n = n > GROW_MAX ? GROW_MAX : n;
        char *piece = xstrndup(b->s + at, n);
        if (b->n + n < SEED_MAX)
            str_add(b, piece, n);
        free(piece);
        break;
    }
    default: {
        size_t from = rng_below(rng, b->n);
        n = n > 256 ? 256 : n;
        n = n < b->n - from ? n : b->n - from;
        memmove(b->s + at, b->s + from, n < left ? n : left);
    }
    }
}

int main(int argc, char **argv)
{
    struct strlist files = { 0 };
    struct err err;
    struct rng rng;
    struct strbuf *seed;
    driver = path_base(argv[0]);
    if (argc < 3) {
        fprintf(stderr, "usage: %s SECONDS SEED...\n", driver);
        return 2;
    }
    enum st st = paths_expand(&files, argv + 2, (size_t)argc - 2, &err);
    seed = NEW_ARRAY(struct strbuf, files.n);
    for (size_t i = 0; i < files.n && st == ST_OK; i++)
        st = file_read(files.s[i], SEED_MAX, &seed[i], &err);
    if (st < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    signal(SIGABRT, keep_last);
    signal(SIGSEGV, keep_last);
    size_t n_tried = 0;
    for (size_t i = 0; i < files.n; i++)
        for (size_t k = 0; k <= CUTS; k++, n_tried++) {
            str_clear(&tried);
            str_add(&tried, seed[i].s, seed[i].n * k / CUTS);
            try_it();
        }
    rng_init(&rng, 1, driver, 0);
    for (double until = clock_s() + atof(argv[1]); clock_s() < until; n_tried++) {
        const struct strbuf *s = &seed[rng_below(&rng, files.n)];
        str_clear(&tried);
        str_add(&tried, s->s, s->n);
        for (uint64_t n = 1 + rng_below(&rng, 8); n > 0; n--)
            mutate(&rng, &tried);
        try_it();
    }
    printf("%s: %zu inputs from %zu seeds, no fault\n", driver, n_tried, files.n);
    for (size_t i = 0; i < files.n; i++)
        str_release(&seed[i]);
    free(seed);
    strlist_release(&files);
    str_release(&tried);
    return 0;
}
