/*
 * bench/client.c - what a request costs `mixlaw synth` itself: a whole run against a server on
 * loopback that answers at once.
 *
 *     client_bench MIXLAW N_REQUESTS [IN_FLIGHT [SCRATCH_DIR]]
 *
 * Makes N pages of about 60 words, one request each; the server (a second process, epoll, kept
 * connections) gives every page back as its answer, so that all are kept. Prints a JSON line at
 * every tenth of the requests (processor time and memory of the client) and one at the end.
 * Rates and costs are between the first tenth and the last request: opening and the second phase
 * are left out there, wall_s and peak_mib have them in.
 */
#define _GNU_SOURCE /* epoll and accept4 are Linux's own */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"

enum { IN_MAX = 64 << 10, OUT_MAX = 64 << 10, MAX_FD = 4096, N_EVENT = 256, N_MARK = 10 };

struct conn {
    char in[IN_MAX];
    size_t n_in;
};

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- The server. ---- */

static void reply(int fd, const char *status, const char *body, size_t n_body)
{
    char out[OUT_MAX];
    int n = snprintf(out, sizeof out,
                     "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     status, n_body);
    memcpy(out + n, body, n_body);
    size_t left = (size_t)n + n_body;
    for (const char *p = out; left;) { /* small enough for any socket buffer: never waits long */
        ssize_t w = write(fd, p, left);
        if (w < 0 && errno != EAGAIN && errno != EINTR)
            return; /* hung up */
        p += w > 0 ? w : 0;
        left -= w > 0 ? (size_t)w : 0;
    }
}

/* The user's message as it stands in the body, escapes and all: JSON again. */
static void answer_chat(int fd, const char *body)
{
    static const char mark[] = "\"role\":\"user\",\"content\":\"";
    char out[OUT_MAX / 2];
    const char *text = strstr(body, mark), *end = text ? text + sizeof mark - 1 : NULL;
    text = end;
    while (end && *end && *end != '"')
        end += end[0] == '\\' && end[1] ? 2 : 1;
    int n = snprintf(out, sizeof out,
                     "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
                     "\"%.*s\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":100,"
                     "\"completion_tokens\":100}}",
                     text ? (int)(end - text) : 0, text ? text : "");
    reply(fd, "200 OK", out, (size_t)n);
}

/* One whole request off the front of what came; false when there is none. */
static bool serve_one(int fd, struct conn *c, atomic_ulong *n_answered)
{
    static const char models[] = "{\"data\":[{\"id\":\"bench\"}]}", none[] = "{}";
    c->in[c->n_in] = '\0';
    char *head_end = strstr(c->in, "\r\n\r\n");
    if (!head_end)
        return false;
    const char *length = strcasestr(c->in, "\r\ncontent-length:");
    size_t n_head = (size_t)(head_end - c->in) + 4,
           n_body = length && length < head_end ? strtoul(length + 17, NULL, 10) : 0;
    if (n_head + n_body >= IN_MAX)
        die("a request larger than the bench makes");
    if (c->n_in < n_head + n_body)
        return false;
    char next = c->in[n_head + n_body];
    c->in[n_head + n_body] = '\0';
    if (strncmp(c->in, "GET ", 4) == 0) {
        bool known = strncmp(c->in + 4, "/v1/models ", 11) == 0;
        reply(fd, known ? "200 OK" : "404 Not Found", known ? models : none,
              strlen(known ? models : none));
    } else {
        answer_chat(fd, c->in + n_head);
        atomic_fetch_add(n_answered, 1);
    }
    c->in[n_head + n_body] = next;
    c->n_in -= n_head + n_body;
    memmove(c->in, c->in + n_head + n_body, c->n_in);
    return true;
}

static void serve(int listener, atomic_ulong *n_answered)
{
    static struct conn *conn[MAX_FD];
    struct epoll_event event[N_EVENT], want = { .events = EPOLLIN, .data.fd = listener };
    int ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &want);
    for (;;) {
        int n = epoll_wait(ep, event, N_EVENT, -1);
        for (int i = 0; i < n; i++) {
            int fd = event[i].data.fd, one = 1;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < MAX_FD) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    conn[fd] = NEW(struct conn);
                    want = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want);
                }
                continue;
            }
            struct conn *c = conn[fd];
            ssize_t got = read(fd, c->in + c->n_in, IN_MAX - 1 - c->n_in);
            if (got > 0) {
                c->n_in += (size_t)got;
                while (serve_one(fd, c, n_answered))
                    ;
            } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
                close(fd);
                free(c);
                conn[fd] = NULL;
            }
        }
    }
}

static int listen_loopback(int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        die("no socket to listen on");
    *port = ntohs(a.sin_port);
    return fd;
}

/* ---- The pages and the recipe. ---- */

static void write_input(const char *pages, const char *recipe, unsigned long n)
{
    static const char yaml[] =
        "name: bench\npurpose: every page once, given back as it is\n"
        "input: {unit: page, min_words: 20}\n"
        "prompts: [{name: a, system: Say it again., user: \"{text}\"}]\n"
        "limits: {min_words: 20, max_copied: 1, max_loop: 1, max_similar: 1}\n";
    static const char *const syllable[] = { "ba", "do", "fi", "gu", "le", "mo", "na", "ri",
                                            "so", "tu", "ve", "ka", "pi", "lu", "te", "wa" };
    FILE *f = fopen(recipe, "w");
    if (!f || fputs(yaml, f) < 0 || fclose(f))
        die(recipe);
    struct rng rng;
    rng_init(&rng, 1, "bench pages", 0);
    f = fopen(pages, "w");
    if (!f)
        die(pages);
    for (unsigned long i = 0; i < n; i++) {
        fprintf(f, "{\"id\":\"p%07lu\",\"text\":\"", i);
        for (int s = 0; s < 6; s++) {
            for (int w = 0; w < 10; w++) {
                fputs(w == 0 ? (s ? " The " : "The ") : " ", f);
                for (uint64_t k = 1 + rng_below(&rng, 4); k--;)
                    fputs(syllable[rng_below(&rng, N_OF(syllable))], f);
            }
            fputc('.', f);
        }
        fputs("\"}\n", f);
    }
    if (fclose(f))
        die(pages);
}

