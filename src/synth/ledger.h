/*
 * synth/ledger.h - what was asked and answered, kept for ever: nothing is paid for twice.
 *
 * One append-only file, a JSON object a line, whose last member is a checksum over the bytes before
 * it:
 *
 *     {"key":"9f...","prompt":"1c...","id":"doc-17",...,"raw":"The ...","sum":"5a0c..."}
 *
 * Why not SQLite: a request is written once and read back in bulk, never changed; one write() a
 * line survives kill -9, a torn last line is found by its checksum and cut off, a damaged line
 * elsewhere costs that line alone, and any tool that reads JSONL reads it. SQLite is for the index
 * of runs, where rows change. Every answer is in the file before anything else is done with it, so
 * a killed process loses none; lines are synced every 2 s or 256 rows, so a power cut costs at most
 * those. In memory a row takes 20 to 40 bytes.
 *
 * A request's key is a digest of everything that the answer follows from: source text, prompts as
 * sent, sampling, seed, model. Limits and parsing are not in it: they are applied to the raw
 * answers anew.
 *
 * One process at a time has a ledger open (a lock file beside it). Threads: none.
 */
#ifndef MIXLAW_SYNTH_LEDGER_H
#define MIXLAW_SYNTH_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"

enum finish {
    FINISH_STOP,
    FINISH_LENGTH,
    FINISH_NO_ROOM,
    FINISH_FILTERED,
    FINISH_NO_ROUND_TRIP,
    FINISH_N
};
const char *finish_name(enum finish f);

struct ledger_row {
    struct digest key, prompt; /* of the request; of the prompt texts alone */
    const char *id;            /* of the source document */
    int piece;
    const char *variant;
    enum finish finish;
    const char *raw; /* the answer, not terminated after n_raw when written, terminated when read */
    size_t n_raw;
    uint32_t n_tok_prompt, n_tok;
    uint32_t n_redrawn,
        n_changed; /* of an edit: tokens drawn anew, and those that came out others */
    double wall_s;
    bool again; /* read: it was got before, since the last rewind */
};

struct ledger_stats {
    uint64_t n_rows, n_tok_prompt, n_tok; /* of all rows */
    uint64_t n_damaged;                   /* lines left out */
    uint64_t n_torn_bytes;                /* cut off at the end when it was opened */
    double ask_s;  /* time with the ledger open until the last row, all sessions */
    double wall_s; /* the same until now */
};

struct ledger;
/* Opens DIR/ledger.jsonl, made when absent. ST_IO names the process that has it open. */
MUST_USE enum st ledger_open(struct ledger **out, const char *dir, struct err *err);
void ledger_close(struct ledger *l); /* NULL is fine; syncs */
/* ST_IO on a full disk: everything written before is safe and whole. */
MUST_USE enum st ledger_add(struct ledger *l, const struct ledger_row *row, struct err *err);
/* The row of a key; texts are valid until the next call. ST_END: it is not there. */
MUST_USE enum st ledger_get(struct ledger *l, struct digest key, struct ledger_row *row,
                            struct err *err);
void ledger_rewind(struct ledger *l); /* no row was got */
MUST_USE enum st ledger_sync(struct ledger *l, struct err *err);
struct ledger_stats ledger_stats(const struct ledger *l);

/* Reads one line; texts point into *tree, which the caller frees. False when it is damaged. */
bool ledger_parse(struct ledger_row *row, struct js **tree, const char *line, size_t n_bytes);

#endif
