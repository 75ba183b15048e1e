/*
 * net/download.c - one file over http(s), going on where a former try stopped.
 *
 *   PATH.part   the bytes so far
 *   PATH.from   JSON: the address, the length and the version (ETag or Last-Modified) of them
 *
 * A try asks for "bytes=N-" under "If-Range: version". 206 goes on; 200 means that the file changed
 * or the server knows no ranges: begin again. The file gets its name only when its length is right.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/easy.h"
#include "net/net.h"

enum { DOWNLOAD_TRIES = 8, DOWNLOAD_IDLE_S = 60, RETRY_AFTER_MAX = 900 /* s */ };

struct download {
    const char *url;
    char *part, *from;
    FILE *file;
    uint64_t have;     /* bytes in the part file */
    uint64_t total;    /* 0: not known yet */
    char version[256]; /* of what is in the part file; "" unknown */
    bool begun;        /* this answer's headers were looked at */
    bool alien;        /* 206 with another range than asked for, or of another version */
    int write_errno;
    long status;
    double pause_s; /* the server's Retry-After, or 0 */
    char new_version[256];
    uint64_t range_first, range_total;
    bool has_range;
    struct progress progress;
};

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct download *d = arg;
    size_t len = size * n;
    while (len && isspace((unsigned char)line[len - 1]))
        len--;
    if (len >= 5 && strncmp(line, "HTTP/", 5) == 0) { /* a redirect's headers do not count */
        d->begun = d->has_range = false;
        d->new_version[0] = '\0';
    }
    char *text = xstrndup(line, len);
    unsigned long long first, last, total;
    if (strncasecmp(text, "etag:", 5) == 0 && !strstr(text, "W/")) { /* a weak one proves nothing */
        snprintf(d->new_version, sizeof d->new_version, "%s", text + 5 + strspn(text + 5, " "));
    } else if (strncasecmp(text, "last-modified:", 14) == 0 && !d->new_version[0]) {
        snprintf(d->new_version, sizeof d->new_version, "%s", text + 14 + strspn(text + 14, " "));
    } else if (strncasecmp(text, "content-range:", 14) == 0) {
        if (sscanf(text + 14, " bytes %llu-%llu/%llu", &first, &last, &total) == 3) {
            d->has_range = true;
            d->range_first = first;
            d->range_total = total;
        } else if (sscanf(text + 14, " bytes */%llu", &total) == 1) {
            d->has_range = true;
            d->range_first = UINT64_MAX;
            d->range_total = total;
        }
    }
    free(text);
    return size * n;
}

static void remember(struct download *d)
{
    struct js *v = js_object();
    struct err err;
    js_put_text(v, "url", d->url);
    js_put_whole(v, "n_bytes", (int64_t)d->total);
    js_put_text(v, "version", d->version);
    if (js_write_file(v, d->from, &err) < 0)
        log_debug("%s", err.msg); /* costs only a fresh start should we be stopped */
    js_free(v);
}

/* First bytes of an answer: goes on after what is there, or begins again. */
static bool begin(struct download *d, CURL *e)
{
    d->begun = true;
    curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &d->status);
    if (d->status != 200 && d->status != 206)
        return true; /* an error page: swallowed by on_bytes */
    if (d->status == 206) {
        d->alien = !d->has_range || d->range_first != d->have ||
                   (d->total && d->range_total != d->total) ||
                   (*d->version && *d->new_version && strcmp(d->version, d->new_version) != 0);
        if (d->alien)
            return false;
        d->total = d->range_total;
    } else {
        curl_off_t length = -1;
        curl_easy_getinfo(e, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        d->total = length > 0 ? (uint64_t)length : 0;
        d->have = 0;
        if (ftruncate(fileno(d->file), 0) != 0 || fseek(d->file, 0, SEEK_SET) != 0) {
            d->write_errno = errno;
            return false;
        }
    }
    snprintf(d->version, sizeof d->version, "%s", d->new_version);
    remember(d);
    d->progress.total = d->total;
    progress_resume(&d->progress, d->have);
    return true;
}

