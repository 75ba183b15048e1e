/* backend/cpu/cpu.c - the CPU's context: threads, kernels, scratch memory. See gemm.h. */
#include "backend/cpu/gemm.h"
#include "backend/cpu/isa.h"

#include <stdlib.h>

#include "base/mem.h"

enum st cpu_open(struct cpu **out, int n_threads, enum precision p, struct err *err)
{
    const struct isa *isa;
    *out = NULL;
    enum st st = isa_choose(&isa, &p, err);
    if (st < 0)
        return st;
    struct cpu *c = NEW(struct cpu);
    c->isa = isa;
    c->k = isa->k;
    c->b = p == PRECISION_BF16 ? isa->b : NULL;
    c->pool = pool_new(n_threads > 0 ? n_threads : cpu_count());
    c->own = NEW_ARRAY(struct cpu_scratch, (size_t)pool_size(c->pool));
    *out = c;
    return ST_OK;
}

void cpu_close(struct cpu *c)
{
    if (!c)
        return;
    for (int i = 0; i < pool_size(c->pool); i++)
        free(c->own[i].p);
    for (size_t i = 0; i < N_OF(c->shared); i++)
        free(c->shared[i].p);
    pool_free(c->pool);
    free(c->own);
    free(c);
}
