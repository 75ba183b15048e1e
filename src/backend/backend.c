/* backend/backend.c - see backend.h. */
#include "backend/backend.h"

#include <assert.h>
#include <string.h>

#include "backend/cpu/host.h"
#include "backend/cuda/cuda.h"

const struct tensor tensor_none = { 0 };

struct tensor tensor_1d(enum dtype type, size_t n)
{
    return (struct tensor){ .type = type, .n_dim = 1, .dim = { n, 1 } };
}

struct tensor tensor_2d(enum dtype type, size_t rows, size_t cols)
{
    return (struct tensor){ .type = type, .n_dim = 2, .dim = { rows, cols } };
}

size_t tensor_n(struct tensor t)
{
    return t.dim[0] * t.dim[1];
}

struct tensor tensor_part(struct tensor t, size_t offset, size_t rows, size_t cols)
{
    struct tensor part = t;
    part.offset += offset;
    part.n_dim = cols ? 2 : 1;
    part.dim[0] = rows;
    part.dim[1] = cols ? cols : 1;
    assert(offset + tensor_n(part) <= tensor_n(t));
    return part;
}

enum st backend_open(struct backend **out, const char *name, int n_threads, enum precision p,
                     struct err *err)
{
    *out = NULL;
    if (strcmp(name, "auto") == 0 || strcmp(name, "cpu") == 0)
        return backend_cpu_open(out, n_threads, p, err);
    if (strcmp(name, "ref") == 0)
        return backend_ref_open(out, p, err);
    if (strcmp(name, "cuda") == 0)
        return backend_cuda_open(out, p, err);
    return err_set(err, ST_USAGE, "backend '%s' is unknown, want auto, cpu or cuda", name);
}

void backend_close(struct backend *b)
{
    if (b)
        b->ops->close(b);
}

const char *backend_name(const struct backend *b)
{
    return b->name;
}
