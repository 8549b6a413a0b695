/*
 * The startup packet: the first thing a client says, before anybody knows who it is. Its length is
 * bounded before a byte of it is kept.
 */
#include "segue/wire/message.h"

#include "segue/wire/frame.h"

enum {
    CODE_CANCEL = 80877102,
    CODE_SSL = 80877103,
    CODE_GSS = 80877104,
    CANCEL_MIN = 16,       /* length, code, pid and a key of four bytes */
    CANCEL_MAX = 12 + 256, /* keys of protocol 3.2 */
    FIXED = 8,             /* length and code */
};

static void take_parameter(struct wire_startup *startup, const char *name, const char *value)
{
    if (strcmp(name, "user") == 0)
        startup->user = value;
    else if (strcmp(name, "database") == 0)
        startup->database = value;
    else if (strcmp(name, "options") == 0)
        startup->options = value;
    else if (strcmp(name, "application_name") == 0)
        startup->application_name = value;
    else if (strcmp(name, "replication") == 0)
        startup->replication = value;
    else if (strcmp(name, "client_encoding") == 0)
        startup->client_encoding = value;
}

/* Pairs of strings, then one zero byte, which must be the packet's last. */
static bool read_parameters(struct wire_startup *startup, const char *at, const char *end)
{
    while (at < end && *at) {
        const char *name = at;
        at += strnlen(at, (size_t)(end - at)) + 1;
        if (at >= end)
            return false;
        const char *value = at;
        at += strnlen(at, (size_t)(end - at)) + 1;
        if (at >= end)
            return false;
        take_parameter(startup, name, value);
    }
    return at == end - 1;
}

static enum wire_startup_kind classify(struct wire_startup *startup, const uint8_t *data)
{
    switch (startup->protocol) {
    case CODE_SSL:
        return startup->length == FIXED ? WIRE_STARTUP_SSL : WIRE_STARTUP_BAD;
    case CODE_GSS:
        return startup->length == FIXED ? WIRE_STARTUP_GSS : WIRE_STARTUP_BAD;
    case CODE_CANCEL:
        return startup->length >= CANCEL_MIN && startup->length <= CANCEL_MAX ? WIRE_STARTUP_CANCEL
                                                                              : WIRE_STARTUP_BAD;
    default:
        break;
    }
    if (startup->protocol >> 16 != 3)
        return WIRE_STARTUP_SESSION; /* whoever answers names the version; no parameters are read */
    const char *text = (const char *)data;
    return read_parameters(startup, text + FIXED, text + startup->length) ? WIRE_STARTUP_SESSION
                                                                          : WIRE_STARTUP_BAD;
}

struct wire_startup wire_read_startup(const uint8_t *data, size_t length)
{
    struct wire_startup startup = {.kind = WIRE_STARTUP_NEED_MORE};
    if (length < 4)
        return startup;
    uint32_t counted = wire_get_int32(data);
    if (counted < FIXED || counted > WIRE_STARTUP_MAX) {
        startup.kind = WIRE_STARTUP_BAD;
        return startup;
    }
    if (length < counted)
        return startup;
    startup.length = counted;
    startup.protocol = wire_get_int32(data + 4);
    startup.is_cancel = startup.protocol == CODE_CANCEL;
    startup.kind = classify(&startup, data);
    return startup;
}
