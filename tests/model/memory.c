/* tests/model/memory.c - the memory that the plan names is what a training step takes. */
#include "check.h"

#include "base/mem.h"
#include "model_tests.h"

static enum st (*really_alloc)(struct backend *b, struct tensor *t, struct err *err);
static size_t n_alloc;

static enum st counted(struct backend *b, struct tensor *t, struct err *err)
{
    n_alloc += tensor_n(*t) * (t->type == DTYPE_F64 ? 8 : 4);
    return really_alloc(b, t, err);
}

void test_memory(void)
{
    enum { SEQS = 6, LEN = 32 };
    struct backend *b = open_backend(1, PRECISION_FP32);
    struct backend_ops ops = *b->ops;
    const struct backend_ops *usual = b->ops;
    struct model_conf c;
    struct model *m;
    struct model_memory want;
    struct err err = { "" };
    uint32_t tok[SEQS * (LEN + 1)] = { 0 };
    double loss = 0;
    small_conf(&c);
    really_alloc = ops.alloc;
    ops.alloc = counted;
    b->ops = &ops;
    n_alloc = 0;
    NEED(model_new(&m, &c, b, &err) == ST_OK, "%s", err.msg);
    model_init(m, 1);
    model_ema(m, 0.9);
    NEED(model_forward_backward(m, tok, SEQS, LEN, 1, &loss, &err) == ST_OK, "%s", err.msg);
    model_memory(&c, b, SEQS, LEN, true, &want);
    CHECK(want.weights == 4 * model_n_param(&c) && want.gradients == want.weights &&
              want.optimizer == 2 * want.weights && want.average == want.weights,
          "weights %zu", want.weights);
    size_t rope = (size_t)(2 * LEN * c.d_head / 2) * 4, sum = 8; /* small, and in no part */
    size_t all = want.weights + want.gradients + want.optimizer + want.average + want.activations;
    CHECK(all + rope + sum == n_alloc, "planned %zu, allocated %zu", all + rope + sum, n_alloc);
    /* Layouts: every matrix of products forwards and backwards, padded to whole panels. */
    size_t matrices = 4 * (size_t)(model_n_param_nonemb(&c) + (uint64_t)(c.vocab_size * c.d_model));
    CHECK(want.layouts >= 2 * matrices * 99 / 100 && want.layouts < 3 * matrices,
          "layouts %zu of %zu", want.layouts, matrices);
    /* Of a large model only room for those of the largest matrix. */
    c.d_model = 2048;
    c.d_ff = 16 * 1024;
    c.n_layer = 4;
    size_t largest = 4 * (size_t)(2 * c.d_ff) * (size_t)c.d_model;
    model_memory(&c, b, SEQS, LEN, true, &want);
    CHECK(want.layouts >= 2 * largest && want.layouts < 2 * largest * 101 / 100,
          "layouts %zu of the largest's %zu", want.layouts, largest);
    model_free(m);
    b->ops = usual;
    backend_close(b);
}
