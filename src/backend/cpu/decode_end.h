/*
 * backend/cpu/decode_end.h - how a finished tile of a product goes into the result; included by the
 * bodies of the generator's kernels. a and b hold a row's columns [0, VW) and [VW, 2 VW) of a
 * panel.
 */
#ifndef MIXLAW_BACKEND_CPU_DECODE_END_H
#define MIXLAW_BACKEND_CPU_DECODE_END_H

#include "backend/cpu/decode.h"
#include "backend/cpu/vec.h"
#include "base/attr.h"

/* n: columns that exist. */
static ALWAYS_INLINE void store_end(float *y, vf a, vf b, int n, enum decode_end end)
{
    if (end == DECODE_SWIGLU) {
        vf one = v_set1(1);
        a = v_mul(v_div(a, v_add(one, v_exp(v_sub(v_set1(0), a)))), b);
        if (n >= VW)
            v_store(y, a);
        else
            v_store_n(y, a, n);
        return;
    }
    if (n >= 2 * VW) { /* stores under a mask are slow */
        v_store(y, end == DECODE_ADD ? v_add(a, v_load(y)) : a);
        v_store(y + VW, end == DECODE_ADD ? v_add(b, v_load(y + VW)) : b);
        return;
    }
    int n_a = n < VW ? n : VW, n_b = n - n_a < VW ? n - n_a : VW;
    if (end == DECODE_ADD) {
        a = v_add(a, v_load_n(y, n_a));
        if (n_b > 0)
            b = v_add(b, v_load_n(y + VW, n_b));
    }
    v_store_n(y, a, n_a);
    if (n_b > 0)
        v_store_n(y + VW, b, n_b);
}

#endif
