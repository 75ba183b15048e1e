/* tests/data/main.c - the data folder's tests. */
#include "check.h"
#include "data_tests.h"

int main(int argc, char **argv)
{
    struct check_test all[64];
    size_t n = 0;
    for (size_t i = 0; i < n_shard_tests; i++)
        all[n++] = shard_tests[i];
    for (size_t i = 0; i < n_mixture_tests; i++)
        all[n++] = mixture_tests[i];
    for (size_t i = 0; i < n_encode_tests; i++)
        all[n++] = encode_tests[i];
    return check_main(all, n, argc, argv);
}
