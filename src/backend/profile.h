/*
 * backend/profile.h - where the time of a pass goes: a backend that counts the seconds of another's
 * calls.
 *
 *     b = backend_profiled(b);                       takes the backend; closing closes both
 *     ...                                            any calls, results as before
 *     struct profile p;
 *     backend_profile(b, &p);                        since the last reset
 *
 * Only for backends whose calls run at once (cpu, ref): one that queues them would count as idle.
 * The seconds of n threads are those that they were at work, divided by n; what they were not is a
 * part of its own, so that the parts sum to the time that passed. FLOP are those that the shapes
 * ask for: a causal product counts half, what an implementation computes again does not count.
 *
 * Threads: as the backend inside.
 */
#ifndef MIXLAW_BACKEND_PROFILE_H
#define MIXLAW_BACKEND_PROFILE_H

#include "backend/backend.h"

enum profile_id {
    PROFILE_PRODUCTS,  /* of the layers */
    PROFILE_LOSS,      /* the head's products and the softmax between them */
    PROFILE_ATTENTION, /* with rotation */
    PROFILE_ELEMENTS,  /* norms, activations, biases, embedding */
    PROFILE_OPTIMIZER,
    PROFILE_LAYOUTS, /* weights made ready after a step */
    PROFILE_COPIES,
    PROFILE_REST,    /* of the caller, between operations */
    PROFILE_WAITING, /* threads without work: others are not done, or the caller works alone */
    N_PROFILE
};

struct profile_part {
    const char *name;
    double s, flop; /* flop 0: not counted */
    uint64_t n_call;
};

struct profile {
    struct profile_part part[N_PROFILE];
    double s; /* that passed: the parts' sum */
};

struct backend *backend_profiled(struct backend *b);
void backend_profile(const struct backend *b, struct profile *out); /* of backend_profiled */
void backend_profile_reset(struct backend *b);

#endif
