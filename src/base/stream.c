/*
 * base/stream.c - see stream.h. The only file that knows zlib, libdeflate and zstd.
 *
 * Gzip members that are in memory whole are unpacked by libdeflate, which is twice as fast; longer,
 * cut and damaged ones by zlib, which can begin with a part of them and says what is wrong.
 */
#include "base/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum { IN_BYTES = 256 * 1024, ZSTD_LEVEL = 3, WINDOW_LOG_MAX = 27, DEFLATE_FAST = 1 };
/* Members unpacked whole: room at first and at most, and how many misses make us stop trying. */
enum { OUT_BYTES = 256 * 1024, OUT_MAX = 16 << 20, LONG_MAX_TRIES = 4 };

struct stream {
    int fd;
    bool waits; /* a pipe or terminal: a read may last for ever */
    char *path;
    enum stream_kind kind;
    uint8_t *in;        /* IN_BYTES of the file, read ahead */
    size_t n_in, at;    /* bytes there, bytes consumed */
    uint64_t in_offset; /* file offset of in[0] */
    uint64_t member_offset;
    bool in_member; /* a gzip member or zstd frame is begun and not finished */
    bool eof;
    enum st broken; /* reading the file failed; told when what came before is used up */
    struct err broken_why;
    z_stream z;
    bool z_open;
    struct libdeflate_decompressor *whole; /* for members that are in memory whole */
    bool fresh;                            /* nothing of the member is read yet */
    int n_long;                            /* members in a row that were not */
    uint8_t *out;                          /* a member unpacked ... */
    size_t n_out, out_at, out_cap;         /* ... bytes there, bytes delivered, room */
    ZSTD_DStream *zstd;
    enum st failed; /* sticks until stream_skip */
    struct err why;
};

/* Waits for a pipe's next bytes. A stop asked for in the meantime is seen within half a second. */
static enum st wait_for_bytes(struct stream *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLIN };
    while (poll(&p, 1, 500) <= 0)
        if (stop_asked())
            return err_set(&s->broken_why, ST_INTERRUPTED, "stopped while reading '%s'", s->path);
    return ST_OK;
}

/* Moves what is unread to the front and fills the rest of the buffer, so that magic numbers can be
 * looked at and members unpacked whole. */
static void top_up(struct stream *s)
{
    memmove(s->in, s->in + s->at, s->n_in - s->at);
    s->in_offset += s->at;
    s->n_in -= s->at;
    s->at = 0;
    while (s->n_in < IN_BYTES && !s->eof && !s->broken) {
        if (s->waits && (s->broken = wait_for_bytes(s)) < 0)
            return;
        ssize_t n = read(s->fd, s->in + s->n_in, IN_BYTES - s->n_in);
        if (n > 0)
            s->n_in += (size_t)n;
        else if (n == 0)
            s->eof = true;
        else if (errno != EINTR)
            s->broken =
                err_set(&s->broken_why, ST_IO, "cannot read '%s': %s", s->path, strerror(errno));
    }
}

/* Everything that could be read is used up: the file has ended, or reading it failed. */
static enum st ended(const struct stream *s, struct err *err)
{
    if (s->broken && err)
        *err = s->broken_why;
    return s->broken ? s->broken : ST_END;
}

/* Makes at least one unread byte available, or ST_END. */
static enum st fill(struct stream *s, struct err *err)
{
    if (s->at < s->n_in)
        return ST_OK;
    top_up(s);
    return s->n_in > 0 ? ST_OK : ended(s, err);
}

static bool gzip_magic(const uint8_t *p, size_t n)
{
    return n >= 3 && p[0] == 0x1F && p[1] == 0x8B && p[2] == 8;
}

