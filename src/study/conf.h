/*
 * study/conf.h - the study file: what to compare, on what, within which limits.
 *
 * YAML, read through settings tables; docs/FORMATS.md has a complete example. Paths are relative to
 * the study file. With time_budget, whatever of models, budgets, shares and seeds is left out is
 * chosen by the plan so that the study fits.
 */
#ifndef MIXLAW_STUDY_CONF_H
#define MIXLAW_STUDY_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/field.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/yaml.h"

enum { STUDY_MAX = 64 }; /* kinds, shares, models, budgets: more is a mistake */

struct study_kind {
    const char *kind;          /* name in tables: "hq" */
    const char *recipe;        /* name or file; "import" for a ready-made set */
    struct textlist import;    /* its files, folders, globs, URLs; empty: the kind is generated */
    double price, price_per_m; /* of the set; of a million of its tokens */
};

struct study_conf {
    const char *name;
    struct textlist natural_path, domain_path; /* files, folders, globs, URLs */
    const char *clean;                         /* none or web */
    double hold_out;    /* share of natural documents kept apart as a domain */
    uint64_t min_bytes; /* shorter natural documents are dropped */

    struct study_kind kind[STUDY_MAX];
    size_t n_kind;
    const char *gen_local, *gen_server, *gen_model; /* GGUF file or folder; or URL and model name */
    const char *gen_amateur; /* a weaker model beside a local one, for recipes that contrast two */
    uint64_t gen_docs;       /* source pages a kind; 0: the plan decides */

    const char *tok_file; /* tokenizer.json to use; NULL: train one */
    uint64_t vocab_size;  /* of the trained one; 0: by model size */

    double share[STUDY_MAX];                      /* ascending, the first is 0 */
    uint64_t model[STUDY_MAX], budget[STUDY_MAX]; /* ascending; non-embedding parameters; tokens */
    size_t n_share, n_model, n_budget;
    uint64_t seeds;     /* 0: the plan decides */
    double time_budget; /* seconds for the whole study, 0: none */
    double epochs_max;  /* a source repeated more often is not planned */

    uint64_t seq_len, batch_tokens; /* 0: by model size */
    double lr;                      /* 0: swept, or train's law */
    const char *sweep;              /* auto, always or never */
    const char *precision;
    uint64_t eval_bytes;                  /* a domain */
    bool aa, shuffle, copy;               /* controls */
    bool hold_out_budget, hold_out_model; /* the largest is predicted, not fitted */
    double price_in, price_out, gpu_hour; /* a million tokens; an hour */

    struct arena arena; /* texts made here */
    struct yml *yml;    /* texts borrowed from here */
    struct js *written; /* the settings with their paths as the file has them */
};

/* Reads and checks the study file. ST_USAGE with file and line. Release in every case. */
MUST_USE enum st study_conf_read(struct study_conf *c, const char *path, struct err *err);
void study_conf_release(struct study_conf *c);

/* Whether the learning rate is swept: `sweep: auto` does when no rate is given, text is held out to
 * judge it by, and the time budget, if any, is at least STUDY_SWEEP_MIN_S. */
#define STUDY_SWEEP_MIN_S 1200.0
bool study_kind_imports(const struct study_kind *k);
bool study_conf_sweeps(const struct study_conf *c);

/* All settings, for plan.json; paths as written, so that they are the same from every working
 * folder. */
struct js *study_conf_json(const struct study_conf *c);

#endif
