/* fuzz/weights.c - a GGUF file as a model: configuration, shapes, every row as floats. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "model/params.h"
#include "model/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct weights *w;
    struct params p;
    struct err err;
    if (weights_open(&w, fuzz_file("weights.gguf", bytes, n), &err) < 0)
        return 0;
    params_build(&p, &w->conf);
    for (size_t i = 0; i < p.n_row; i++) {
        const struct weight *x = weights_param(w, &p, i);
        float *row = calloc((size_t)x->n_col, sizeof *row);
        for (int r = 0; row && r < x->n_row; r++)
            weight_row(row, x, r);
        free(row);
    }
    params_release(&p);
    weights_close(w);
    return 0;
}
