/*
 * run/folder.h - run folders: begun with run.json, finished when result.json stands, read, found.
 *
 *     run.json        key, run_id and all resolved settings; written first
 *     metrics.jsonl   a line per logged step, see run/metrics.h
 *     events.out.tfevents.mixlaw
 *     checkpoint/     Hugging Face folder
 *     result.json     written last, see run/run.h
 *
 * The key is a digest of the settings that decide the result; the same key means that a begun
 * folder may go on.
 */
#ifndef MIXLAW_RUN_FOLDER_H
#define MIXLAW_RUN_FOLDER_H

#include "run/run.h"

/* Makes the folder and writes run.json, or recognises it.
 *   settings  decides the key; written as run.json's "settings"
 *   machine   what may differ between two goes of the same run (threads, backend); may be NULL
 * ST_OK: begun, or begun before with the same key (*known is set). ST_END: finished. ST_USAGE: the
 * folder holds a run of other settings, which stays untouched. A damaged run.json or result.json is
 * named in a warning and written anew. */
MUST_USE enum st run_begin(const char *dir, const char *run_id, const struct js *settings,
                           const struct js *machine, bool *known, struct err *err);
void run_key(const struct js *settings, char hex[/* DIGEST_HEX */]);

MUST_USE enum st run_finish(const char *dir, const struct run_record *r, const struct js *extra,
                            struct err *err);

enum run_state {
    RUN_UNFINISHED,
    RUN_FINISHED,
    RUN_DAMAGED /* something is there that cannot be read; treated as unfinished */
};
const char *run_state_name(enum run_state s);

struct run_entry {
    const char *dir;
    enum run_state state;
    const char *why;       /* RUN_DAMAGED: the message, naming the file; else NULL */
    struct run_record rec; /* RUN_FINISHED: all of it; else run_id alone, which may be NULL */
};

/* Looks at one folder; texts are kept in a. Never fails: what is wrong stands in the entry. */
void run_look(struct run_entry *e, const char *dir, struct arena *a);

struct run_list {
    struct run_entry *run;
    size_t n, cap;
    struct arena memory;
};
/* All run folders (those with a run.json) at or below dir, in name order. An absent dir has none. */
MUST_USE enum st run_scan(struct run_list *l, const char *dir, struct err *err);
void run_list_release(struct run_list *l);

#endif
