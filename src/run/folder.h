/*
 * run/folder.h - run folders: begun with run.json, finished when result.json stands, read, found.
 *
 *     run.json        key, run_id, what was asked and all resolved settings; written first
 *     metrics.jsonl   a line per logged step, see run/metrics.h
 *     events.out.tfevents.mixlaw
 *     checkpoint/     Hugging Face folder
 *     result.json     written last, see run/run.h
 *
 * The key is a digest of the stage's version and of what was asked: the person's settings and the
 * digests of the inputs. The same key means that a begun folder may go on. What was resolved from
 * it (a rate by a default law, a shape for a size) stands in the folder and is obeyed, so that a
 * program that would choose otherwise makes no begun or finished run stale. Folders without "asked"
 * are of a time when the key was a digest of the resolved settings; they are recognised by that.
 */
#ifndef MIXLAW_RUN_FOLDER_H
#define MIXLAW_RUN_FOLDER_H

#include "run/run.h"

struct run_begun {
    int version; /* of the stage that trains: another one means another result of the same settings
                  */
    const struct js *asked;    /* decides the key with it */
    const struct js *settings; /* resolved from it */
    const struct js *machine;  /* may differ between two goes (threads, backend); may be NULL */
};

/* Makes the folder and writes run.json, or recognises it; its key goes to hex.
 * ST_OK: begun, now or before with the same key. ST_END: finished. ST_USAGE: the folder holds a run
 * of other settings, which the message names and which stays untouched. A damaged run.json or
 * result.json is named in a warning and written anew. */
MUST_USE enum st run_begin(const char *dir, const char *run_id, const struct run_begun *b,
                           char hex[/* DIGEST_HEX */], struct err *err);
void run_key(int version, const struct js *asked, char hex[/* DIGEST_HEX */]);

/* The resolved settings of a folder begun for what is asked; the caller frees *settings. ST_END:
 * there is none, or it is of other settings or damaged, of which run_begin speaks. */
MUST_USE enum st run_frozen(const char *dir, int version, const struct js *asked,
                            struct js **settings);

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
/* All run folders (those with a run.json) at or below dir, in name order. An absent dir has none.
 */
MUST_USE enum st run_scan(struct run_list *l, const char *dir, struct err *err);
void run_list_release(struct run_list *l);

#endif
