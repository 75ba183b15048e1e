/* base/file.c - see file.h. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static enum st io_error(struct err *err, const char *what, const char *path)
{
    return err_set(err, ST_IO, "cannot %s '%s': %s", what, path, strerror(errno));
}

enum st file_read(const char *path, size_t max_bytes, struct strbuf *out, struct err *err)
{
    if (file_is_dir(path))
        return err_set(err, ST_IO, "'%s' is a folder, want a file", path);
    FILE *f = fopen(path, "rb");
    if (!f)
        return io_error(err, "open", path);
    enum st st = ST_OK;
    size_t start = out->n, n;
    do {
        str_reserve(out, 64 * 1024);
        n = fread(out->s + out->n, 1, 64 * 1024, f);
        out->n += n;
        if (out->n - start > max_bytes)
            st = err_set(err, ST_LIMIT, "'%s' is longer than %zu bytes", path, max_bytes);
    } while (n > 0 && st == ST_OK);
    if (st == ST_OK && ferror(f))
        st = io_error(err, "read", path);
    out->s[out->n] = '\0';
    fclose(f);
    return st;
}

enum st file_write(const char *path, const void *bytes, size_t n, struct err *err)
{
    struct outfile f;
    enum st st = outfile_open(&f, path, err);
    if (st < 0)
        return st;
    st = outfile_write(&f, bytes, n, err);
    if (st == ST_OK)
        st = outfile_commit(&f, err);
    outfile_abort(&f);
    return st;
}

bool file_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

bool file_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

enum st file_size(const char *path, uint64_t *n_bytes, struct err *err)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return io_error(err, "look at", path);
    *n_bytes = (uint64_t)s.st_size;
    return ST_OK;
}

/* Makes a rename durable: the folder's entry reaches the disk too. */
static enum st sync_parent(const char *path, struct err *err)
{
    const char *base = path_base(path);
    char *dir = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum st st = ST_OK;
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        st = io_error(err, "sync folder", dir);
    if (fd >= 0)
        close(fd);
    free(dir);
    return st;
}

/* Devices, pipes and sockets are written into; to rename over one would take it away from
 * everybody. */
static bool is_special(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode);
}

bool path_is_stream(const char *path)
{
    return strcmp(path, "-") == 0 || is_special(path);
}

enum st file_rename(const char *from, const char *to, struct err *err)
{
    if (is_special(to))
        return err_set(err, ST_IO, "cannot rename '%s' to '%s': that is no plain file", from, to);
    if (rename(from, to) != 0)
        return err_set(err, ST_IO, "cannot rename '%s' to '%s': %s", from, to, strerror(errno));
    return sync_parent(to, err);
}

enum st outfile_open(struct outfile *f, const char *path, struct err *err)
{
    char *target = realpath(path, NULL);          /* a link stays, what it points to is replaced */
    bool nameless = !target && file_exists(path); /* as /dev/stdout, when that is a pipe */
    *f = (struct outfile){ .path = target ? target : xstrdup(path) };
    if (!nameless && !is_special(f->path))
        f->tmp = xasprintf("%s.tmp-%ld", f->path, (long)getpid());
    f->stream = fopen(f->tmp ? f->tmp : f->path, "wbe");
    if (f->stream)
        return ST_OK;
    enum st st = io_error(err, "create", f->tmp ? f->tmp : path);
    outfile_abort(f);
    return st;
}

enum st outfile_write(struct outfile *f, const void *bytes, size_t n, struct err *err)
{
    if (n && fwrite(bytes, 1, n, f->stream) != n)
        return io_error(err, "write", f->path);
    return ST_OK;
}

