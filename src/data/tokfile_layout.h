/* data/tokfile_layout.h - numbers in llm.c's header, for its reader and its writer. */
#ifndef MIXLAW_DATA_TOKFILE_LAYOUT_H
#define MIXLAW_DATA_TOKFILE_LAYOUT_H

enum {
    LLMC_HEADER_BYTES = 1024,
    LLMC_MAGIC_U16 = 20240520,
    LLMC_VERSION_U16 = 1,
    LLMC_EOD_U16 = 50256, /* GPT-2 */
    LLMC_MAGIC_U32 = 20240801,
    LLMC_VERSION_U32 = 7,
    LLMC_EOD_U32 = 128000, /* Llama 3 */
    LLMC_AT_VERSION = 4,
    LLMC_AT_TOKENS = 8
};

#endif
