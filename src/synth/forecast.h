/*
 * synth/forecast.h - totals of all pages from what a random sample of them made.
 *
 * A page has x pieces to be asked for, counted for all pages before anything is asked, and made y
 * of something: requests, tokens, money. Over n sampled pages of N, with r = sum y / sum x and
 * d = y - r x,
 *
 *     total = X r (1 +- t / (r mean x) * sd(d) sqrt((1 - n / N) / n)),      90 %
 *
 * where X sums x over all pages: long pages do not widen it, only answers that differ do. The
 * sampled pages are part of the whole, so that they vary no more: 1 - n / N.
 * Source: Cochran, Sampling Techniques, 3rd edition, sections 2.6 and 6.3.
 *
 *     struct ratio tok = { 0 };
 *     ratio_add(&tok, n_piece, n_tok);                             a page
 *     struct interval all = ratio_total(&tok, n_piece_of_all, n_page_of_all);
 */
#ifndef MIXLAW_SYNTH_FORECAST_H
#define MIXLAW_SYNTH_FORECAST_H

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

struct interval { /* 90 % */
    double value, lo, hi;
};
double interval_half(struct interval v); /* half its width, as a share of the value */
struct js *interval_json(struct interval v);

struct ratio {
    uint64_t n;
    double x, y, xx, xy, yy;
};
void ratio_add(struct ratio *s, double x, double y);
double ratio_value(const struct ratio *s); /* NaN without any x */
struct interval ratio_total(const struct ratio *s, double x_all, uint64_t n_all);
/* y counts what holds of the x of a page: a rate within 0..1, by Wilson's interval for the number
 * of independent cases that pages of several leave. */
struct interval ratio_rate(const struct ratio *s, uint64_t n_all);
/* Pages after which half the interval is `within` of the total. */
uint64_t ratio_pages(const struct ratio *s, uint64_t n_all, double within);

/* How fast answers come: their times, and how many requests were out. */
struct pace {
    struct pace_mark {
        double at_s;
        uint64_t n_tok;
        size_t n_out;
    } * mark;
    size_t n, cap;
};
void pace_add(struct pace *p, double at_s, uint64_t n_tok, size_t n_out);
/* Tokens a second while the generator was busy, without the end of a sample when fewer and fewer
 * requests are out. NaN: too few answers to tell. */
struct interval pace_rate(const struct pace *p);
void pace_release(struct pace *p);

#endif
