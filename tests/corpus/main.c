/* tests/corpus/main.c - readers, writer, the corpus stage, n-grams. */
#include "base/log.h"
#include "corpus_tests.h"

int main(int argc, char **argv)
{
    static struct check_test all[64];
    const struct {
        const struct check_test *test;
        size_t n;
    } part[] = { { golden_test, n_golden_test },
                 { damage_test, n_damage_test },
                 { html_test, n_html_test },
                 { minhash_test, n_minhash_test },
                 { stage_test, n_stage_test } };
    size_t n = 0;
    for (size_t i = 0; i < N_OF(part); i++)
        for (size_t k = 0; k < part[i].n; k++)
            all[n++] = part[i].test[k];
    log_set_level(LOG_QUIET);
#if !defined(__SANITIZE_ADDRESS__)          /* its reports go there */
    if (!freopen("/dev/null", "w", stderr)) /* thousands of warnings about damage, all meant */
        return 1;
#endif
    return check_main(all, n, argc, argv);
}