enum st outfile_commit(struct outfile *f, struct err *err)
{
    enum st st = ST_OK;
    bool failed_before = ferror(f->stream); /* then fflush tries again, and says why */
    if (fflush(f->stream) != 0 || (f->tmp && fsync(fileno(f->stream)) != 0))
        st = io_error(err, "write", f->path);
    else if (failed_before)
        st = err_set(err, ST_IO, "cannot write '%s': a part of it was lost", f->path);
    if (fclose(f->stream) != 0 && st == ST_OK)
        st = io_error(err, "write", f->path);
    f->stream = NULL;
    if (st == ST_OK && f->tmp)
        st = file_rename(f->tmp, f->path, err);
    if (st < 0 && f->tmp)
        unlink(f->tmp);
    return st;
}

void outfile_abort(struct outfile *f)
{
    if (f->stream) {
        fclose(f->stream);
        if (f->tmp)
            unlink(f->tmp);
    }
    free(f->path);
    free(f->tmp);
    *f = (struct outfile){ 0 };
}

enum st filemap_open(struct filemap *m, const char *path, struct err *err)
{
    *m = (struct filemap){ 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(err, "open", path);
    struct stat s;
    enum st st = ST_OK;
    if (fstat(fd, &s) != 0)
        st = io_error(err, "look at", path);
    else if (!S_ISREG(s.st_mode))
        st = err_set(err, ST_IO, "'%s' is not a plain file", path);
    else if (s.st_size > 0) {
        void *p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            st = io_error(err, "map", path);
        else
            *m = (struct filemap){ p, (size_t)s.st_size };
    }
    close(fd);
    return st;
}

void filemap_close(struct filemap *m)
{
    if (m->bytes)
        munmap((void *)(uintptr_t)m->bytes, m->n_bytes);
    *m = (struct filemap){ 0 };
}

enum st dir_make(const char *path, struct err *err)
{
    char *p = xstrdup(path);
    enum st st = ST_OK;
    for (char *slash = p + (*p == '/'); st == ST_OK && slash;) {
        slash = strchr(slash, '/');
        if (slash)
            *slash = '\0';
        if (mkdir(p, 0777) != 0 && errno != EEXIST)
            st = io_error(err, "make folder", p);
        if (slash)
            *slash++ = '/';
    }
    if (st == ST_OK && !file_is_dir(path))
        st = err_set(err, ST_IO, "'%s' is a file, want a folder", path);
    free(p);
    return st;
}

enum st dir_remove(const char *path, struct err *err)
{
    struct stat s;
    if (lstat(path, &s) != 0)
        return errno == ENOENT ? ST_OK : io_error(err, "look at", path);
    if (S_ISDIR(s.st_mode)) {
        struct strlist names = { 0 };
        enum st st = dir_list(path, &names, err);
        for (size_t i = 0; i < names.n && st == ST_OK; i++) {
            char *child = path_join(path, names.s[i]);
            st = dir_remove(child, err);
            free(child);
        }
        strlist_release(&names);
        if (st < 0)
            return st;
        return rmdir(path) == 0 ? ST_OK : io_error(err, "remove", path);
    }
    return unlink(path) == 0 ? ST_OK : io_error(err, "remove", path);
}

enum st dir_list(const char *path, struct strlist *names, struct err *err)
{
    DIR *d = opendir(path);
    if (!d)
        return io_error(err, "list", path);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            strlist_add(names, e->d_name);
    closedir(d);
    strlist_sort(names);
    return ST_OK;
}

char *path_join(const char *dir, const char *name)
{
    return *dir == '\0' ? xstrdup(name)
                        : xasprintf("%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool path_is_unfinished(const char *path)
{
    const char *at = strstr(path_base(path), ".tmp-");
    return at && at[5] && at[5 + strspn(at + 5, "0123456789")] == '\0';
}

struct folder { /* one that is being walked, and the one it lies in */
    dev_t dev;
    ino_t ino;
    const struct folder *up;
};

static enum st add_folder(struct strlist *files, const char *dir, const struct folder *up,
                          struct err *err);

/* What a folder holds: plain files and folders. A link that leads back up would never end, a pipe
 * or a device would wait for ever. Links to nowhere are named by whoever opens them. */
static enum st add_child(struct strlist *files, const char *path, const struct folder *up,
                         struct err *err)
{
    struct stat s;
    if (path_is_unfinished(path))
        return ST_OK;
    if (stat(path, &s) == 0 && S_ISDIR(s.st_mode))
        return add_folder(files, path, up, err);
    if (stat(path, &s) == 0 && !S_ISREG(s.st_mode))
        log_warn("'%s' is no plain file; passed over", path);
    else
        strlist_add(files, path);
    return ST_OK;
}

static enum st add_folder(struct strlist *files, const char *dir, const struct folder *up,
                          struct err *err)
{
    struct strlist names = { 0 };
    struct stat s;
    if (stat(dir, &s) != 0)
        return io_error(err, "look at", dir);
    const struct folder here = { s.st_dev, s.st_ino, up };
    for (const struct folder *f = up; f; f = f->up)
        if (f->dev == here.dev && f->ino == here.ino) {
            log_warn("'%s' leads back to a folder it lies in; passed over", dir);
            return ST_OK;
        }
    enum st st = dir_list(dir, &names, err);
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        char *child = path_join(dir, names.s[i]);
        if (names.s[i][0] != '.')
            st = add_child(files, child, &here, err);
        free(child);
    }
    strlist_release(&names);
    return st;
}

bool dir_holds(const char *dir, const char *path)
{
    char *d = realpath(dir, NULL), *p = realpath(path, NULL);
    size_t n = d ? strlen(d) : 0;
    bool holds = d && p && strncmp(p, d, n) == 0 && (p[n] == '/' || p[n] == '\0');
    free(d);
    free(p);
    return holds;
}

static enum st add_input(struct strlist *files, const char *input, struct err *err)
{
    if (strcmp(input, "-") == 0 || str_starts(input, "http://") || str_starts(input, "https://")) {
        strlist_add(files, input);
        return ST_OK;
    }
    size_t before = files->n;
    enum st st = ST_OK;
    if (file_is_dir(input)) {
        st = add_folder(files, input, NULL, err);
    } else if (file_exists(input)) {
        strlist_add(files, input);
    } else {
        glob_t g;
        if (glob(input, 0, NULL, &g) == 0) { /* sorted by glob */
            for (size_t i = 0; i < g.gl_pathc && st == ST_OK; i++)
                st = add_child(files, g.gl_pathv[i], NULL, err);
            globfree(&g);
        } else if (!strpbrk(input, "*?[")) {
            return err_set(err, ST_IO, "no file or folder '%s'", input);
        }
    }
    if (st == ST_OK && files->n == before)
        return err_set(err, ST_IO, "no file in '%s'", input);
    return st;
}

enum st paths_expand(struct strlist *files, char *const *input, size_t n_input, struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < n_input && st == ST_OK; i++)
        st = add_input(files, input[i], err);
    return st;
}

enum st lock_take(struct lock *l, const char *path, struct err *err)
{
    char who[32] = "";
    l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (l->fd < 0)
        return io_error(err, "open", path);
    if (flock(l->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) { /* a file system without locks */
            enum st st = io_error(err, "lock", path);
            lock_drop(l);
            return st;
        }
        ssize_t n = read(l->fd, who, sizeof who - 1);
        who[n > 0 ? n : 0] = '\0';
        lock_drop(l);
        return err_set(err, ST_IO, "another mixlaw (process %s) is at work here; '%s' is locked",
                       who[0] ? who : "?", path);
    }
    int n = snprintf(who, sizeof who, "%ld", (long)getpid());
    if (ftruncate(l->fd, 0) != 0 || pwrite(l->fd, who, (size_t)n, 0) != n) {
        enum st st = io_error(err, "write", path);
        lock_drop(l);
        return st;
    }
    return ST_OK;
}

void lock_drop(struct lock *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

char *cache_path(const char *name)
{
    const char *own = getenv("MIXLAW_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    if (own && *own)
        return path_join(own, name);
    if (xdg && *xdg)
        return xasprintf("%s/mixlaw/%s", xdg, name);
    return xasprintf("%s/.cache/mixlaw/%s", home && *home ? home : "/tmp", name);
}