struct sink {
    struct download *d;
    CURL *easy;
};

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct sink *s = arg;
    struct download *d = s->d;
    if (!d->begun && !begin(d, s->easy))
        return 0;
    if (d->status != 200 && d->status != 206)
        return size * n;
    size_t done = fwrite(bytes, 1, size * n, d->file);
    d->have += done;
    if (done < size * n)
        d->write_errno = errno ? errno : EIO;
    progress_at(&d->progress, d->have);
    return done;
}

static int on_tick(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t e)
{
    (void)arg, (void)a, (void)b, (void)c, (void)e;
    return stop_asked();
}

/* Whether the open file still has its name: who held the lock before may have finished and renamed
 * it. */
static bool has_name(FILE *f, const char *path)
{
    struct stat mine, there;
    return fstat(fileno(f), &mine) == 0 && stat(path, &there) == 0 && mine.st_dev == there.st_dev &&
           mine.st_ino == there.st_ino;
}

/* The part file, ours alone until it is closed. */
static enum st part_lock(struct download *d, struct err *err)
{
    for (;;) {
        d->file = fopen(d->part, "abe");
        if (!d->file)
            return err_set(err, ST_IO, "cannot write '%s': %s", d->part, strerror(errno));
        if (flock(fileno(d->file), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            return err_set(err, ST_IO, "another mixlaw is downloading '%s'", d->url);
        if (has_name(d->file, d->part))
            return ST_OK;
        fclose(d->file);
        d->file = NULL;
        if (stop_asked())
            return err_set(err, ST_INTERRUPTED, "interrupted before '%s'", d->url);
    }
}

static enum st part_open(struct download *d, struct err *err)
{
    struct js *was = NULL;
    struct err ignored;
    enum st st = part_lock(d, err);
    if (st < 0)
        return st;
    if (fseek(d->file, 0, SEEK_END) != 0)
        return err_set(err, ST_IO, "'%s': %s", d->part, strerror(errno));
    d->have = (uint64_t)ftell(d->file);
    if (d->have && file_exists(d->from) && js_read_file(&was, d->from, &ignored) == ST_OK &&
        strcmp(js_get_text(was, "url", ""), d->url) == 0) {
        d->total = (uint64_t)js_get_whole(was, "n_bytes", 0);
        snprintf(d->version, sizeof d->version, "%s", js_get_text(was, "version", ""));
    } else {
        d->have = 0; /* whose bytes these are is not known */
        if (ftruncate(fileno(d->file), 0) != 0)
            return err_set(err, ST_IO, "'%s': %s", d->part, strerror(errno));
    }
    js_free(was);
    return ST_OK;
}

static enum st begin_again(struct download *d, struct err *err)
{
    d->have = d->total = 0;
    d->version[0] = '\0';
    if (ftruncate(fileno(d->file), 0) != 0)
        return err_set(err, ST_IO, "'%s': %s", d->part, strerror(errno));
    return ST_OK;
}

/* One try. ST_OK: all bytes are there. ST_END: worth another. */
static enum st one_try(struct download *d, struct err *err)
{
    CURL *e = curl_easy_init();
    char text[CURL_ERROR_SIZE] = "", range[64], *condition = NULL;
    struct curl_slist *header = NULL;
    struct sink sink = { d, e };
    enum st st;
    if (!e)
        abort(); /* only without memory */
    d->begun = d->alien = false;
    d->write_errno = 0;
    d->status = 0;
    easy_common(e, d->url);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)DOWNLOAD_IDLE_S);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, d);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, &sink);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_tick);
    if (d->have) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)d->have);
        curl_easy_setopt(e, CURLOPT_RANGE, range);
        if (d->version[0]) {
            condition = xasprintf("If-Range: %s", d->version);
            header = curl_slist_append(header, condition);
            curl_easy_setopt(e, CURLOPT_HTTPHEADER, header);
        }
    }
    CURLcode code = curl_easy_perform(e);
    curl_off_t after = 0;
    curl_easy_getinfo(e, CURLINFO_RETRY_AFTER, &after);
    d->pause_s = (double)after;
    if (!d->begun && code == CURLE_OK && !begin(d, e)) /* an empty body */
        code = CURLE_WRITE_ERROR;
    if (stop_asked())
        st =
            err_set(err, ST_INTERRUPTED, "interrupted; the same command goes on with '%s'", d->url);
    else if (d->write_errno || fflush(d->file) != 0)
        st = err_set(err, ST_IO, "cannot write '%s': %s; make room and run the same command again",
                     d->part, strerror(d->write_errno ? d->write_errno : errno));
    else if (d->status == 416 && d->has_range && d->have && d->range_total == d->have)
        st = ST_OK;
    else if (d->status == 416 || d->alien) {
        st = begin_again(d, err);
        st = st < 0 ? st : ST_END;
    } else if (after > RETRY_AFTER_MAX)
        st = err_set(err, ST_NET, "'%s': HTTP %ld, the server wants a pause of %lld s", d->url,
                     d->status, (long long)after);
    else if (d->status == 429 || d->status == 408 || d->status >= 500)
        st = ST_END;
    else if (code != CURLE_OK && easy_worth_retry(code))
        st = ST_END;
    else if (code != CURLE_OK)
        st = err_set(err, ST_NET, "'%s': %s", d->url, text[0] ? text : curl_easy_strerror(code));
    else if (d->status != 200 && d->status != 206)
        st = err_set(err, ST_NET, "'%s': HTTP %ld", d->url, d->status);
    else
        st = d->total == 0 || d->have == d->total ? ST_OK : ST_END;
    if (st == ST_END)
        err_set(err, ST_NET, "'%s': %s after %llu of %llu bytes", d->url,
                d->status >= 400 ? "the server refuses"
                : text[0]        ? text
                                 : "the answer was cut",
                (unsigned long long)d->have, (unsigned long long)d->total);
    curl_slist_free_all(header);
    free(condition);
    curl_easy_cleanup(e);
    return st;
}

