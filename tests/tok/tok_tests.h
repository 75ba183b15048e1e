/* tests/tok/tok_tests.h - what the files of this folder share; main.c lists the tests. */
#ifndef MIXLAW_TESTS_TOK_H
#define MIXLAW_TESTS_TOK_H

#include "base/json.h"
#include "check.h"
#include "tok/tok.h"

/* nfc.c */
void test_nfc_as_hugging_face(void);
void test_nfc_of_all_characters(void);
void test_nfc_of_damage(void);
void test_nfc_of_many_marks(void);
void test_nfc_refuses(void);

/* Of main.c. The pre_tokenizer of Qwen2 and the normalizer NFC, as JSON. */
extern const char qwen2_json[], nfc_json[];
/* Fails the running test and gives NULL when there is none. */
struct tok *load_tok(const char *path);
/* The path of the golden tokenizer.json with another pre_tokenizer and normalizer, in the scratch
 * folder. */
char *with_parts(const char *pre_tokenizer, const char *normalizer, bool ignore_merges);
/* Texts become the wanted ids, and those the texts of `back`. */
void check_ids(const struct tok *t, const struct js *texts, const struct js *back,
               const struct js *want, const char *what, bool special);
/* Writes c as UTF-8, 1 to 4 bytes, and returns how many. */
size_t put_utf8(uint8_t *b, uint32_t c);

#endif
