/*
 * synth/ledger.c - see ledger.h. In memory stands half the key and the place of every row, 16 bytes
 * in a table that is 40 to 80 % full: 20 to 40 bytes a request. The whole key is compared in the
 * row itself, which whoever finds it wants to read anyway.
 */
#include "synth/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    OFFSET_BITS = 39, /* of a place: half a terabyte of lines, each under 16 MiB */
    LENGTH_BITS = 24,
    LINE_MAX_BYTES = (1 << LENGTH_BITS) - 1,
    SYNC_ROWS = 256,
    SYNC_S = 2,
    SUM_BYTES = 26 /* ,"sum":"0123456789abcdef"} */
};

#define OFFSET_MAX (((uint64_t)1 << OFFSET_BITS) - 1)

struct entry {
    uint64_t half_key;
    uint64_t offset : OFFSET_BITS, n_bytes : LENGTH_BITS; /* 0 bytes: an empty place in the table */
    uint64_t shown : 1;
};

struct ledger {
    char *path;
    int fd;
    struct lock lock;
    bool locked;
    struct entry *table;
    size_t n, cap; /* cap a power of two */
    uint64_t end;  /* bytes of whole lines */
    struct ledger_stats stats;
    double opened_s, synced_s;
    double wall_before, last_at_s; /* open time: of earlier sessions; at the last row of this one */
    unsigned unsynced;
    struct strbuf line;
    struct js *tree; /* owns the texts of the row last read */
};

const char *finish_name(enum finish f)
{
    static const char *const name[FINISH_N] = { "stop", "length", "no_room", "filtered",
                                                "no_round_trip" };
    return name[f];
}

static void checksum(char sum[SUM_BYTES + 1], const char *bytes, size_t n)
{
    snprintf(sum, SUM_BYTES + 1, ",\"sum\":\"%016llx\"}",
             (unsigned long long)hash64(bytes, n, 0x6c65646765722031u));
}

bool ledger_parse(struct ledger_row *row, struct js **tree, const char *line, size_t n)
{
    char sum[SUM_BYTES + 1];
    struct err ignored;
    *tree = NULL;
    if (n < SUM_BYTES)
        return false;
    checksum(sum, line, n - SUM_BYTES);
    if (memcmp(sum, line + n - SUM_BYTES, SUM_BYTES) != 0)
        return false;
    struct js *v = NULL;
    if (js_parse(&v, line, n, &ignored) < 0)
        return false;
    *row = (struct ledger_row){ .id = js_get_text(v, "id", ""),
                                .piece = (int)js_get_whole(v, "piece", 0),
                                .variant = js_get_text(v, "variant", ""),
                                .finish = FINISH_N,
                                .n_tok_prompt = (uint32_t)js_get_whole(v, "n_tok_prompt", 0),
                                .n_tok = (uint32_t)js_get_whole(v, "n_tok", 0),
                                .n_redrawn = (uint32_t)js_get_whole(v, "n_redrawn", 0),
                                .n_changed = (uint32_t)js_get_whole(v, "n_changed", 0),
                                .wall_s = js_get_real(v, "wall_s", 0) };
    const char *finish = js_get_text(v, "finish", "");
    for (int f = 0; f < FINISH_N; f++)
        if (strcmp(finish, finish_name((enum finish)f)) == 0)
            row->finish = (enum finish)f;
    row->raw = js_as_text(js_get(v, "raw"), &row->n_raw);
    if (!row->raw || row->finish == FINISH_N ||
        digest_parse(&row->key, js_get_text(v, "key", ""), &ignored) < 0 ||
        digest_parse(&row->prompt, js_get_text(v, "prompt", ""), &ignored) < 0) {
        js_free(v);
        return false;
    }
    *tree = v;
    return true;
}

