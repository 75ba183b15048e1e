/* tests/model/main.c - the model folder's tests: training, checkpoints, files. */
#include "check.h"

#include "model_tests.h"

int main(int argc, char **argv)
{
    static const struct check_test test[] = {
        TEST(test_logits_and_gradients),
        TEST(test_document_mask),
        TEST(test_z_loss),
        TEST(test_fifty_steps),
        TEST(test_muon_steps),
        TEST(test_mup_steps),
        TEST(test_mup_init),
        TEST(test_ema),
        TEST(test_export_round_trip),
        TEST(test_export_for_peer),
        TEST(test_dequantise),
        TEST(test_quantise),
        TEST(test_convert_round_trip),
        TEST(test_convert_rounds),
        TEST(test_llmc_layout),
        TEST(test_export_refused),
        TEST(test_conf_for),
        TEST(test_memory),
        TEST(test_threads_same_run),
        TEST(test_chunks_and_micro_batches),
        TEST(test_micro_batches_same_bytes),
        TEST(test_resume),
        TEST(test_state_refused),
        TEST(test_bf16_run),
        TEST(test_nan_is_a_result),
        TEST(test_bad_tokens),
        TEST(test_safetensors_refused),
        TEST(test_halves),
        TEST(test_config_refused),
        TEST(test_load_refused),
        TEST(test_shards_refused),
        TEST(test_not_finite),

    };
    return check_main(test, N_OF(test), argc, argv);
}
