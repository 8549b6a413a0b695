/*
 * Why a client's connection ended: each ends for exactly one of these, which the log tells and SHOW
 * STATS counts. The sum of the counts and of those there now is what was accepted.
 */
#ifndef SEGUE_SESSION_END_REASON_H
#define SEGUE_SESSION_END_REASON_H

#include <stdbool.h>

enum session_end_reason {
    /* by the client */
    SESSION_END_CLIENT_TERMINATE,
    SESSION_END_CLIENT_CLOSED,
    SESSION_END_CLIENT_BROKEN,
    SESSION_END_PROTOCOL_VIOLATION,
    SESSION_END_TLS_FAILED,
    SESSION_END_LOGIN_REFUSED,
    /* by the server */
    SESSION_END_LOGIN_FAILED,
    SESSION_END_SERVER_TERMINATED,
    SESSION_END_SERVER_CLOSED,
    SESSION_END_SERVER_BROKEN,
    SESSION_END_SERVER_NONSENSE,
    SESSION_END_SERVER_UNREACHABLE,
    SESSION_END_DATABASE_NOT_LOADED,
    /* limits */
    SESSION_END_MAX_CLIENT_CONN,
    SESSION_END_MAX_USER_CONNECTIONS,
    SESSION_END_MAX_DB_CONNECTIONS,
    /* time-outs */
    SESSION_END_LOGIN_TIMEOUT,
    SESSION_END_CONNECT_TIMEOUT,
    SESSION_END_IDLE_TIMEOUT,
    SESSION_END_IDLE_TRANSACTION_TIMEOUT,
    SESSION_END_TRANSACTION_TIMEOUT,
    SESSION_END_QUERY_TIMEOUT,
    /* by the operator */
    SESSION_END_KILLED,
    SESSION_END_SHUTDOWN,
    /* connections that brought a cancel request */
    SESSION_END_CANCEL_DELIVERED,
    SESSION_END_CANCEL_FAILED,
};
enum { SESSION_END_COUNT = SESSION_END_CANCEL_FAILED + 1 };

const char *session_end_name(enum session_end_reason reason);        /* "client_terminate" */
const char *session_end_description(enum session_end_reason reason); /* a phrase */

#endif
