/*
 * fuzz/fuzz.h - what fuzz drivers share. A driver is one file with LLVMFuzzerTestOneInput.
 *
 * The ordinary build links each with replay.c: it mutates the seeds for a second or two, in ctest
 * and under the sanitizers. For a real search: tools/fuzz DRIVER [SECONDS], which builds it with
 * clang's libFuzzer.
 *
 * To add one: tests/fuzz/NAME.c and its seeds' folder or files in tests/fuzz/CMakeLists.txt.
 */
#ifndef MIXLAW_FUZZ_H
#define MIXLAW_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Writes a file of this process's own, for parsers that open files; the same path for the same
 * name. */
const char *fuzz_file(const char *name, const uint8_t *bytes, size_t n);

/* A value that was read counts as used, so that the read is not optimised away. */
static inline void fuzz_see(uint64_t value)
{
    __asm__ volatile("" : : "r"(value));
}

#endif
