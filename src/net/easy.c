/* net/easy.c - see easy.h. */
#include "net/easy.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static void init_once(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        abort(); /* no memory, or a broken TLS library: nothing could be said over the net */
}

void easy_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return str_starts(host, "127.") || str_starts(host, "localhost") || str_starts(host, "[::1]");
}

void easy_common(CURL *e, const char *url)
{
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_USERAGENT, "mixlaw/" MIXLAW_VERSION);
    if (is_loopback(url))
        curl_easy_setopt(e, CURLOPT_PROXY, "");
}

struct curl_slist *easy_bearer(struct curl_slist *header, const char *bearer)
{
    if (!bearer || !*bearer)
        return header;
    char *line = xasprintf("Authorization: Bearer %s", bearer);
    header = curl_slist_append(header, line);
    memset(line, 0, strlen(line));
    free(line);
    return header;
}

bool easy_worth_retry(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_HTTP3:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_AGAIN:
        return true;
    default:
        return false;
    }
}

double easy_backoff(struct rng *rng, double first_s, int n)
{
    return fmin(60, first_s * pow(2, n)) * (0.5 + 0.5 * rng_uniform(rng));
}