/* Reads the line at a place; what row points to is valid until the next call. */
static enum st read_row(struct ledger *l, const struct entry *e, struct ledger_row *row,
                        struct err *err)
{
    str_clear(&l->line);
    str_reserve(&l->line, e->n_bytes);
    for (size_t done = 0; done < e->n_bytes;) {
        ssize_t r = pread(l->fd, l->line.s + done, e->n_bytes - done, (off_t)(e->offset + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return err_set(err, ST_IO, "cannot read '%s' at byte %llu: %s", l->path,
                           (unsigned long long)(e->offset + done),
                           r < 0 ? strerror(errno) : "it became shorter");
        done += (size_t)r;
    }
    js_free(l->tree);
    l->tree = NULL;
    if (!ledger_parse(row, &l->tree, l->line.s, e->n_bytes))
        return err_set(err, ST_FORMAT, "'%s' changed at byte %llu while it was open", l->path,
                       (unsigned long long)e->offset);
    return ST_OK;
}

static size_t table_next(const struct ledger *l, size_t i)
{
    return (i + 1) & (l->cap - 1);
}

/* The key's place in the table with its row; ST_END: an empty one, where it would go. */
static enum st table_find(struct ledger *l, struct digest key, struct entry **at,
                          struct ledger_row *row, struct err *err)
{
    for (size_t i = key.lo & (l->cap - 1);; i = table_next(l, i)) {
        *at = &l->table[i];
        if (!(*at)->n_bytes)
            return ST_END;
        if ((*at)->half_key != key.lo)
            continue;
        enum st st = read_row(l, *at, row, err);
        if (st < 0 || digest_cmp(row->key, key) == 0)
            return st;
    }
}

static void table_grow(struct ledger *l)
{
    struct entry *old = l->table;
    size_t old_cap = l->cap;
    l->cap = 2 * old_cap;
    l->table = NEW_ARRAY(struct entry, l->cap);
    for (size_t k = 0; k < old_cap; k++) {
        size_t i = old[k].half_key & (l->cap - 1);
        while (old[k].n_bytes && l->table[i].n_bytes)
            i = table_next(l, i);
        if (old[k].n_bytes)
            l->table[i] = old[k];
    }
    free(old);
}

/* Of two rows of one key the later counts. */
static enum st table_put(struct ledger *l, struct digest key, uint64_t offset, size_t n_bytes,
                         struct err *err)
{
    struct entry *at;
    struct ledger_row row;
    if (5 * (l->n + 1) > 4 * l->cap)
        table_grow(l);
    enum st st = table_find(l, key, &at, &row, err);
    if (st < 0)
        return st;
    l->n += st == ST_END;
    *at = (struct entry){ key.lo, offset, n_bytes, 0 };
    return ST_OK;
}

static void count(struct ledger *l, const struct ledger_row *row, double at_s)
{
    l->stats.n_rows++;
    l->stats.n_tok_prompt += row->n_tok_prompt;
    l->stats.n_tok += row->n_tok;
    if (at_s > l->wall_before)
        l->wall_before = at_s;
}

/* Takes a line; ST_END: it is damaged. */
static enum st take_line(struct ledger *l, const char *line, size_t n, uint64_t offset,
                         struct err *err)
{
    struct ledger_row row;
    struct js *tree;
    if (!ledger_parse(&row, &tree, line, n))
        return ST_END;
    count(l, &row, js_get_real(tree, "at_s", 0));
    enum st st = table_put(l, row.key, offset, n, err);
    js_free(tree);
    return st;
}

/* Reads what is there. Damage followed by a good line is skipped; damage at the end is a torn
 * write. */
static enum st load(struct ledger *l, struct err *err)
{
    FILE *f = fopen(l->path, "rb");
    char *line = NULL;
    size_t cap = 0;
    uint64_t at = 0, bad = 0;
    ssize_t got;
    enum st st = ST_OK;
    if (!f)
        return err_set(err, ST_IO, "cannot read '%s': %s", l->path, strerror(errno));
    while (st >= 0 && (got = getline(&line, &cap, f)) > 0) {
        size_t n = (size_t)got;
        bool whole = line[n - 1] == '\n' && n <= LINE_MAX_BYTES && at + n <= OFFSET_MAX;
        st = whole ? take_line(l, line, n - 1, at, err) : ST_END;
        if (st == ST_OK) {
            l->end = at + n;
            l->stats.n_damaged += bad;
            bad = 0;
        } else {
            bad++;
        }
        at += n;
    }
    if (st >= 0)
        st = ferror(f) ? err_set(err, ST_IO, "'%s': %s", l->path, strerror(errno)) : ST_OK;
    free(line);
    fclose(f);
    if (st == ST_OK && l->stats.n_damaged)
        log_warn("'%s': %llu damaged lines are left out; their requests will be asked again",
                 l->path, (unsigned long long)l->stats.n_damaged);
    if (st == ST_OK && at > l->end) {
        l->stats.n_torn_bytes = at - l->end;
        log_warn("'%s': the last %llu bytes are half a row and are cut off", l->path,
                 (unsigned long long)l->stats.n_torn_bytes);
        if (ftruncate(l->fd, (off_t)l->end) != 0)
            st = err_set(err, ST_IO, "cannot cut '%s': %s", l->path, strerror(errno));
    }
    return st;
}

enum st ledger_open(struct ledger **out, const char *dir, struct err *err)
{
    struct ledger *l = NEW(struct ledger);
    char *lock = NULL;
    l->fd = -1;
    l->cap = 1024;
    l->table = NEW_ARRAY(struct entry, l->cap);
    l->opened_s = l->synced_s = clock_s();
    enum st st = dir_make(dir, err);
    if (st == ST_OK) {
        l->path = path_join(dir, "ledger.jsonl");
        lock = path_join(dir, "ledger.lock");
        st = lock_take(&l->lock, lock, err);
        l->locked = st == ST_OK;
    }
    if (st == ST_OK) {
        l->fd = open(l->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (l->fd < 0)
            st = err_set(err, ST_IO, "cannot open '%s': %s", l->path, strerror(errno));
    }
    if (st == ST_OK)
        st = load(l, err);
    free(lock);
    if (st == ST_OK) {
        *out = l;
        l = NULL;
    }
    ledger_close(l);
    return st;
}

void ledger_close(struct ledger *l)
{
    struct err err;
    if (!l)
        return;
    if (l->fd >= 0) {
        if (ledger_sync(l, &err) < 0)
            log_warn("%s", err.msg);
        close(l->fd);
    }
    if (l->locked)
        lock_drop(&l->lock);
    free(l->path);
    free(l->table);
    str_release(&l->line);
    js_free(l->tree);
    free(l);
}

enum st ledger_sync(struct ledger *l, struct err *err)
{
    if (l->unsynced && fdatasync(l->fd) != 0)
        return err_set(err, ST_IO, "cannot sync '%s': %s", l->path, strerror(errno));
    l->unsynced = 0;
    l->synced_s = clock_s();
    return ST_OK;
}

static double wall_now(const struct ledger *l)
{
    return l->wall_before + clock_s() - l->opened_s;
}

static void row_line(struct strbuf *b, const struct ledger_row *row, double at_s)
{
    char hex[DIGEST_HEX], sum[SUM_BYTES + 1];
    str_clear(b);
    str_printf(b, "{\"key\":\"%s\",", digest_hex(row->key, hex));
    str_printf(b, "\"prompt\":\"%s\",\"id\":", digest_hex(row->prompt, hex));
    js_quote(b, row->id, strlen(row->id));
    str_printf(b, ",\"piece\":%d,\"variant\":", row->piece);
    js_quote(b, row->variant, strlen(row->variant));
    str_printf(b,
               ",\"finish\":\"%s\",\"n_tok_prompt\":%u,\"n_tok\":%u,\"wall_s\":%.3f,\"at_s\":%.3f",
               finish_name(row->finish), row->n_tok_prompt, row->n_tok, row->wall_s, at_s);
    if (row->n_redrawn)
        str_printf(b, ",\"n_redrawn\":%u,\"n_changed\":%u", row->n_redrawn, row->n_changed);
    str_adds(b, ",\"raw\":");
    js_quote(b, row->raw, row->n_raw);
    checksum(sum, b->s, b->n);
    str_adds(b, sum);
    str_addc(b, '\n');
}

enum st ledger_add(struct ledger *l, const struct ledger_row *row, struct err *err)
{
    double at_s = wall_now(l);
    row_line(&l->line, row, at_s);
    if (l->line.n > LINE_MAX_BYTES)
        return err_set(err, ST_LIMIT, "an answer of %zu bytes is too long for the ledger",
                       row->n_raw);
    if (l->end + l->line.n > OFFSET_MAX)
        return err_set(err, ST_LIMIT, "'%s' is full: %llu GiB", l->path,
                       (unsigned long long)(OFFSET_MAX >> 30));
    for (size_t done = 0; done < l->line.n;) {
        ssize_t w = write(l->fd, l->line.s + done, l->line.n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0) {
            int why = errno;
            if (done && ftruncate(l->fd, (off_t)l->end) != 0)
                log_debug("half a row stays at the end of '%s' and is cut off next time", l->path);
            return err_set(
                err, ST_IO,
                "cannot write '%s': %s; %llu answers are safe, make room and run the same "
                "command again",
                l->path, strerror(why), (unsigned long long)l->stats.n_rows);
        }
        done += (size_t)w;
    }
    uint64_t offset = l->end;
    size_t n_bytes = l->line.n - 1;
    l->end += l->line.n;
    l->stats.n_rows++;
    l->stats.n_tok_prompt += row->n_tok_prompt;
    l->stats.n_tok += row->n_tok;
    l->last_at_s = at_s;
    l->unsynced++;
    enum st st = table_put(l, row->key, offset, n_bytes, err);
    if (st < 0)
        return st;
    if (l->unsynced >= SYNC_ROWS || clock_s() - l->synced_s >= SYNC_S)
        return ledger_sync(l, err);
    return ST_OK;
}

enum st ledger_get(struct ledger *l, struct digest key, struct ledger_row *row, struct err *err)
{
    struct entry *at;
    enum st st = table_find(l, key, &at, row, err);
    if (st == ST_OK) {
        row->again = at->shown;
        at->shown = 1;
    }
    return st;
}

void ledger_rewind(struct ledger *l)
{
    for (size_t i = 0; i < l->cap; i++)
        l->table[i].shown = 0;
}

struct ledger_stats ledger_stats(const struct ledger *l)
{
    struct ledger_stats s = l->stats;
    s.wall_s = wall_now(l);
    s.ask_s = l->last_at_s > l->wall_before ? l->last_at_s : l->wall_before;
    return s;
}