static enum st part_commit(struct download *d, const char *path, struct err *err)
{
    if (fflush(d->file) != 0 || fsync(fileno(d->file)) != 0)
        return err_set(err, ST_IO, "cannot write '%s': %s", d->part, strerror(errno));
    enum st st = file_rename(d->part, path, err);
    if (st == ST_OK)
        remove(d->from);
    return st;
}

enum st net_download(const char *url, const char *path, struct err *err)
{
    easy_init();
    struct download d = { .url = url };
    struct rng rng;
    enum st st;
    rng_init(&rng, hash64(url, strlen(url), 0), "download", 0);
    d.part = xasprintf("%s.part", path);
    d.from = xasprintf("%s.from", path);
    st = part_open(&d, err);
    if (st == ST_OK) {
        progress_start(&d.progress, path_base(path), d.total, "B");
        int left = DOWNLOAD_TRIES;
        uint64_t best = d.have;
        while ((st = one_try(&d, err)) == ST_END && --left > 0) {
            if (d.have > best) /* progress earns new tries */
                left = DOWNLOAD_TRIES;
            best = d.have > best ? d.have : best;
            log_debug("%s; trying again", err->msg);
            double pause = easy_backoff(&rng, 0.5, DOWNLOAD_TRIES - left - 1);
            double until = clock_s() + (d.pause_s > pause ? d.pause_s : pause);
            while (clock_s() < until && !stop_asked())
                nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
        }
        progress_end(&d.progress);
        if (st == ST_END)
            st = ST_NET; /* its words are in err */
    }
    if (st == ST_OK)
        st = part_commit(&d, path, err);
    if (d.file)
        fclose(d.file);
    free(d.part);
    free(d.from);
    return st;
}