/* ---- Measuring. ---- */

struct mark {
    unsigned long n;
    double at_s, cpu_s, rss_mib;
};

/* Processor time and memory of another process; zeros once it is gone. */
static struct mark look(pid_t pid, unsigned long n)
{
    struct mark m = { .n = n, .at_s = clock_s() };
    char path[64], line[1024] = "";
    unsigned long user = 0, sys = 0, pages = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    const char *p = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    if (p && sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) == 2)
        m.cpu_s = (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
    if (f)
        fclose(f);
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    f = fopen(path, "r");
    if (f && fscanf(f, "%*u %lu", &pages) == 1)
        m.rss_mib = (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
    if (f)
        fclose(f);
    return m;
}

static void print(struct js *v)
{
    struct strbuf b = { 0 };
    js_write(v, &b);
    puts(b.s);
    fflush(stdout);
    str_release(&b);
    js_free(v);
}

static void print_mark(const struct mark *m)
{
    struct js *v = js_object();
    js_put_whole(v, "requests", (int64_t)m->n);
    js_put_real(v, "client_cpu_s", m->cpu_s);
    js_put_real(v, "rss_mib", m->rss_mib);
    print(v);
}

static pid_t start_client(const char *mixlaw, const char *recipe, const char *url,
                          const char *in_flight, const char *out, const char *pages)
{
    pid_t pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, 1);
        execl(mixlaw, "mixlaw", "synth", "--quiet", "--recipe", recipe, "--generator", url,
              "--model", "bench", "--out", out, "--in-flight", in_flight, pages, (char *)NULL);
        die(mixlaw);
    }
    return pid;
}

static void report(const struct mark *first, const struct mark *last, unsigned long n,
                   const char *in_flight, double wall_s, const struct rusage *use)
{
    double k = (double)(last->n - first->n);
    struct js *v = js_object();
    js_put_text(v, "bench", "client");
    js_put_whole(v, "requests", (int64_t)n);
    js_put_text(v, "in_flight", in_flight);
    js_put_real(v, "requests_per_s", k / (last->at_s - first->at_s));
    js_put_real(v, "client_cpu_us_per_request", 1e6 * (last->cpu_s - first->cpu_s) / k);
    js_put_real(v, "bytes_per_request", 1048576 * (last->rss_mib - first->rss_mib) / k);
    js_put_real(v, "wall_s", wall_s);
    js_put_real(v, "client_cpu_s",
                (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) +
                    1e-6 * (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec));
    js_put_real(v, "peak_mib", (double)use->ru_maxrss / 1024);
    print(v);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 5 || strtoul(argv[2], NULL, 10) < N_MARK) {
        fprintf(stderr, "usage: %s MIXLAW N_REQUESTS [IN_FLIGHT [SCRATCH_DIR]]\n", argv[0]);
        return 2;
    }
    unsigned long n = strtoul(argv[2], NULL, 10);
    const char *in_flight = argc > 3 ? argv[3] : "512";
    char dir[256], url[64];
    snprintf(dir, sizeof dir, "%s/mixlaw-client-XXXXXX", argc > 4 ? argv[4] : "/tmp");
    if (!mkdtemp(dir))
        die(dir);
    char *pages = path_join(dir, "pages.jsonl"), *recipe = path_join(dir, "bench.yaml"),
         *out = path_join(dir, "out");
    write_input(pages, recipe, n);

    atomic_ulong *n_answered =
        mmap(NULL, sizeof *n_answered, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int port, listener = listen_loopback(&port), status = 0;
    if (n_answered == MAP_FAILED)
        die("no shared memory");
    pid_t server = fork();
    if (server == 0)
        serve(listener, n_answered);
    close(listener);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);

    struct mark mark[N_MARK] = { { 0 } };
    struct rusage use;
    int n_mark = 0;
    double start = clock_s();
    pid_t client = start_client(argv[1], recipe, url, in_flight, out, pages);
    while (wait4(client, &status, WNOHANG, &use) == 0) {
        unsigned long now = atomic_load(n_answered);
        if (n_mark < N_MARK && now >= (unsigned long)(n_mark + 1) * (n / N_MARK)) {
            mark[n_mark] = look(client, now);
            print_mark(&mark[n_mark++]);
        }
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
    double wall_s = clock_s() - start;
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    if (status == 0 && n_mark == N_MARK)
        report(&mark[0], &mark[N_MARK - 1], n, in_flight, wall_s, &use);
    else
        fprintf(stderr, "the client ended with %d after %lu requests\n", status,
                atomic_load(n_answered));
    struct err err;
    bool gone = dir_remove(dir, &err) == ST_OK;
    if (!gone)
        fprintf(stderr, "%s\n", err.msg);
    free(pages);
    free(recipe);
    free(out);
    return status == 0 && n_mark == N_MARK && gone ? 0 : 1;
}
