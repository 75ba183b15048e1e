/*
 * tests/generate/main.c - the generator's tests.
 *
 * Besides, for comparisons with other programs:  test_generate logits MODEL TOKENS.u32 LOGITS.f32
 * [PRECISION] in fp32, or as the generator computes with a quantised file (int8, int16, auto)
 */
#include "base/mem.h"
#include "generate_tests.h"
#include "model/generate.h"

void *words(const char *path, size_t *n)
{
    struct strbuf b = { 0 };
    struct err err;
    if (file_read(path, (size_t)1 << 30, &b, &err) < 0) {
        printf("%s\n", err.msg);
        exit(1);
    }
    *n = b.n / 4;
    void *w = xaligned(b.n + 4);
    memcpy(w, b.s, b.n);
    str_release(&b);
    return w;
}

static int write_logits(char **argv, const char *precision)
{
    struct gen *g;
    struct err err;
    struct gen_conf conf = { .precision = gen_precision_by_name(precision) };
    size_t n;
    uint32_t *tok = words(argv[1], &n);
    if (gen_open(&g, argv[0], &conf, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    size_t n_value = n * (size_t)gen_vocab_size(g);
    float *logits = xaligned(n_value * sizeof *logits);
    if (gen_logits(g, tok, (int)n, logits, &err) < 0 ||
        file_write(argv[2], logits, n_value * sizeof *logits, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    gen_close(g);
    free(logits);
    free(tok);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct check_test test[] = {
        TEST(test_products),
        TEST(test_attention),
        TEST(test_row_kernels),
        TEST(test_kept),
        TEST(test_quant_products),
        TEST(test_quant_extremes),
        TEST(test_codes),
        TEST(test_rows),
        TEST(test_tiny_logits),
        TEST(test_folder_logits),
        TEST(test_bad_models),
        TEST(test_marks),
        TEST(test_template_file),
        TEST(test_first_token),
        TEST(test_stop_ids),
        TEST(test_stops_at_any),
        TEST(test_sampling),
        TEST(test_chat),
        TEST(test_neighbours),
        TEST(test_shared_prefix),
        TEST(test_ends),
        TEST(test_cache_blocks),
        TEST(test_settings),
        TEST(test_long_prompts),
        TEST(test_large_vocabulary),
        TEST(test_given_text),
        TEST(test_given_text_refused),
        TEST(test_contrast_greedy),
        TEST(test_contrast_draws),
        TEST(test_contrast_neighbours),
        TEST(test_contrast_refused),
        TEST(test_edit_places),
        TEST(test_edit_draws),
        TEST(test_edit_neighbours),
        TEST(test_edit_generations),
        TEST(test_model_parity),
        TEST(test_model_neighbours),
    };
    if ((argc == 5 || argc == 6) && strcmp(argv[1], "logits") == 0)
        return write_logits(argv + 2, argc == 6 ? argv[5] : "fp32");
    return check_main(test, N_OF(test), argc, argv);
}
