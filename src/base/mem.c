/* base/mem.c - see mem.h. */
#define _GNU_SOURCE /* madvise */
#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ALIGN = 64, BLOCK_BYTES = 64 * 1024, HUGE_PAGE = 2 << 20 };

static NORETURN void out_of_memory(size_t n_bytes)
{
    fprintf(stderr, "mixlaw: out of memory: %zu bytes were asked for\n", n_bytes);
    exit(1);
}

static size_t product(size_t n, size_t size)
{
    size_t n_bytes;
    if (__builtin_mul_overflow(n, size, &n_bytes))
        out_of_memory(SIZE_MAX);
    return n_bytes;
}

/* The number in a file of the kernel's; 0: none there, or no limit. */
static double number_in(const char *path)
{
    FILE *f = fopen(path, "r");
    double n = 0;
    if (f) {
        if (fscanf(f, "%lf", &n) != 1) /* "max" */
            n = 0;
        fclose(f);
    }
    return n;
}

double mem_limit(void)
{
    /* As a container sees its own group: version 2, version 1. */
    static const char *const group[] = { "/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
    double least = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    struct rlimit r;
    if (least < 0)
        least = 0;
    if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY &&
        (least == 0 || (double)r.rlim_cur < least))
        least = (double)r.rlim_cur;
    for (size_t i = 0; i < N_OF(group); i++) {
        double n = number_in(group[i]);
        if (n > 0 && (least == 0 || n < least))
            least = n;
    }
    return least;
}

void *xmalloc(size_t n_bytes)
{
    void *p = malloc(n_bytes ? n_bytes : 1);
    if (!p)
        out_of_memory(n_bytes);
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    size_t n_bytes = product(n, size);
    void *p = calloc(1, n_bytes ? n_bytes : 1);
    if (!p)
        out_of_memory(n_bytes);
    return p;
}

void *xrealloc(void *old, size_t n, size_t size)
{
    size_t n_bytes = product(n, size);
    void *p = realloc(old, n_bytes ? n_bytes : 1);
    if (!p)
        out_of_memory(n_bytes);
    return p;
}

char *xstrndup(const char *s, size_t n_bytes)
{
    char *p = xmalloc(n_bytes + 1);
    memcpy(p, s, n_bytes);
    p[n_bytes] = '\0';
    return p;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = xmalloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void *xaligned(size_t n_bytes)
{
    if (n_bytes > SIZE_MAX - ALIGN)
        out_of_memory(n_bytes);
    size_t align = n_bytes >= HUGE_PAGE / 2 ? HUGE_PAGE : ALIGN;
    size_t rounded = n_bytes ? (n_bytes + align - 1) / align * align : align;
    void *p = aligned_alloc(align, rounded);
    if (!p)
        out_of_memory(n_bytes);
    if (align == HUGE_PAGE)
        madvise(p, rounded, MADV_HUGEPAGE); /* a wish: the kernel may not grant it */
    return memset(p, 0, rounded);
}

static size_t whole_pages(size_t n_bytes)
{
    assert(n_bytes >= PAGES_LEAST);
    if (n_bytes > SIZE_MAX - 2 * HUGE_PAGE)
        out_of_memory(n_bytes);
    return (n_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

/* The kernel aligns to small pages only: what is too much before and behind goes back. */
void *xpages(size_t n_bytes)
{
    size_t n = whole_pages(n_bytes);
    char *all =
        mmap(NULL, n + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        out_of_memory(n_bytes);
    size_t before = (HUGE_PAGE - (uintptr_t)all % HUGE_PAGE) % HUGE_PAGE;
    if (before)
        munmap(all, before);
    munmap(all + before + n, HUGE_PAGE - before);
    madvise(all + before, n, MADV_HUGEPAGE); /* a wish: the kernel may not grant it */
    return all + before;
}

void pages_free(void *p, size_t n_bytes)
{
    if (p)
        munmap(p, whole_pages(n_bytes));
}

/* Blocks form a list, newest first; a block's payload starts ALIGN bytes into it. */
struct arena_block {
    struct arena_block *older;
    size_t used, size; /* payload bytes */
};
_Static_assert(sizeof(struct arena_block) <= ALIGN, "the block's head fits before its payload");

void *arena_alloc(struct arena *a, size_t n, size_t size)
{
    size_t n_bytes = product(n, size);
    if (n_bytes > SIZE_MAX - 2 * ALIGN)
        out_of_memory(n_bytes);
    n_bytes = (n_bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *b = a->block;
    if (!b || b->size - b->used < n_bytes) {
        size_t room = n_bytes > BLOCK_BYTES ? n_bytes : BLOCK_BYTES;
        b = aligned_alloc(ALIGN, ALIGN + room);
        if (!b)
            out_of_memory(n_bytes);
        *b = (struct arena_block){ .older = a->block, .size = room };
        a->block = b;
    }
    char *p = (char *)b + ALIGN + b->used;
    b->used += n_bytes;
    a->n_bytes += n_bytes;
    if (a->n_bytes > a->peak_bytes)
        a->peak_bytes = a->n_bytes;
    return memset(p, 0, n_bytes);
}

char *arena_strndup(struct arena *a, const char *s, size_t n_bytes)
{
    char *p = arena_alloc(a, n_bytes + 1, 1);
    return memcpy(p, s, n_bytes);
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = arena_alloc(a, (size_t)n + 1, 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->block, a->block ? a->block->used : 0, a->n_bytes };
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    while (a->block != mark.block) {
        struct arena_block *older = a->block->older;
        free(a->block);
        a->block = older;
    }
    if (a->block)
        a->block->used = mark.used;
    a->n_bytes = mark.n_bytes;
}

void arena_release(struct arena *a)
{
    arena_rewind(a, (struct arena_mark){ 0 });
    a->peak_bytes = 0;
}