static bool zstd_magic(const uint8_t *p, size_t n)
{
    if (n < 4)
        return false;
    uint32_t magic =
        (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return magic == 0xFD2FB528 ||
           (magic & 0xFFFFFFF0) == 0x184D2A50; /* a frame or a skippable one */
}

enum st stream_open(struct stream **out, const char *path, struct err *err)
{
    struct stream *s = NEW(struct stream);
    enum st st = ST_OK;
    *out = NULL;
    s->path = xstrdup(path);
    s->in = xmalloc(IN_BYTES);
    s->fd = -1;
    if (strcmp(path, "-") == 0)
        s->fd = STDIN_FILENO;
    else if (file_is_dir(path))
        st = err_set(err, ST_IO, "'%s' is a folder, want a file", path);
    else if ((s->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        st = err_set(err, ST_IO, "cannot open '%s': %s", path, strerror(errno));
    if (st < 0)
        goto out;
    struct stat about;
    s->waits = fstat(s->fd, &about) == 0 && !S_ISREG(about.st_mode);
    top_up(s);
    if (gzip_magic(s->in, s->n_in)) {
        s->kind = STREAM_GZIP;
        s->z_open = inflateInit2(&s->z, 15 + 16) == Z_OK;
        s->whole = libdeflate_alloc_decompressor();
        s->in_member = s->fresh = true;
    } else if (zstd_magic(s->in, s->n_in)) {
        s->kind = STREAM_ZSTD;
        s->zstd = ZSTD_createDStream();
        ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    }
    *out = s;
    s = NULL;
out:
    stream_close(s);
    return st;
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    if (s->z_open)
        inflateEnd(&s->z);
    libdeflate_free_decompressor(s->whole);
    free(s->out);
    ZSTD_freeDStream(s->zstd);
    if (s->fd >= 0 && s->fd != STDIN_FILENO)
        close(s->fd);
    free(s->in);
    free(s->path);
    free(s);
}

enum stream_kind stream_kind(const struct stream *s)
{
    return s->kind;
}

uint64_t stream_offset(const struct stream *s)
{
    return s->in_offset + s->at;
}

uint64_t stream_member_offset(const struct stream *s)
{
    return s->kind == STREAM_GZIP ? s->member_offset : 0;
}

static enum st fail(struct stream *s, struct err *err, const char *what)
{
    s->failed = err_set(&s->why, ST_FORMAT, "'%s' at byte %llu: %s", s->path,
                        (unsigned long long)stream_offset(s), what);
    if (err)
        *err = s->why;
    return s->failed;
}

/* Tries to unpack the member that begins at s->in + s->at whole: into buf, else into s->out. */
static bool unpack_whole(struct stream *s, void *buf, size_t cap, size_t *n_bytes)
{
    if (!s->whole || s->n_long >= LONG_MAX_TRIES)
        return false;
    if (s->n_in - s->at < IN_BYTES / 2 && !s->eof)
        top_up(s);
    size_t used = 0, made = 0;
    const uint8_t *in = s->in + s->at;
    enum libdeflate_result r =
        libdeflate_gzip_decompress_ex(s->whole, in, s->n_in - s->at, buf, cap, &used, &made);
    if (r == LIBDEFLATE_SUCCESS) {
        *n_bytes = made;
        s->in_member = false;
    }
    while (r == LIBDEFLATE_INSUFFICIENT_SPACE && (cap < s->out_cap || s->out_cap < OUT_MAX)) {
        if (cap >= s->out_cap) {
            s->out_cap = s->out_cap ? 2 * s->out_cap : OUT_BYTES;
            free(s->out);
            s->out = xmalloc(s->out_cap);
        }
        r = libdeflate_gzip_decompress_ex(s->whole, in, s->n_in - s->at, s->out, s->out_cap, &used,
                                          &made);
        cap = s->out_cap;
        s->n_out = r == LIBDEFLATE_SUCCESS ? made : 0;
        s->out_at = 0;
    }
    if (r != LIBDEFLATE_SUCCESS) {
        s->n_long++;
        return false;
    }
    s->n_long = 0;
    s->at += used;
    return true;
}

static enum st read_gzip(struct stream *s, void *buf, size_t cap, size_t *n_bytes, struct err *err)
{
    bool fresh = s->fresh;
    s->fresh = false;
    if (fresh && unpack_whole(s, buf, cap, n_bytes) && !s->in_member)
        return *n_bytes ? ST_OK : ST_END;
    if (s->out_at < s->n_out) {
        *n_bytes = s->n_out - s->out_at < cap ? s->n_out - s->out_at : cap;
        memcpy(buf, s->out + s->out_at, *n_bytes);
        s->out_at += *n_bytes;
        s->in_member = s->out_at < s->n_out;
        return ST_OK;
    }
    s->z.next_out = buf;
    s->z.avail_out = cap > UINT32_MAX ? UINT32_MAX : (uInt)cap;
    uInt room = s->z.avail_out;
    while (s->z.avail_out == room) {
        enum st st = fill(s, err);
        if (st == ST_END)
            return fail(s, err, "the gzip member is cut off");
        if (st < 0)
            return st;
        s->z.next_in = s->in + s->at;
        s->z.avail_in = (uInt)(s->n_in - s->at);
        int z = inflate(&s->z, Z_NO_FLUSH);
        s->at = s->n_in - s->z.avail_in;
        if (z == Z_STREAM_END) {
            s->in_member = false;
            break;
        }
        if (z != Z_OK && z != Z_BUF_ERROR)
            return fail(s, err, s->z.msg ? s->z.msg : "damaged gzip data");
    }
    *n_bytes = room - s->z.avail_out;
    return *n_bytes ? ST_OK : ST_END;
}

static enum st read_zstd(struct stream *s, void *buf, size_t cap, size_t *n_bytes, struct err *err)
{
    ZSTD_outBuffer out = { buf, cap, 0 };
    while (out.pos == 0) {
        enum st st = fill(s, err);
        if (st == ST_END)
            return s->in_member ? fail(s, err, "the zstd frame is cut off") : ST_END;
        if (st < 0)
            return st;
        ZSTD_inBuffer in = { s->in, s->n_in, s->at };
        size_t left = ZSTD_decompressStream(s->zstd, &out, &in);
        s->at = in.pos;
        if (ZSTD_isError(left))
            return fail(s, err, ZSTD_getErrorName(left));
        s->in_member = left != 0;
    }
    *n_bytes = out.pos;
    return ST_OK;
}

enum st stream_read_member(struct stream *s, void *buf, size_t cap, size_t *n_bytes,
                           struct err *err)
{
    *n_bytes = 0;
    if (s->failed) {
        if (err)
            *err = s->why;
        return s->failed;
    }
    if (s->kind == STREAM_GZIP)
        return s->in_member ? read_gzip(s, buf, cap, n_bytes, err) : ST_END;
    if (s->kind == STREAM_ZSTD)
        return read_zstd(s, buf, cap, n_bytes, err);
    enum st st = fill(s, err);
    if (st != ST_OK)
        return st;
    *n_bytes = s->n_in - s->at < cap ? s->n_in - s->at : cap;
    memcpy(buf, s->in + s->at, *n_bytes);
    s->at += *n_bytes;
    return ST_OK;
}

enum st stream_next_member(struct stream *s, struct err *err)
{
    if (s->kind != STREAM_GZIP)
        return ST_END;
    if (s->n_in - s->at < 18 && !s->eof)
        top_up(s);
    while (s->at < s->n_in && s->in[s->at] == 0) { /* tapes and some writers pad with zeros */
        s->at++;
        enum st st = fill(s, err);
        if (st != ST_OK)
            return st;
    }
    if (s->at == s->n_in)
        return ended(s, err);
    if (s->n_in - s->at < 18 && !s->eof)
        top_up(s);
    s->member_offset = stream_offset(s);
    if (!gzip_magic(s->in + s->at, s->n_in - s->at))
        return fail(s, err, "no gzip member starts here");
    inflateReset(&s->z);
    s->in_member = s->fresh = true;
    s->n_out = s->out_at = 0;
    return ST_OK;
}

enum st stream_read(struct stream *s, void *buf, size_t cap, size_t *n_bytes, struct err *err)
{
    enum st st = stream_read_member(s, buf, cap, n_bytes, err);
    while (st == ST_END && s->kind == STREAM_GZIP) {
        st = stream_next_member(s, err);
        if (st != ST_OK)
            return st;
        st = stream_read_member(s, buf, cap, n_bytes, err);
    }
    return st;
}

enum st stream_skip(struct stream *s, struct err *err)
{
    if (s->kind != STREAM_GZIP)
        return ST_END;
    s->failed = ST_OK;
    /* Back to the byte after the damaged member's first one, as far as it is still here: damaged
     * data may have been taken for more than the member held. */
    uint64_t least = s->member_offset + 1;
    if (least <= s->in_offset)
        s->at = 0;
    else
        s->at = (size_t)(least - s->in_offset) < s->n_in ? (size_t)(least - s->in_offset) : s->n_in;
    for (;;) {
        if (s->n_in - s->at < 3)
            top_up(s);
        if (s->n_in - s->at < 3)
            return ended(s, err);
        const uint8_t *p = memchr(s->in + s->at, 0x1F, s->n_in - s->at - 2);
        if (!p) {
            s->at = s->n_in - 2;
            continue;
        }
        s->at = (size_t)(p - s->in);
        if (gzip_magic(p, s->n_in - s->at))
            return stream_next_member(s, err);
        s->at++;
    }
}

enum st stream_inflate(struct strbuf *out, const void *bytes, size_t n, size_t max, struct err *err)
{
    const uint8_t *p = bytes;
    z_stream z = { 0 };
    bool wrapped =
        n >= 2 && (gzip_magic(p, n) || ((p[0] & 0x0F) == 8 && (p[0] << 8 | p[1]) % 31 == 0));
    int r = inflateInit2(&z, wrapped ? 15 + 32 : -15); /* 32: gzip and zlib by their first bytes */
    size_t start = out->n;
    enum st st = ST_OK;
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = n > UINT32_MAX ? UINT32_MAX : (uInt)n;
    while (r == Z_OK && st == ST_OK) {
        str_reserve(out, 64 * 1024);
        size_t room = out->cap - out->n - 1;
        z.next_out = (Bytef *)out->s + out->n;
        z.avail_out = room > UINT32_MAX ? UINT32_MAX : (uInt)room;
        uInt before = z.avail_out;
        r = inflate(&z, Z_NO_FLUSH);
        out->n += before - z.avail_out;
        if (out->n - start > max)
            st = err_set(err, ST_LIMIT, "unpacks to more than %zu bytes", max);
    }
    if (st == ST_OK && r != Z_STREAM_END)
        st = err_set(err, ST_FORMAT, "damaged or cut packed data: %s", z.msg ? z.msg : "no end");
    str_add(out, "", 0);
    inflateEnd(&z);
    return st;
}

size_t stream_deflated_size(const void *bytes, size_t n)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(DEFLATE_FAST);
    assert(c); /* a known level, some 300 kB */
    size_t room = libdeflate_deflate_compress_bound(c, n);
    void *packed = xmalloc(room);
    size_t size = libdeflate_deflate_compress(c, bytes, n, packed, room);
    assert(size); /* it fits by the bound */
    free(packed);
    libdeflate_free_compressor(c);
    return size;
}

struct outstream {
    struct outfile file;
    enum stream_kind kind;
    gzFile gz;
    ZSTD_CStream *zstd;
    uint8_t *buf;
    size_t n_buf;
};

enum st outstream_open(struct outstream **out, const char *path, struct err *err)
{
    struct outstream *o = NEW(struct outstream);
    *out = NULL;
    enum st st = outfile_open(&o->file, path, err);
    if (st < 0)
        goto out;
    if (str_ends(path, ".zst")) {
        o->kind = STREAM_ZSTD;
        o->zstd = ZSTD_createCStream();
        ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
        ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_checksumFlag, 1);
        o->n_buf = ZSTD_CStreamOutSize();
        o->buf = xmalloc(o->n_buf);
    } else if (str_ends(path, ".gz")) {
        o->kind = STREAM_GZIP;
        int fd = dup(fileno(o->file.stream));
        o->gz = fd >= 0 ? gzdopen(fd, "wb6") : NULL;
        if (!o->gz)
            st = err_set(err, ST_IO, "cannot write '%s': %s", path, strerror(errno));
    }
    if (st == ST_OK) {
        *out = o;
        o = NULL;
    }
out:
    outstream_close(o);
    return st;
}

static enum st write_failed(struct outstream *o, struct err *err)
{
    return err_set(err, ST_IO, "cannot write '%s': %s", o->file.path, strerror(errno));
}

static enum st write_zstd(struct outstream *o, const void *bytes, size_t n, ZSTD_EndDirective end,
                          struct err *err)
{
    ZSTD_inBuffer in = { bytes, n, 0 };
    size_t left;
    do {
        ZSTD_outBuffer out = { o->buf, o->n_buf, 0 };
        left = ZSTD_compressStream2(o->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return err_set(err, ST_IO, "cannot pack '%s': %s", o->file.path,
                           ZSTD_getErrorName(left));
        if (fwrite(o->buf, 1, out.pos, o->file.stream) != out.pos)
            return write_failed(o, err);
    } while (end == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return ST_OK;
}

enum st outstream_write(struct outstream *o, const void *bytes, size_t n, struct err *err)
{
    if (n == 0)
        return ST_OK;
    if (o->kind == STREAM_ZSTD)
        return write_zstd(o, bytes, n, ZSTD_e_continue, err);
    if (o->kind == STREAM_GZIP)
        return gzfwrite(bytes, 1, n, o->gz) == n ? ST_OK : write_failed(o, err);
    return fwrite(bytes, 1, n, o->file.stream) == n ? ST_OK : write_failed(o, err);
}

enum st outstream_commit(struct outstream *o, struct err *err)
{
    enum st st = ST_OK;
    if (o->kind == STREAM_ZSTD)
        st = write_zstd(o, NULL, 0, ZSTD_e_end, err);
    if (o->gz) {
        int z = gzclose(o->gz);
        o->gz = NULL;
        if (z != Z_OK)
            st = write_failed(o, err);
    }
    return st == ST_OK ? outfile_commit(&o->file, err) : st;
}

void outstream_close(struct outstream *o)
{
    if (!o)
        return;
    if (o->gz)
        gzclose(o->gz);
    ZSTD_freeCStream(o->zstd);
    outfile_abort(&o->file);
    free(o->buf);
    free(o);
}
