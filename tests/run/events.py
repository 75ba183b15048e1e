"""Decodes a TensorBoard event file by the published formats, without any library, and prints a JSON line
a scalar: {"step": .., "tag": .., "value": .., "time": ..}. Fails on a wrong checksum or a cut record."""
import json
import struct
import sys

TABLE = []
for n in range(256):
    c = n
    for _ in range(8):
        c = (c >> 1) ^ 0x82F63B78 if c & 1 else c >> 1
    TABLE.append(c)


def masked(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = TABLE[(c ^ byte) & 255] ^ (c >> 8)
    c ^= 0xFFFFFFFF
    return (((c >> 15) | (c << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def fields(data):
    """The fields of a protobuf message: (number, value)."""
    at = 0

    def varint():
        nonlocal at
        v = shift = 0
        while True:
            v |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 128:
                return v

    while at < len(data):
        key = varint()
        wire = key & 7
        if wire == 0:
            yield key >> 3, varint()
        elif wire == 1:
            yield key >> 3, struct.unpack_from("<d", data, at)[0]
            at += 8
        elif wire == 5:
            yield key >> 3, struct.unpack_from("<f", data, at)[0]
            at += 4
        elif wire == 2:
            n = varint()
            assert at + n <= len(data), "cut field"
            yield key >> 3, data[at : at + n]
            at += n
        else:
            raise ValueError("wire type %d" % wire)


def main():
    data = open(sys.argv[1], "rb").read()
    at = n = 0
    while at < len(data):
        head = data[at : at + 8]
        (length,) = struct.unpack("<Q", head)
        assert struct.unpack_from("<I", data, at + 8)[0] == masked(head), "length checksum at %d" % at
        body = data[at + 12 : at + 12 + length]
        assert len(body) == length, "cut record at %d" % at
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(body), "checksum at %d" % at
        at += 16 + length
        event = dict(fields(body))
        if n == 0:
            assert event[3] == b"brain.Event:2", "version"
        n += 1
        if 5 in event:
            for number, value in fields(event[5]):
                assert number == 1
                value = dict(fields(value))
                print(json.dumps({"step": event.get(2, 0), "tag": value[1].decode(),
                                  "value": value[2], "time": event[1]}))


main()
