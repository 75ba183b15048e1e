/* tests/generate/generate_tests.h - the test functions of this folder; main.c lists them. */
#ifndef MIXLAW_TESTS_GENERATE_H
#define MIXLAW_TESTS_GENERATE_H

#include "check.h"
#include "model/generate.h"

#define GOLDEN "tests/golden/gguf/"
#define TINY GOLDEN "tiny.gguf"
#define CONTRAST "tests/golden/contrast/"

/* Kernels. */
void test_products(void);
void test_attention(void);
void test_row_kernels(void);
void test_kept(void);
/* Quantised weights. */
void test_quant_products(void);
void test_quant_extremes(void);
void test_codes(void);
/* Weights. */
void test_rows(void);
void test_tiny_logits(void);
void test_folder_logits(void);
void test_bad_models(void);
/* Folders' settings. */
void test_marks(void);
void test_template_file(void);
void test_first_token(void);
void test_stop_ids(void);
void test_stops_at_any(void);
/* Sampling. */
void test_sampling(void);
/* Requests. */
void test_chat(void);
void test_neighbours(void);
void test_shared_prefix(void);
void test_cache_blocks(void);
void test_ends(void);
void test_settings(void);
void test_long_prompts(void);
void test_large_vocabulary(void);
/* Given text. */
void test_given_text(void);
void test_given_text_refused(void);
/* Contrastive decoding. */
void test_contrast_greedy(void);
void test_contrast_draws(void);
void test_contrast_neighbours(void);
void test_contrast_refused(void);
struct js *contrast_golden(void); /* the caller frees it */
/* Given text, edited. */
void test_edit_places(void);
void test_edit_draws(void);
void test_edit_neighbours(void);
void test_edit_generations(void);
/* With a real model. */
void test_model_parity(void);
void test_model_neighbours(void);

/* What the engine's numbers follow from; what must not change them is crossed with each. */
enum { N_NUMERICS = 5 };
extern const struct numerics {
    enum gen_precision precision;
    enum gen_kv kv;
} numerics[N_NUMERICS];

/* The whole of a file of little-endian words; *n of them. The caller frees it. */
void *words(const char *path, size_t *n);

#endif
