/*
 * base/mem.h - host memory: allocation that cannot fail, and arenas by lifetime.
 *
 * Running out of host memory ends the program with a message (as git, tmux, redis do); nobody
 * checks for NULL. Device memory is different, see backend/.
 *
 * An arena hands out zeroed memory that is freed all at once, or back to a mark:
 *
 *     struct arena_mark mark = arena_mark(&scratch);
 *     float *losses = ARENA_ARRAY(&scratch, float, n_tok);
 *     ...
 *     arena_rewind(&scratch, mark);
 *
 * Threads: an arena belongs to one thread at a time.
 */
#ifndef MIXLAW_BASE_MEM_H
#define MIXLAW_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

void *xmalloc(size_t n_bytes);
void *xcalloc(size_t n, size_t size);           /* n * size is checked */
void *xrealloc(void *p, size_t n, size_t size); /* n * size is checked */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n_bytes); /* always terminated */
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Memory aligned to 64 bytes (a cache line, a vector register), zeroed; release with free(). Large
 * blocks ask the kernel for huge pages: fewer faults at the start, fewer misses in the tables of
 * pages later. */
void *xaligned(size_t n_bytes);

/* The same for at least PAGES_LEAST bytes, straight from the kernel: a page comes, zeroed, when a
 * thread first touches it, and nothing is written beforehand. Released by pages_free with the same
 * size. */
enum { PAGES_LEAST = 1 << 20 };
void *xpages(size_t n_bytes);
void pages_free(void *p, size_t n_bytes);

/* Bytes that this process can have at most: the machine's memory, or less where its control group
 * is allowed less. 0: unknown. */
double mem_limit(void);

#define NEW(type) ((type *)xcalloc(1, sizeof(type)))
#define NEW_ARRAY(type, n) ((type *)xcalloc((n), sizeof(type)))

/* Makes room for one more element in a growing array; cap doubles. */
#define GROW(array, n, cap)                                                                        \
    do {                                                                                           \
        if ((n) == (cap)) {                                                                        \
            (cap) = (cap) ? 2 * (cap) : 16;                                                        \
            (array) = xrealloc((array), (cap), sizeof *(array));                                   \
        }                                                                                          \
    } while (0)

struct arena_block;
struct arena {
    struct arena_block *block;  /* newest block; all zero is an empty arena */
    size_t n_bytes, peak_bytes; /* handed out now and at most */
};
struct arena_mark {
    struct arena_block *block;
    size_t used, n_bytes;
};

void *arena_alloc(struct arena *a, size_t n, size_t size); /* zeroed, aligned to 64 bytes */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n_bytes);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);
void arena_release(struct arena *a); /* the arena is empty and usable again */

#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), (n), sizeof(type)))

#endif
