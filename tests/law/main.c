/* tests/law/main.c - laws, fits, tables, advice: planted laws, known optima, bad input. */
#include "check.h"

#include "law_tests.h"

int main(int argc, char **argv)
{
    struct check_test test[64];
    size_t n = 0;
    for (size_t i = 0; i < n_test_fit; i++)
        test[n++] = test_fit[i];
    for (size_t i = 0; i < n_test_table; i++)
        test[n++] = test_table[i];
    for (size_t i = 0; i < n_test_advise; i++)
        test[n++] = test_advise[i];
    return check_main(test, n, argc, argv);
}
