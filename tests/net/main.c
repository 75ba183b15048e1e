/* tests/net/main.c - the client against a server on loopback that misbehaves (bad_server.py). */
#include "net_tests.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/net.h"

static int port;           /* of the bad server; 0: it could not be started */
static int server_in = -1; /* closing it ends the server */
static pid_t server;

static void server_start(void)
{
    int to[2], from[2];
    if (pipe(to) || pipe(from))
        return;
    server = fork();
    if (server == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[1]);
        close(from[0]);
        execlp("python3", "python3", "tests/net/bad_server.py", (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    server_in = to[1];
    /* Up to the end of the line: an unbuffered Python writes it apart, and dies of a closed pipe.
     */
    char line[32] = "";
    size_t n = 0;
    while (n + 1 < sizeof line && !strchr(line, '\n') && read(from[0], line + n, 1) == 1)
        n++;
    close(from[0]);
    port = atoi(line);
}

static const char *url(const char *path)
{
    static char text[4][128];
    static int i;
    i = (i + 1) % 4;
    snprintf(text[i], sizeof text[i], "http://127.0.0.1:%d%s", port, path);
    return text[i];
}

/* One request by itself; the body is copied. */
static struct net_reply ask(const struct net_conf *conf, const char *where, const char *body,
                            char *text, size_t cap)
{
    static char why[512];
    struct err err;
    struct net_reply r = { 0 };
    struct net *n = net_new(conf);
    if (body)
        net_post(n, where, "sk-secret", body, strlen(body), 7);
    else
        net_get(n, where, "sk-secret", 7);
    enum st st = net_next(n, &r, &err);
    CHECK(st == ST_OK, "%s", err.msg);
    snprintf(text, cap, "%.*s", (int)r.n_bytes, r.body);
    r.body = text;
    snprintf(why, sizeof why, "%s", r.why ? r.why : "");
    r.why = why;
    struct net_reply none;
    CHECK(net_next(n, &none, &err) == ST_END, "more replies than requests");
    net_free(n);
    return r;
}

#define NEED_SERVER()                                                                              \
    if (!port)                                                                                     \
    SKIP("python3 is missing: no server to talk to")

/* Patient, so that on a busy machine a slow answer is no silent server and tries can be counted. */
static const struct net_conf patient = {
    .n_retry = 3, .connect_s = 60, .idle_s = 60, .total_s = 120, .backoff_s = 0.05
};

static void test_classes(void)
{
    NEED_SERVER();
    static const struct {
        const char *path;
        enum net_class want;
        int status, n_tries;
        const char *why;
    } row[] = {
        { "/ok", NET_OK, 200, 1, "" },
        { "/drop", NET_OK, 200, 3, "" },
        { "/cut", NET_OK, 200, 3, "" },
        { "/cut-chunk", NET_OK, 200, 2, "" },
        { "/noise", NET_REFUSED, 0, 1, "HTTP/0.9" },
        { "/500twice", NET_OK, 200, 3, "" },
        { "/html502", NET_OK, 200, 2, "" },
        { "/500", NET_RETRY, 500, 4, "HTTP 500: always" },
        { "/501", NET_REFUSED, 501, 1, "HTTP 501: not here" },
        { "/html", NET_REFUSED, 200, 1, "HTML" },
        { "/busy-long", NET_RETRY, 429, 1, "86400 s" },
        { "/context", NET_TOO_LONG, 400, 1, "context" },
        { "/context-llama", NET_TOO_LONG, 400, 1, "context" },
        { "/bad", NET_REFUSED, 400, 1, "HTTP 400: temperature must be positive" },
        { "/nowhere", NET_REFUSED, 404, 1, "no such path" },
        { "/moved", NET_REFUSED, 302, 1, "HTTP 302" },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[4096];
        struct net_reply r = ask(&patient, url(row[i].path), "{}", text, sizeof text);
        CHECK(r.class_ == row[i].want && r.status == row[i].status && r.tag == 7,
              "%s: class %d status %d: %s", row[i].path, r.class_, r.status, r.why);
        CHECK(r.n_tries == row[i].n_tries, "%s: %d tries", row[i].path, r.n_tries);
        CHECK(strstr(r.why, row[i].why), "%s: '%s'", row[i].path, r.why);
        CHECK(!strstr(r.why, "script"), "%s shows the page", row[i].path);
    }
}

static void test_key_hidden(void)
{
    NEED_SERVER();
    char text[4096];
    struct net_reply r = ask(&patient, url("/key"), "{}", text, sizeof text);
    CHECK(r.class_ == NET_REFUSED && r.status == 401, "%d %d", r.class_, r.status);
    CHECK(strstr(r.why, "wrong key") && !strstr(r.why, "secret"), "%s", r.why);
    r = ask(&patient, url("/ok?auth"), "{}", text, sizeof text);
    CHECK(strstr(r.body, "Bearer sk-secret"), "%s", r.body);
}

/* The server is silent for 20 s: who waits for it gets an answer. */
static void test_stall(void)
{
    NEED_SERVER();
    struct net_conf conf = patient;
    char text[256];
    conf.idle_s = 1;
    conf.n_retry = -1;
    struct net_reply r = ask(&conf, url("/stall"), "{}", text, sizeof text);
    CHECK(r.class_ == NET_RETRY && r.n_tries == 1, "%d %d", r.class_, r.n_tries);
    conf.idle_s = 60;
    conf.total_s = 1;
    r = ask(&conf, url("/stall"), "{}", text, sizeof text);
    CHECK(r.class_ == NET_RETRY && r.n_tries == 1, "%d %d", r.class_, r.n_tries);
    conf = patient;
    conf.idle_s = 1;
    conf.n_retry = 30; /* on a busy machine later answers may be late too */
    r = ask(&conf, url("/stall-once"), "{}", text, sizeof text);
    CHECK(r.class_ == NET_OK && r.n_tries >= 2, "%d %d %s", r.class_, r.n_tries, r.why);
}

static void test_retry_after(void)
{
    NEED_SERVER();
    char text[256];
    double t = clock_s();
    struct net_reply r = ask(&patient, url("/busy"), "{}", text, sizeof text);
    CHECK(r.class_ == NET_OK && r.n_tries == 2, "%d %d", r.class_, r.n_tries);
    CHECK(clock_s() - t >= 1, "came back after %.2f s, was asked for 1", clock_s() - t);
}

static void test_refused_connection(void)
{
    /* A port that nobody listens on: bound, not listening, so that nobody else takes it. */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof a;
    char where[64], text[64];
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    NEED(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 &&
             getsockname(fd, (struct sockaddr *)&a, &len) == 0,
         "no socket");
    snprintf(where, sizeof where, "http://127.0.0.1:%d/v1", ntohs(a.sin_port));
    struct net_conf conf = { .n_retry = 1, .backoff_s = 0.05 };
    struct net_reply r = ask(&conf, where, "{}", text, sizeof text);
    CHECK(r.class_ == NET_RETRY && r.status == 0 && r.n_tries == 2, "%d %d", r.class_, r.n_tries);
    CHECK(strstr(r.why, "onnect"), "%s", r.why);
    r = ask(&conf, "file:///etc/passwd", NULL, text, sizeof text);
    CHECK(r.class_ == NET_REFUSED && r.n_tries == 1 && r.n_bytes == 0, "%s", r.why);
    close(fd);
}

/* Many at once, more than there is room for: each comes back exactly once. */
static void test_many(void)
{
    NEED_SERVER();
    enum { N = 300 };
    static int seen[N];
    struct net_conf conf = { .n_in_flight = 16, .n_retry = 2, .backoff_s = 0.05 };
    struct net *n = net_new(&conf);
    struct net_reply r;
    struct err err;
    int sent = 0, got = 0;
    memset(seen, 0, sizeof seen);
    while (got < N) {
        while (sent < N && net_room(n) > 0) {
            char body[32];
            int len = snprintf(body, sizeof body, "[%d]", sent);
            net_post(n, url("/echo"), NULL, body, (size_t)len, (uint64_t)sent++);
        }
        NEED(net_next(n, &r, &err) == ST_OK, "%s", err.msg);
        NEED(r.class_ == NET_OK && r.tag < N && atoi(r.body + 1) == (int)r.tag, "%s %s", r.body,
             r.why ? r.why : "");
        seen[r.tag]++;
        got++;
    }
    CHECK(net_next(n, &r, &err) == ST_END, "more than asked");
    for (int i = 0; i < N; i++)
        CHECK(seen[i] == 1, "request %d came %d times", i, seen[i]);
    net_free(n);
}

static void test_cancel(void)
{
    NEED_SERVER();
    struct net *n = net_new(NULL);
    struct net_reply r;
    struct err err;
    net_post(n, url("/ok?cancel"), NULL, "{}", 2, 1);
    net_post(n, url("/stall?cancel"), NULL, "{}", 2, 2);
    CHECK(net_next(n, &r, &err) == ST_OK && r.tag == 1, "the quick one first");
    net_free(n); /* with one in flight */
}

static bool file_is(const char *path, uint64_t n_bytes, uint64_t hash)
{
    struct strbuf b = { 0 };
    struct err err;
    bool same = file_read(path, 16 << 20, &b, &err) == ST_OK && b.n == n_bytes &&
                (!hash || hash64(b.s, b.n, 0) == hash);
    str_release(&b);
    return same;
}

/* Of the other version of bad_server.py's file. */
static uint64_t file_hash_reversed(const struct strbuf *b)
{
    char *s = xmalloc(b->n);
    for (size_t i = 0; i < b->n; i++)
        s[i] = b->s[b->n - 1 - i];
    uint64_t hash = hash64(s, b->n, 0);
    free(s);
    return hash;
}

static void test_download(void)
{
    NEED_SERVER();
    static const char *const good[] = { "/file",         "/file-cut",   "/file-untagged",
                                        "/file-norange", "/file-moved", "/file-503" };
    /* The file changes between two tries: all of the new one, no mixture, also where If-Range is
     * not obeyed. */
    static const char *const changing[] = { "/file-changes", "/file-careless" };
    enum { FILE_BYTES = 40000 * 32 };
    struct err err = { "" };
    struct strbuf b = { 0 };
    char *path = path_join(check_dir(), "plain"), *part = path_join(check_dir(), "plain.part");
    NEED(net_download(url("/file"), path, &err) == ST_OK, "%s", err.msg);
    NEED(file_read(path, 16 << 20, &b, &err) == ST_OK && b.n == FILE_BYTES, "%zu bytes", b.n);
    uint64_t hash = hash64(b.s, b.n, 0);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        unlink(path);
        CHECK(net_download(url(good[i]), path, &err) == ST_OK, "%s: %s", good[i], err.msg);
        CHECK(file_is(path, FILE_BYTES, hash), "%s: other bytes", good[i]);
        CHECK(!file_exists(part), "%s: leaves its part", good[i]);
    }
    uint64_t other = file_hash_reversed(&b);
    for (size_t i = 0; i < N_OF(changing); i++) {
        unlink(path);
        CHECK(net_download(url(changing[i]), path, &err) == ST_OK, "%s: %s", changing[i], err.msg);
        CHECK(file_is(path, FILE_BYTES, other), "%s: mixed versions", changing[i]);
    }
    unlink(path);
    CHECK(net_download(url("/file-empty"), path, &err) == ST_OK, "%s", err.msg);
    CHECK(file_is(path, 0, 0), "not empty");
    unlink(path);
    CHECK(net_download(url("/nowhere"), path, &err) == ST_NET, "a missing file was found");
    CHECK(strstr(err.msg, "404") && !file_exists(path), "%s", err.msg);
    str_release(&b);
    free(path);
    free(part);
}

/* A part of a former run is gone on with; a part of unknown origin is not. */
static void test_download_resume(void)
{
    NEED_SERVER();
    struct err err = { "" };
    struct strbuf b = { 0 };
    char *path = path_join(check_dir(), "again"), *part = path_join(check_dir(), "again.part"),
         *from = path_join(check_dir(), "again.from"), *note = NULL;
    NEED(net_download(url("/file"), path, &err) == ST_OK, "%s", err.msg);
    NEED(file_read(path, 16 << 20, &b, &err) == ST_OK, "%s", err.msg);
    uint64_t hash = hash64(b.s, b.n, 0);
    unlink(path);
    note = xasprintf("{\"url\": \"%s\", \"n_bytes\": %zu, \"version\": \"\\\"one\\\"\"}",
                     url("/file?resume"), b.n);
    CHECK(file_write(part, b.s, b.n / 2, &err) == ST_OK, "%s", err.msg);
    CHECK(file_write(from, note, strlen(note), &err) == ST_OK, "%s", err.msg);
    CHECK(net_download(url("/file?resume"), path, &err) == ST_OK, "%s", err.msg);
    CHECK(file_is(path, b.n, hash), "resumed to other bytes");
    unlink(path);
    CHECK(file_write(part, "rubbish", 7, &err) == ST_OK, "%s", err.msg);
    CHECK(net_download(url("/file"), path, &err) == ST_OK, "%s", err.msg);
    CHECK(file_is(path, b.n, hash), "kept rubbish");
    str_release(&b);
    free(path);
    free(part);
    free(from);
    free(note);
}

/* Two addresses, one of which nobody serves: all requests are answered by the other, soon. */
static void test_lanes(void)
{
    NEED_SERVER();
    char alive[64];
    snprintf(alive, sizeof alive, "http://127.0.0.1:%d", port);
    const struct net_lane lane[] = { { "http://127.0.0.1:9", 1, 4, 4 }, { alive, 1, 4, 4 } };
    struct net_conf conf = patient;
    struct err err;
    struct net_reply r;
    conf.lane = lane;
    conf.n_lane = 2;
    conf.n_in_flight = 100;
    struct net *n = net_new(&conf);
    CHECK(net_room(n) == 8, "room for %d", net_room(n));
    int sent = 0, n_got = 0;
    for (; n_got < 200; n_got++) {
        for (; net_room(n) > 0; sent++)
            net_post(n, "/echo", NULL, "{}", 2, (uint64_t)sent);
        NEED(net_next(n, &r, &err) == ST_OK, "%s", err.msg);
        CHECK(r.class_ == NET_OK && r.lane == 1, "lane %d: %s", r.lane, r.why ? r.why : "");
        CHECK(r.server && strstr(r.server, "Python"), "server '%s'", r.server ? r.server : "none");
    }
    while (net_next(n, &r, &err) == ST_OK)
        n_got++;
    struct net_lane_state dead = net_lane(n, 0), live = net_lane(n, 1);
    CHECK(n_got == sent && live.n_answered == (uint64_t)sent && live.n_failed == 0, "%d of %d",
          n_got, sent);
    CHECK(dead.n_answered == 0 && dead.n_aside >= 1 && dead.n_failed >= 4 &&
              dead.n_failed < 4 + dead.n_aside,
          "%d failed, set aside %d times", (int)dead.n_failed, (int)dead.n_aside);
    net_free(n);
}

static const struct check_test tests[] = {
    TEST(test_classes),     TEST(test_key_hidden),         TEST(test_stall),
    TEST(test_retry_after), TEST(test_refused_connection), TEST(test_many),
    TEST(test_cancel),      TEST(test_download),           TEST(test_download_resume),
    TEST(test_lanes),
};

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    alarm(240); /* a server that dies must not keep the tests */
    log_set_level(LOG_QUIET);
    server_start();
    static struct check_test all[64];
    size_t n = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        all[n++] = tests[i];
    for (size_t i = 0; i < n_lane_test; i++)
        all[n++] = lane_test[i];
    int rc = check_main(all, n, argc, argv);
    if (server_in >= 0)
        close(server_in);
    if (server > 0)
        waitpid(server, NULL, 0);
    return rc;
}
