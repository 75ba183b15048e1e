/* base/pool.c - see pool.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

/* A worker spins for a while before it sleeps: between two layers of a model there is no time to
 * wake up. */
enum { SPIN = 4000 };

struct busy { /* a cache line of its own: each thread writes its one */
    _Alignas(64) double s;
};

struct pool {
    int n_threads;
    struct busy *busy; /* [n_threads] */
    double run_s;
    pthread_t *thread; /* n_threads - 1 workers */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint round;  /* counts pool_run calls; a change wakes workers */
    atomic_int n_busy;  /* workers that have not finished this round */
    atomic_size_t next; /* first item nobody took */
    size_t n_items;
    pool_fn *fn;
    void *job;
    atomic_bool quit;
};

struct worker {
    struct pool *pool;
    int index;
};

static void take_items(struct pool *p, int thread)
{
    double start = clock_s();
    size_t i;
    while ((i = atomic_fetch_add(&p->next, 1)) < p->n_items)
        p->fn(p->job, i, thread);
    p->busy[thread].s += clock_s() - start;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void *work(void *arg)
{
    struct worker w = *(struct worker *)arg;
    struct pool *p = w.pool;
    free(arg);
    unsigned seen = 0;
    for (;;) {
        for (int i = 0; i < SPIN && atomic_load(&p->round) == seen; i++)
            relax();
        if (atomic_load(&p->round) == seen) {
            pthread_mutex_lock(&p->lock);
            while (atomic_load(&p->round) == seen)
                pthread_cond_wait(&p->wake, &p->lock);
            pthread_mutex_unlock(&p->lock);
        }
        seen = atomic_load(&p->round);
        if (atomic_load(&p->quit))
            return NULL;
        take_items(p, w.index);
        if (atomic_fetch_sub(&p->n_busy, 1) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

struct pool *pool_new(int n_threads)
{
    struct pool *p = NEW(struct pool);
    p->n_threads = n_threads > 1 ? n_threads : 1;
    p->thread = NEW_ARRAY(pthread_t, (size_t)p->n_threads);
    p->busy = xaligned((size_t)p->n_threads * sizeof *p->busy);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int i = 1; i < p->n_threads; i++) {
        struct worker *w = NEW(struct worker);
        *w = (struct worker){ p, i };
        if (pthread_create(&p->thread[i], NULL, work, w) != 0) { /* fewer threads, same results */
            free(w);
            p->n_threads = i;
            break;
        }
    }
    return p;
}

static void next_round(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->round, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    atomic_store(&p->quit, true);
    next_round(p);
    for (int i = 1; i < p->n_threads; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p->busy);
    free(p);
}

int pool_size(const struct pool *p)
{
    return p ? p->n_threads : 1;
}

void pool_run(struct pool *p, size_t n_items, pool_fn *fn, void *job)
{
    if (!p || p->n_threads == 1 || n_items <= 1) {
        for (size_t i = 0; i < n_items; i++)
            fn(job, i, 0);
        return;
    }
    double start = clock_s();
    p->n_items = n_items;
    p->fn = fn;
    p->job = job;
    atomic_store(&p->next, 0);
    atomic_store(&p->n_busy, p->n_threads - 1);
    next_round(p);
    take_items(p, 0);
    for (int i = 0; i < SPIN && atomic_load(&p->n_busy) > 0; i++)
        relax();
    if (atomic_load(&p->n_busy) > 0) {
        pthread_mutex_lock(&p->lock);
        while (atomic_load(&p->n_busy) > 0)
            pthread_cond_wait(&p->done, &p->lock);
        pthread_mutex_unlock(&p->lock);
    }
    p->run_s += clock_s() - start;
}

struct pool_time pool_time(const struct pool *p)
{
    struct pool_time t = { 0, p ? p->run_s : 0 };
    for (int i = 0; p && i < p->n_threads; i++)
        t.busy_s += p->busy[i].s;
    return t;
}

int cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}
