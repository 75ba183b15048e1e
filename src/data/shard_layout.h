/* data/shard_layout.h - places in Megatron's .idx, for its reader and its writer. */
#ifndef MIXLAW_DATA_SHARD_LAYOUT_H
#define MIXLAW_DATA_SHARD_LAYOUT_H

#define IDX_MAGIC "MMIDIDX\0" /* and the terminator: nine bytes */

enum {
    IDX_MAGIC_BYTES = 9,
    IDX_AT_VERSION = 9,
    IDX_AT_TYPE = 17,
    IDX_AT_SEQUENCES = 18,
    IDX_AT_DOCUMENTS = 26,
    IDX_HEADER_BYTES = 34,
    IDX_TYPE_I32 = 4,
    IDX_TYPE_U16 = 8,
    WIDE_VOCAB = 65500 /* from here on tokens are int32, as in Megatron */
};

#endif
