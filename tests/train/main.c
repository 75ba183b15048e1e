/* tests/train/main.c - schedules and defaults. Whole runs: runs.c. */
#include "check.h"

#include <math.h>

#include "train/defaults.h"
#include "train/schedule.h"
#include "train_tests.h"

static void test_cosine(void)
{
    const struct schedule s = { .kind = SCHEDULE_COSINE, .lr = 1e-3, .warmup = 10 };
    CHECK(fabs(schedule_lr(&s, 1, 110) - 1e-4) < 1e-12, "warm-up begins at 1/10");
    CHECK(fabs(schedule_lr(&s, 10, 110) - 1e-3) < 1e-12, "the full rate after warm-up");
    /* Half way: the middle between the rate and a tenth of it. */
    CHECK(fabs(schedule_lr(&s, 60, 110) - 0.55e-3) < 1e-12, "got %g", schedule_lr(&s, 60, 110));
    CHECK(fabs(schedule_lr(&s, 110, 110) - 1e-4) < 1e-12, "ends at a tenth");
}

static void test_wsd(void)
{
    struct schedule s = {
        .kind = SCHEDULE_WSD, .decay = DECAY_LINEAR, .lr = 1, .cooldown = 0.2, .warmup = 10
    };
    CHECK(schedule_branch(&s, 100) == 80, "got %llu", (unsigned long long)schedule_branch(&s, 100));
    CHECK(schedule_lr(&s, 80, 100) == 1 && schedule_lr(&s, 81, 100) == 1, "full until it cools");
    CHECK(fabs(schedule_lr(&s, 91, 100) - 0.5) < 1e-12, "got %g", schedule_lr(&s, 91, 100));
    CHECK(fabs(schedule_lr(&s, 100, 100) - 0.05) < 1e-12, "got %g", schedule_lr(&s, 100, 100));
    s.decay = DECAY_SQRT;
    CHECK(fabs(schedule_lr(&s, 86, 100) - 0.5) < 1e-12, "1 - sqrt(5/20), got %g",
          schedule_lr(&s, 86, 100));
    /* Before the branch point the rate does not depend on the end. */
    for (uint64_t step = 1; step <= 80; step++)
        CHECK(schedule_lr(&s, step, 100) == schedule_lr(&s, step, 1000000), "step %llu",
              (unsigned long long)step);
}

/* transformers' get_linear_schedule_with_warmup: max(0, (n - s) / (n - warmup)) at its step s =
 * step - 1. */
static void test_linear(void)
{
    const struct schedule s = { .kind = SCHEDULE_LINEAR, .lr = 2, .warmup = 10 };
    CHECK(schedule_lr(&s, 5, 110) == 1 && schedule_lr(&s, 10, 110) == 2, "warm-up");
    for (uint64_t step = 11; step <= 110; step++)
        CHECK(fabs(schedule_lr(&s, step, 110) - 2 * (110 - ((double)step - 1)) / 100) < 1e-12,
              "step %llu", (unsigned long long)step);
}

static void test_defaults(void)
{
    /* Step Law's own worked values: N 1e7, D 2e8: 6.5e-3 at 32k tokens; N 1e9, D 5e10: 1.3e-3. */
    CHECK(fabs(default_lr(10000000, 200000000, 32768) - 6.5e-3) < 0.1e-3, "got %g",
          default_lr(10000000, 200000000, 32768));
    CHECK(fabs(default_lr(1000000000, 50000000000, 743000) - 1.3e-3) < 0.1e-3, "got %g",
          default_lr(1000000000, 50000000000, 743000));
    /* Measured optima at N .4M, D .5M: 8e-3 at 8,192 tokens, 2e-3 at 512. */
    CHECK(fabs(default_lr(400000, 500000, 8192) - 8e-3) < 1e-3, "got %g",
          default_lr(400000, 500000, 8192));
    CHECK(fabs(default_lr(400000, 500000, 512) - 2e-3) < 0.3e-3, "got %g",
          default_lr(400000, 500000, 512));
    /* At 256 tokens a step rates half as high again lose .05 to .07 nats (defaults.h). */
    CHECK(fabs(default_lr(100000, 440000, 256) - 2e-3) < 0.6e-3, "got %g",
          default_lr(100000, 440000, 256));
    CHECK(fabs(default_lr(200000, 440000, 256) - 1.2e-3) < 0.4e-3, "got %g",
          default_lr(200000, 440000, 256));
    CHECK(default_batch_tokens(1000000, 256) == 768, "got %llu",
          (unsigned long long)default_batch_tokens(1000000, 256));
    CHECK(default_batch_tokens(100, 256) == 256, "never less than a window");
    CHECK(default_batch_tokens(200000000, 1024) == 30 * 1024, "got %llu",
          (unsigned long long)default_batch_tokens(200000000, 1024));
    CHECK(default_warmup(1000) == 50 && default_warmup(100000) == 1000 && default_warmup(3) == 1,
          "warm-up");
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(test_cosine),
        TEST(test_wsd),
        TEST(test_defaults),
        TEST(test_run),
        TEST(test_up_to_date),
        TEST(test_threads),
        TEST(test_kernel_paths),
        TEST(test_branches),
        TEST(test_resume),
        TEST(test_options),
        TEST(test_linear),
        TEST(test_torn_state),
        TEST(test_memory_refused),
        TEST(test_interrupted),
        TEST(test_diverged),
        TEST(test_full_disk),
        TEST(test_lock),
        TEST(test_bad_input),
        TEST(test_metrics_and_events),
    };
    return check_main(tests, N_OF(tests), argc, argv);
}
