/*
 * law/identify.h - how well the rows determine each parameter of a fit. For fit.c.
 */
#ifndef MIXLAW_LAW_IDENTIFY_H
#define MIXLAW_LAW_IDENTIFY_H

#include <stdbool.h>

#include "law/fit.h"
#include "law/problem.h"

/* Fills corr, condition, profile and unbounded of f, whose param, lo and hi are set. */
void identify(struct fit *f, struct problem *p, const struct law_scale *scale, const double *theta,
              bool profile);

#endif
