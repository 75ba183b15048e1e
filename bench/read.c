/*
 * bench/read.c - how fast documents are read: one JSON line a file. Asserts no times.
 *
 *     read_bench FILE...
 *
 * A line a file: {"bench":"read","file","format","docs","bytes_text","mb_per_s","docs_per_s"}
 *
 * mb_per_s counts bytes of text delivered in a second of processor time (other work on the machine
 * disturbs that less than the clock); each file is read five times and the best is shown.
 */
#include <stdio.h>
#include <time.h>

#include "base/file.h"
#include "corpus/reader.h"

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum st read_once(const char *path, struct reader_stats *stats, const char **format,
                         struct err *err)
{
    struct reader *r;
    struct doc d;
    enum st st = reader_open(&r, path, NULL, err);
    if (st < 0)
        return st;
    while ((st = reader_next(r, &d, err)) == ST_OK)
        ;
    *stats = reader_stats(r);
    *format = reader_format(r);
    reader_close(r);
    return st == ST_END ? ST_OK : st;
}

int main(int argc, char **argv)
{
    struct err err;
    for (int i = 1; i < argc; i++) {
        struct reader_stats stats = { 0 };
        const char *format = "";
        double best = 1e9;
        for (int k = 0; k < 5; k++) {
            double start = cpu_s();
            if (read_once(argv[i], &stats, &format, &err) < 0) {
                fprintf(stderr, "read_bench: %s\n", err.msg);
                return 1;
            }
            double s = cpu_s() - start;
            best = s < best ? s : best;
        }
        printf("{\"bench\":\"read\",\"file\":\"%s\",\"format\":\"%s\",\"docs\":%llu,\"bytes_text\":"
               "%llu,\"mb_per_s\":%.1f,\"docs_per_s\":%.0f}\n",
               path_base(argv[i]), format, (unsigned long long)stats.n_docs,
               (unsigned long long)stats.n_bytes, (double)stats.n_bytes / 1e6 / best,
               (double)stats.n_docs / best);
    }
    return 0;
}
