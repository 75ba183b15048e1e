/* run/index.c - see index.h. The only file that knows SQLite. */
#include "run/index.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

struct run_index {
    sqlite3 *db;
    char *path;
};

enum { INDEX_VERSION = 1 };

enum kind { TEXT, WHOLE, REAL, BOOL };
struct column {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct run_record */
};
#define AT(field) offsetof(struct run_record, field)
static const struct column column[] = {
    { "run_id", TEXT, AT(run_id) },
    { "arm", TEXT, AT(arm) },
    { "kind", TEXT, AT(kind) },
    { "frac_synth", REAL, AT(frac_synth) },
    { "n_param", WHOLE, AT(n_param) },
    { "n_param_nonemb", WHOLE, AT(n_param_nonemb) },
    { "n_tok", WHOLE, AT(n_tok) },
    { "n_tok_unique_natural", WHOLE, AT(n_tok_unique_natural) },
    { "n_tok_unique_synth", WHOLE, AT(n_tok_unique_synth) },
    { "n_epoch_natural", REAL, AT(n_epoch_natural) },
    { "n_epoch_synth", REAL, AT(n_epoch_synth) },
    { "flop", REAL, AT(flop) },
    { "seed", WHOLE, AT(seed) },
    { "lr", REAL, AT(lr) },
    { "batch_tokens", WHOLE, AT(batch_tokens) },
    { "seq_len", WHOLE, AT(seq_len) },
    { "vocab_size", WHOLE, AT(vocab_size) },
    { "schedule", TEXT, AT(schedule) },
    { "loss", REAL, AT(loss) },
    { "bpb", REAL, AT(bpb) },
    { "diverged", BOOL, AT(diverged) },
    { "wall_s", REAL, AT(wall_s) },
    { "tok_per_s", REAL, AT(tok_per_s) },
    { "backend", TEXT, AT(backend) },
    { "n_step", WHOLE, AT(n_step) },
    { "loss_train", REAL, AT(loss_train) },
    { "mfu", REAL, AT(mfu) },
};
enum { FIRST = 3 }; /* dir, state and why stand before them */

static enum st db_error(struct run_index *ix, struct err *err)
{
    return err_set(err, ST_IO, "'%s': %s", ix->path, sqlite3_errmsg(ix->db));
}

