/*
 * law/law.h - scaling laws on plain arrays: forms, fits, bootstrap, hold-out. (The fitter's owner fills this in.)
 */
#ifndef MIXLAW_LAW_LAW_H
#define MIXLAW_LAW_LAW_H
#endif
