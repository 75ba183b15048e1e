/*
 * base/field.h - settings as tables: one row a setting parses flags and files, prints --help and
 * the manual page, and writes the resolved values into records.
 *
 *     struct train_conf { uint64_t n_tok; double lr; const char *schedule; };
 *     static const struct field train_field[] = {
 *         { .name = "n_tok", .kind = FIELD_WHOLE, .unit = "tokens", .help = "training tokens",
 *           .offset = offsetof(struct train_conf, n_tok), .min = 1, .max = 1e15 },
 *         { .name = "schedule", .kind = FIELD_CHOICE, .choices = "cosine|wsd", ... },
 *     };
 *     st = field_set(train_field, N_OF(train_field), &conf, "n_tok", "5M", err);
 *
 * Names are written with underscores here and with dashes on the command line. Texts are borrowed:
 * the argument, file or default they came from must outlive the object.
 */
#ifndef MIXLAW_BASE_FIELD_H
#define MIXLAW_BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

enum field_kind {               /* the member's C type */
                  FIELD_BOOL,   /* bool; a flag without value */
                  FIELD_WHOLE,  /* uint64_t; suffixes of base/units.h */
                  FIELD_REAL,   /* double */
                  FIELD_TIME,   /* double, seconds; 90s, 2h */
                  FIELD_TEXT,   /* const char * */
                  FIELD_CHOICE, /* const char *, one of .choices */
                  FIELD_LIST    /* struct textlist */
};

struct textlist {
    const char **s; /* the array is owned (textlist_release), the texts are borrowed */
    size_t n, cap;
};
void textlist_add(struct textlist *l, const char *s);
void textlist_release(struct textlist *l);

struct field {
    const char *name;
    enum field_kind kind;
    const char *unit;    /* what a value is, for help: "tokens", "PATH", "NAME=PREFIX@SHARE" */
    const char *help;    /* lower case, no full stop */
    const char *choices; /* "a|b|c" for FIELD_CHOICE */
    size_t offset;       /* of the member in its object */
    double min, max;     /* inclusive; both 0 means no limit; WHOLE, REAL and TIME */
    bool required;
};

/* Finds the row by name, with '-' and '_' alike; NULL when unknown. */
const struct field *field_find(const struct field *f, size_t n_field, const char *name,
                               size_t name_len);

/* Sets one member from text. ST_USAGE names the field, the text and what was expected. */
MUST_USE enum st field_set(const struct field *f, size_t n_field, void *obj, const char *name,
                           const char *text, struct err *err);

/* The object's resolved values as JSON, in table order. */
struct js *field_json(const struct field *f, size_t n_field, const void *obj);

/* The default or current value as text for --help; "" when unset. */
void field_show(const struct field *f, const void *obj, struct strbuf *out);

#endif
