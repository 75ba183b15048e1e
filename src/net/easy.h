/*
 * net/easy.h - what requests and downloads share about a libcurl handle. For net/ only.
 */
#ifndef MIXLAW_NET_EASY_H
#define MIXLAW_NET_EASY_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/rng.h"

void easy_init(void); /* once a process; threads may race for it */

/* http and https only, no signals, a name for us, no proxy for this machine itself. */
void easy_common(CURL *e, const char *url);

/* Appends the Authorization header; nothing for NULL. The key never reaches a message. */
struct curl_slist *easy_bearer(struct curl_slist *header, const char *bearer);

bool easy_worth_retry(CURLcode code); /* the line or the server failed, not the request */
/* first_s * 2^n, at most 60 s, times 0.5..1 */
double easy_backoff(struct rng *rng, double first_s, int n);

#endif