static enum st exec(struct run_index *ix, const char *sql, struct err *err)
{
    return sqlite3_exec(ix->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ST_OK : db_error(ix, err);
}

static enum st prepare(struct run_index *ix, sqlite3_stmt **out, const char *sql, struct err *err)
{
    return sqlite3_prepare_v2(ix->db, sql, -1, out, NULL) == SQLITE_OK ? ST_OK : db_error(ix, err);
}

static enum st finish(struct run_index *ix, sqlite3_stmt *s, struct err *err)
{
    return sqlite3_step(s) == SQLITE_DONE ? ST_OK : db_error(ix, err);
}

static void create_sql(struct strbuf *b)
{
    static const char *const type[] = { "TEXT", "INTEGER", "REAL", "INTEGER" };
    str_adds(b,
             "CREATE TABLE IF NOT EXISTS run (dir TEXT PRIMARY KEY, state TEXT NOT NULL, why TEXT");
    for (size_t i = 0; i < N_OF(column); i++)
        str_printf(b, ", %s %s", column[i].name, type[column[i].kind]);
    str_printf(b,
               ");"
               "CREATE TABLE IF NOT EXISTS domain (dir TEXT NOT NULL, domain TEXT NOT NULL,"
               " loss REAL, bpb REAL, n_tok INTEGER, n_bytes INTEGER, PRIMARY KEY (dir, domain));"
               "PRAGMA user_version = %d;",
               (int)INDEX_VERSION);
}

/* ST_FORMAT when the file is there but no sound index of ours. */
static enum st check(struct run_index *ix, struct err *err)
{
    sqlite3_stmt *s = NULL;
    enum st st = ST_OK;
    if (sqlite3_prepare_v2(ix->db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW || strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0)
        st = err_set(err, ST_FORMAT, "'%s' is damaged or no index", ix->path);
    sqlite3_finalize(s);
    s = NULL;
    if (st == ST_OK &&
        sqlite3_prepare_v2(ix->db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW) {
        int version = sqlite3_column_int(s, 0);
        if (version != 0 && version != INDEX_VERSION)
            st = err_set(err, ST_FORMAT, "'%s' has version %d, want %d", ix->path, version,
                         (int)INDEX_VERSION);
    }
    sqlite3_finalize(s);
    return st;
}

static enum st open_db(struct run_index *ix, struct err *err)
{
    if (sqlite3_open_v2(ix->path, &ix->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK)
        return db_error(ix, err);
    sqlite3_busy_timeout(ix->db, 10000);
    return check(ix, err);
}

static void remove_db(struct run_index *ix)
{
    static const char *const suffix[] = { "", "-journal", "-wal", "-shm" };
    sqlite3_close(ix->db);
    ix->db = NULL;
    for (size_t i = 0; i < N_OF(suffix); i++) {
        char *p = xasprintf("%s%s", ix->path, suffix[i]);
        unlink(p); /* absent is fine; a file that stays makes the next open fail and say so */
        free(p);
    }
}

enum st run_index_open(struct run_index **out, const char *path, struct err *err)
{
    struct run_index *ix = NEW(struct run_index);
    ix->path = xstrdup(path);
    *out = NULL;
    enum st st = open_db(ix, err);
    if (st == ST_FORMAT) {
        log_warn("%s; it is made anew", err->msg);
        remove_db(ix);
        st = open_db(ix, err);
    }
    if (st == ST_OK) {
        struct strbuf sql = { 0 };
        create_sql(&sql);
        st = exec(ix, sql.s, err);
        str_release(&sql);
    }
    if (st == ST_OK)
        *out = ix;
    else
        run_index_close(ix);
    return st;
}

void run_index_close(struct run_index *ix)
{
    if (!ix)
        return;
    sqlite3_close(ix->db);
    free(ix->path);
    free(ix);
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(s, at);
}

static void bind_column(sqlite3_stmt *s, int at, const struct run_record *r, const struct column *c)
{
    const void *p = (const char *)r + c->offset;
    switch (c->kind) {
    case TEXT:
        bind_text(s, at, *(const char *const *)p);
        break;
    case WHOLE:
        sqlite3_bind_int64(s, at, (sqlite3_int64) * (const uint64_t *)p);
        break;
    case REAL:
        sqlite3_bind_double(s, at, *(const double *)p); /* NaN is stored as NULL */
        break;
    case BOOL:
        sqlite3_bind_int(s, at, *(const bool *)p);
        break;
    }
}

static enum st put_domains(struct run_index *ix, const struct run_entry *e, struct err *err)
{
    sqlite3_stmt *s = NULL;
    enum st st = prepare(ix, &s, "DELETE FROM domain WHERE dir = ?1", err);
    if (st == ST_OK) {
        bind_text(s, 1, e->dir);
        st = finish(ix, s, err);
    }
    sqlite3_finalize(s);
    s = NULL;
    if (st == ST_OK)
        st = prepare(ix, &s, "INSERT INTO domain VALUES (?1, ?2, ?3, ?4, ?5, ?6)", err);
    for (size_t i = 0; i < e->rec.n_domain && st == ST_OK; i++) {
        const struct run_domain *d = &e->rec.domain[i];
        sqlite3_reset(s);
        bind_text(s, 1, e->dir);
        bind_text(s, 2, d->name);
        sqlite3_bind_double(s, 3, d->loss);
        sqlite3_bind_double(s, 4, d->bpb);
        sqlite3_bind_int64(s, 5, (sqlite3_int64)d->n_tok);
        sqlite3_bind_int64(s, 6, (sqlite3_int64)d->n_bytes);
        st = finish(ix, s, err);
    }
    sqlite3_finalize(s);
    return st;
}

static enum st put(struct run_index *ix, const struct run_entry *e, struct err *err)
{
    struct strbuf sql = { 0 };
    sqlite3_stmt *s = NULL;
    str_adds(&sql, "INSERT OR REPLACE INTO run VALUES (?, ?, ?");
    for (size_t i = 0; i < N_OF(column); i++)
        str_adds(&sql, ", ?");
    str_adds(&sql, ")");
    enum st st = prepare(ix, &s, sql.s, err);
    if (st == ST_OK) {
        bind_text(s, 1, e->dir);
        bind_text(s, 2, run_state_name(e->state));
        bind_text(s, 3, e->why);
        for (size_t i = 0; i < N_OF(column); i++)
            bind_column(s, (int)i + FIRST + 1, &e->rec, &column[i]);
        st = finish(ix, s, err);
    }
    sqlite3_finalize(s);
    str_release(&sql);
    return st == ST_OK ? put_domains(ix, e, err) : st;
}

/* Ends a transaction: commits when all went well, else takes everything back and keeps the message.
 */
static enum st settle(struct run_index *ix, enum st st, struct err *err)
{
    if (st == ST_OK)
        st = exec(ix, "COMMIT", err);
    if (st < 0)
        sqlite3_exec(ix->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

enum st run_index_put(struct run_index *ix, const struct run_entry *e, struct err *err)
{
    enum st st = exec(ix, "BEGIN IMMEDIATE", err);
    return st < 0 ? st : settle(ix, put(ix, e, err), err);
}

enum st run_index_rebuild(struct run_index *ix, const char *runs_dir, struct err *err)
{
    struct run_list l = { 0 };
    enum st st = run_scan(&l, runs_dir, err);
    if (st == ST_OK)
        st = exec(ix, "BEGIN IMMEDIATE", err);
    if (st == ST_OK) {
        st = exec(ix, "DELETE FROM run; DELETE FROM domain", err);
        for (size_t i = 0; i < l.n && st == ST_OK; i++)
            st = put(ix, &l.run[i], err);
        st = settle(ix, st, err);
    }
    run_list_release(&l);
    return st;
}

static char *column_text(sqlite3_stmt *s, int at, struct arena *a)
{
    const unsigned char *t = sqlite3_column_text(s, at);
    return t ? arena_strdup(a, (const char *)t) : NULL;
}

static void read_column(sqlite3_stmt *s, int at, struct run_record *r, const struct column *c,
                        struct arena *a)
{
    void *p = (char *)r + c->offset;
    switch (c->kind) {
    case TEXT:
        *(const char **)p = column_text(s, at, a);
        break;
    case WHOLE:
        *(uint64_t *)p = (uint64_t)sqlite3_column_int64(s, at);
        break;
    case REAL:
        *(double *)p =
            sqlite3_column_type(s, at) == SQLITE_NULL ? NAN : sqlite3_column_double(s, at);
        break;
    case BOOL:
        *(bool *)p = sqlite3_column_int(s, at) != 0;
        break;
    }
}

static double real_or_nan(sqlite3_stmt *s, int at)
{
    return sqlite3_column_type(s, at) == SQLITE_NULL ? NAN : sqlite3_column_double(s, at);
}

static enum st list_domains(struct run_index *ix, struct run_entry *e, struct arena *a,
                            struct err *err)
{
    sqlite3_stmt *s = NULL;
    size_t cap = 0;
    struct run_domain *d = NULL;
    enum st st = prepare(
        ix, &s,
        "SELECT domain, loss, bpb, n_tok, n_bytes FROM domain WHERE dir = ? ORDER BY domain", err);
    if (st < 0)
        return st;
    bind_text(s, 1, e->dir);
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        GROW(d, e->rec.n_domain, cap);
        d[e->rec.n_domain++] =
            (struct run_domain){ .name = column_text(s, 0, a),
                                 .loss = real_or_nan(s, 1),
                                 .bpb = real_or_nan(s, 2),
                                 .n_tok = (uint64_t)sqlite3_column_int64(s, 3),
                                 .n_bytes = (uint64_t)sqlite3_column_int64(s, 4) };
    }
    if (rc != SQLITE_DONE)
        st = db_error(ix, err);
    sqlite3_finalize(s);
    e->rec.domain = ARENA_ARRAY(a, struct run_domain, e->rec.n_domain);
    if (e->rec.n_domain)
        memcpy(e->rec.domain, d, e->rec.n_domain * sizeof *d);
    free(d);
    return st;
}

enum st run_index_list(struct run_index *ix, struct run_list *l, struct err *err)
{
    sqlite3_stmt *s = NULL;
    struct strbuf sql = { 0 };
    str_adds(&sql, "SELECT dir, state, why");
    for (size_t i = 0; i < N_OF(column); i++)
        str_printf(&sql, ", %s", column[i].name);
    str_adds(&sql, " FROM run ORDER BY dir");
    enum st st = prepare(ix, &s, sql.s, err);
    int rc = SQLITE_DONE;
    while (st == ST_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        GROW(l->run, l->n, l->cap);
        struct run_entry *e = &l->run[l->n++];
        *e = (struct run_entry){ .dir = column_text(s, 0, &l->memory),
                                 .why = column_text(s, 2, &l->memory) };
        const char *state = (const char *)sqlite3_column_text(s, 1);
        e->state = strcmp(state, "finished") == 0  ? RUN_FINISHED
                   : strcmp(state, "damaged") == 0 ? RUN_DAMAGED
                                                   : RUN_UNFINISHED;
        for (size_t i = 0; i < N_OF(column); i++)
            read_column(s, (int)i + FIRST, &e->rec, &column[i], &l->memory);
        st = list_domains(ix, e, &l->memory, err);
    }
    if (st == ST_OK && rc != SQLITE_DONE)
        st = db_error(ix, err);
    sqlite3_finalize(s);
    str_release(&sql);
    return st;
}
