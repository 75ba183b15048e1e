/* cli/cmd_cache.c - `cache`, `cache get`, `cache clean`: what was downloaded or can be rebuilt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cache.h"
#include "cli/commands.h"
#include "net/net.h"

enum { MAX_NAME = 200 }; /* bytes of a file's name, whatever the address ends with */

/* The last part of an address's path, as a file name: containers and sources are told by it too. */
static char *url_name(const char *url)
{
    size_t n = strcspn(url, "?#"), at = n;
    while (at > 0 && url[at - 1] != '/')
        at--;
    n -= at;
    bool is_folder = n == 0 || (n <= 2 && strncmp(url + at, "..", n) == 0);
    return is_folder ? xstrdup("index") : xstrndup(url + at, n < MAX_NAME ? n : MAX_NAME);
}

/* A folder an address, named by the digest of the whole of it. */
enum st cache_download(const char *url, char **path, struct err *err)
{
    char hex[DIGEST_HEX];
    digest_hex(digest_of(url, strlen(url)), hex);
    char *name = url_name(url), *folder = xasprintf("download/%.16s", hex),
         *dir = cache_path(folder);
    *path = path_join(dir, name);
    enum st st = dir_make(dir, err);
    if (st == ST_OK && !file_exists(*path))
        st = net_download(url, *path, err);
    if (st < 0) {
        free(*path);
        *path = NULL;
    }
    free(name);
    free(folder);
    free(dir);
    return st;
}

static enum st each_download(enum st (*use)(const char *path, void *ctx, struct err *err),
                             void *ctx, struct err *err)
{
    struct strlist names = { 0 };
    char *dir = cache_path("download");
    enum st st = file_is_dir(dir) ? dir_list(dir, &names, err) : ST_OK;
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        char *path = path_join(dir, names.s[i]);
        st = use(path, ctx, err);
        free(path);
    }
    strlist_release(&names);
    free(dir);
    return st;
}

static enum st show_file(const char *path, struct cli *cli, struct err *err)
{
    uint64_t n;
    enum st st = file_size(path, &n, err);
    if (st == ST_OK) {
        struct js *row = js_object();
        js_put_text(row, "path", path);
        js_put_whole(row, "bytes", (int64_t)n);
        out_row(cli->out, row);
    }
    return st;
}

static enum st show(const char *path, void *ctx, struct err *err)
{
    struct strlist names = { 0 };
    if (!file_is_dir(path))
        return show_file(path, ctx, err);
    enum st st = dir_list(path, &names, err);
    for (size_t i = 0; i < names.n && st == ST_OK; i++) {
        char *file = path_join(path, names.s[i]);
        st = show_file(file, ctx, err);
        free(file);
    }
    strlist_release(&names);
    return st;
}

static enum st run_list(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts;
    if (argc)
        return err_set(err, ST_USAGE, "unknown word '%s'; want cache, cache get URL or cache clean",
                       argv[0]);
    return each_download(show, cli, err);
}

static enum st drop(const char *path, void *ctx, struct err *err)
{
    (void)ctx;
    log_info("removing %s", path);
    return dir_remove(path, err);
}

static enum st run_clean(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts, (void)cli, (void)argc, (void)argv;
    return each_download(drop, NULL, err);
}

static enum st run_get(void *opts, struct cli *cli, int argc, char **argv, struct err *err)
{
    (void)opts, (void)cli;
    char *path;
    if (argc != 1)
        return err_set(err, ST_USAGE, "want one URL");
    enum st st = cache_download(argv[0], &path, err);
    if (st == ST_OK) {
        puts(path);
        free(path);
    }
    return st;
}

const struct command cmd_cache = {
    .name = "cache", .summary = "list what was downloaded", .usage = "cache", .run = run_list
};
const struct command cmd_cache_get = {
    .name = "cache get",
    .summary = "download a file into the cache, going on where it stopped, and print its path",
    .usage = "cache get URL",
    .run = run_get,
};
const struct command cmd_cache_clean = {
    .name = "cache clean",
    .summary = "remove what was downloaded",
    .usage = "cache clean",
    .run = run_clean,
};
