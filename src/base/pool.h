/*
 * base/pool.h - a fixed set of threads that share out numbered items.
 *
 * pool_run hands items 0..n-1 to the threads in no particular order and returns when all are
 * done. Items must be independent, and their number and borders must follow from the work's
 * shape, never from the number of threads: then results are the same bytes for any n_threads.
 *
 *     pool_run(p, n_block, one_block, &job);
 *
 * Threads: one pool_run at a time a pool; items must not call pool_run on the same pool.
 */
#ifndef MIXLAW_BASE_POOL_H
#define MIXLAW_BASE_POOL_H

#include <stddef.h>

struct pool;
typedef void pool_fn(void *job, size_t item,
                     int thread); /* thread: 0..pool_size-1, for scratch memory */

struct pool *pool_new(int n_threads); /* the caller counts as one; 1 starts no thread */
void pool_free(struct pool *p);       /* NULL is fine */
int pool_size(const struct pool *p);  /* 1 for NULL */

/* Since pool_new, seconds: threads idle for run_s * pool_size - busy_s of them. A pool_run that
 * needs one thread only, or has one, counts as neither. NULL: zeros. */
struct pool_time {
    double busy_s; /* of all threads in items */
    double run_s;  /* of the caller in pool_run */
};
struct pool_time pool_time(const struct pool *p);
void pool_run(struct pool *p, size_t n_items, pool_fn *fn,
              void *job); /* NULL pool: in order, here */

int cpu_count(void); /* processors this process may use */

#endif
