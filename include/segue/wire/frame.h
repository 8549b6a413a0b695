/*
 * Framing: where a message begins and how long it is. Pure; inline, since the relay asks once per
 * message.
 */
#ifndef SEGUE_WIRE_FRAME_H
#define SEGUE_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_HEADER = 5, /* type byte and Int32 length, which counts itself */
    /* PostgreSQL's limits on what a client may say, the length itself included */
    WIRE_CLIENT_MAX = 0x3ffffffe,
    WIRE_CLIENT_SMALL_MAX = 10000,   /* of messages that hold a name at most */
    WIRE_LENGTH_MAX = 0x3fffffff + 4 /* of its own: MaxAllocSize is what it puts into a body */
};

enum wire_frame {
    WIRE_NEED_MORE, /* fewer than WIRE_HEADER bytes */
    WIRE_FRAME,     /* the header is whole; the body need not be there */
    WIRE_BAD_LENGTH /* does not count itself, or above WIRE_LENGTH_MAX */
};

static inline uint32_t wire_get_int32(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static inline uint16_t wire_get_int16(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

/* `size`: of the whole message, header included; set with WIRE_FRAME only. */
static inline enum wire_frame wire_frame_read(const uint8_t *data, size_t length, size_t *size)
{
    if (length < WIRE_HEADER)
        return WIRE_NEED_MORE;
    uint32_t counted = wire_get_int32(data + 1);
    if (counted < 4 || counted > WIRE_LENGTH_MAX)
        return WIRE_BAD_LENGTH;
    *size = (size_t)counted + 1;
    return WIRE_FRAME;
}

#endif
