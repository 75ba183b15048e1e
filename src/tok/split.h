/*
 * tok/split.h - pre-tokenizers: text to the words inside which merges happen.
 *
 * Each is a regular expression elsewhere, written out by hand here, with the same result:
 *
 *   SPLIT_GPT2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *   SPLIT_SMOLLM  every number character alone, and GPT-2's pattern inside the stretches between
 *                 them (Hugging Face: Sequence[Digits(individual), ByteLevel]; llama.cpp: smollm).
 *                 A stretch ends before a digit, so spaces before a digit stay together.
 *   SPLIT_LLAMA3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
 *                  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *   SPLIT_QWEN2   Llama 3's with \p{N} for \p{N}{1,3}: every number character alone.
 *
 * Every byte belongs to exactly one word.
 */
#ifndef MIXLAW_TOK_SPLIT_H
#define MIXLAW_TOK_SPLIT_H

#include <stddef.h>
#include <stdint.h>

enum splitter { SPLIT_SMOLLM, SPLIT_GPT2, SPLIT_LLAMA3, SPLIT_QWEN2 }; /* hashed: new ones last */

/* Bytes of the word that begins at p < end; at least 1. */
size_t split_next(enum splitter kind, const uint8_t *p, const uint8_t *end);

#endif
