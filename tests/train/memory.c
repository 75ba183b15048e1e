/* tests/train/memory.c - a run too large for the machine is refused by its plan. */
#include "train_tests.h"

#include "base/mem.h"
#include "check.h"

/* What a machine has not the memory for is refused before anything is begun. */
void test_memory_refused(void)
{
    if (!world())
        return;
    struct asked a = ask(in_world("large"));
    struct err err = { "" };
    struct train_plan *p;
    struct backend *b;
    struct model_memory m;
    a.conf.shape = NULL;
    a.conf.params = 4000000000ull;
    NEED(train_plan_open(&p, &a.conf, &a.env, &err) == ST_OK, "%s", err.msg);
    NEED(backend_open(&b, "cpu", 1, PRECISION_FP32, &err) == ST_OK, "%s", err.msg);
    train_memory(p, b, &m);
    CHECK(train_memory_check(&m, 64e9, &err) == ST_USAGE && strstr(err.msg, "optimizer 32") &&
              strstr(err.msg, "MB) and there are 64"),
          "got '%s'", err.msg);
    CHECK(train_memory_check(&m, 1e12, &err) == ST_OK, "%s", err.msg);
    CHECK(train_memory_check(&m, 0, &err) == ST_OK, "unknown: %s", err.msg);
    CHECK(mem_limit() > 1e6 && mem_limit() < 1e15, "this machine has %g", mem_limit());
    backend_close(b);
    train_plan_close(p);
    asked_release(&a);
}
