/*
 * data/tokfile.h - token files of every format we know, to look at, check and convert.
 *
 *   megatron    PREFIX.bin and PREFIX.idx, see shard.h
 *   llmc        FILE.bin: 256 int32 of header (20240520 version 1: uint16, or 20240801 version 7:
 *               uint32; then the number of tokens), ids; documents begin with the end-of-document
 * id datatrove   FILE.ds: ids; FILE.ds.index: uint64 tokens up to the end of each document;
 *               FILE.ds.metadata: "tokenizer|width", tokens, tokens for people (nanotron's format)
 *
 * The format is recognised by content: an .idx beside it, the header's magic number, an index.
 * A document is a stretch of the file; its text is that without the end-of-document token.
 * Source: the three projects' writers; llm.c loads uint16 files only.
 *
 * Threads: read-only after opening.
 */
#ifndef MIXLAW_DATA_TOKFILE_H
#define MIXLAW_DATA_TOKFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct tokfile;

/* eod: the end-of-document id, -1: the manifest's, else for llmc the one of its magic number
 * (GPT-2's 50256, Llama 3's 128000), else unknown. Checks everything but the ids. */
MUST_USE enum st tokfile_open(struct tokfile **out, const char *path, int64_t eod, struct err *err);
void tokfile_close(struct tokfile *f); /* NULL is fine */

const char *tokfile_format(const struct tokfile *f); /* "megatron" */
const char *tokfile_path(const struct tokfile *f);   /* the file with the ids */
int tokfile_width(const struct tokfile *f);          /* bytes a token */
size_t tokfile_n_docs(const struct tokfile *f);
uint64_t tokfile_n_tok(const struct tokfile *f);
int tokfile_vocab_size(const struct tokfile *f); /* 0 when unknown */
int64_t tokfile_eod(const struct tokfile *f);    /* -1 when unknown */
const struct js *tokfile_manifest(const struct tokfile *f);

/* Document d is tokens [*at, *at + n), n is returned: as it stands, or its text alone. */
uint64_t tokfile_doc(const struct tokfile *f, size_t doc, uint64_t *at);
uint64_t tokfile_doc_text(const struct tokfile *f, size_t doc, uint64_t *at);
void tokfile_copy(const struct tokfile *f, uint64_t at, size_t n, uint32_t *out);

/* Reads all ids: below the vocabulary, each document closed, digest as in the manifest, as far as
 * these are known. ST_FORMAT names the first fault and its byte. */
MUST_USE enum st tokfile_verify(const struct tokfile *f, struct err *err);

/* Appends a document as a line of JSON: {"doc","tokens"}, or {"doc","text"} when tok is given. */
struct tok;
void tokfile_line(const struct tokfile *f, size_t doc, const struct tok *tok, struct strbuf *out);

/* Writes PREFIX.* in another format ("megatron", "llmc", "datatrove"; others: ST_UNSUPPORTED) with
 * a manifest. Documents are closed by the end-of-document token where it is known. */
MUST_USE enum st tokfile_convert(const struct tokfile *f, const char *format, const char *prefix,
                                 struct err *err);

#endif
