/*
 * run/tfevents.h - TensorBoard event files: scalars.
 *
 * Records: length (8 bytes, little-endian), masked CRC-32C of the length, bytes, masked CRC-32C of
 * the bytes; each holds a protobuf Event {1: wall_time double, 2: step int64, 3: file_version
 * string, 5: Summary {1: Value {1: tag string, 2: simple_value float}}}. Source: TensorFlow's
 * record_writer and event.proto, as formats.
 */
#ifndef MIXLAW_RUN_TFEVENTS_H
#define MIXLAW_RUN_TFEVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

void tfevents_begin(struct strbuf *out, double time); /* the file's first record: its version */
void tfevents_scalar(struct strbuf *out, const char *tag, uint64_t step, double time, double value);

uint32_t crc32c(const void *bytes,
                size_t n); /* Castagnoli, reflected; "123456789" gives e3069283 */

#endif
