/* tests/model/model_tests.h - the tests of this folder, listed once in main.c. */
#ifndef MIXLAW_TESTS_MODEL_TESTS_H
#define MIXLAW_TESTS_MODEL_TESTS_H

#include "backend/backend.h"
#include "model/model.h"

void test_logits_and_gradients(void); /* golden.c */
void test_document_mask(void);
void test_z_loss(void);
void test_fifty_steps(void);
void test_muon_steps(void);
void test_mup_steps(void);
void test_mup_init(void);
void test_export_round_trip(void);
void test_export_for_peer(void);

void test_dequantise(void); /* export.c */
void test_quantise(void);
void test_convert_round_trip(void);
void test_convert_rounds(void);
void test_llmc_layout(void);
void test_export_refused(void);

void test_conf_for(void);
void test_memory(void); /* memory.c */ /* training.c */
void test_threads_same_run(void);
void test_ema(void);
void test_chunks_and_micro_batches(void);
void test_micro_batches_same_bytes(void);
void test_resume(void);
void test_state_refused(void);
void test_bf16_run(void);
void test_nan_is_a_result(void);
void test_bad_tokens(void);

void test_safetensors_refused(void); /* files.c */
void test_halves(void);
void test_config_refused(void);
void test_load_refused(void);
void test_shards_refused(void);
void test_not_finite(void);

/* training.c, shared */
struct backend *open_backend(int n_threads, enum precision p);
void small_conf(struct model_conf *c);
void conf_text(struct strbuf *out, const struct model_conf *c); /* golden.c */

#endif
