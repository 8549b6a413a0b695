#include "segue/session/end_reason.h"

#include "segue/base/error.h"

static const struct {
    const char *name;
    const char *description;
} reasons[SESSION_END_COUNT] = {
    [SESSION_END_CLIENT_TERMINATE] = {"client_terminate", "the client said Terminate"},
    [SESSION_END_CLIENT_CLOSED] = {"client_closed", "the client went away without a word"},
    [SESSION_END_CLIENT_BROKEN] = {"client_broken", "the client's connection broke"},
    [SESSION_END_PROTOCOL_VIOLATION] = {"protocol_violation",
                                        "the client sent what the protocol does not know"},
    [SESSION_END_TLS_FAILED] = {"tls_failed", "no TLS could be agreed on with the client"},
    [SESSION_END_LOGIN_REFUSED] = {"login_refused", "Segue let the client not in"},
    [SESSION_END_LOGIN_FAILED] = {"login_failed", "the server, or a wrong password, let the client "
                                                  "not in"},
    [SESSION_END_SERVER_TERMINATED] = {"server_terminated",
                                       "the server ended the session with a FATAL error"},
    [SESSION_END_SERVER_CLOSED] = {"server_closed", "the server closed without a word"},
    [SESSION_END_SERVER_BROKEN] = {"server_broken", "the server's connection broke"},
    [SESSION_END_SERVER_NONSENSE] = {"server_nonsense",
                                     "the server sent what the protocol does not know"},
    [SESSION_END_SERVER_UNREACHABLE] = {"server_unreachable",
                                        "the server could not be connected to"},
    [SESSION_END_DATABASE_NOT_LOADED] = {"database_not_loaded",
                                         "the database's transitions were not loaded"},
    [SESSION_END_MAX_CLIENT_CONN] = {"max_client_conn", "there were max_client_conn clients"},
    [SESSION_END_MAX_USER_CONNECTIONS] = {"max_user_client_connections",
                                          "the user had max_user_client_connections"},
    [SESSION_END_MAX_DB_CONNECTIONS] = {"max_db_client_connections",
                                        "the database had max_db_client_connections"},
    [SESSION_END_LOGIN_TIMEOUT] = {"client_login_timeout", "the login took too long"},
    [SESSION_END_CONNECT_TIMEOUT] = {"server_connect_timeout",
                                     "connecting to the server took too long"},
    [SESSION_END_IDLE_TIMEOUT] = {"client_idle_timeout", "the client was idle for too long"},
    [SESSION_END_IDLE_TRANSACTION_TIMEOUT] = {"idle_transaction_timeout",
                                              "the client was idle in a transaction for too long"},
    [SESSION_END_TRANSACTION_TIMEOUT] = {"transaction_timeout", "a transaction took too long"},
    [SESSION_END_QUERY_TIMEOUT] = {"query_timeout", "a query took too long"},
    [SESSION_END_KILLED] = {"killed", "KILL_CLIENT"},
    [SESSION_END_SHUTDOWN] = {"shutdown", "Segue was shutting down"},
    [SESSION_END_CANCEL_DELIVERED] = {"cancel_delivered", "a cancel request was passed on"},
    [SESSION_END_CANCEL_FAILED] = {"cancel_failed", "a cancel request could not be passed on"},
};

const char *session_end_name(enum session_end_reason reason)
{
    BUG_ON((unsigned)reason >= SESSION_END_COUNT || !reasons[reason].name);
    return reasons[reason].name;
}

const char *session_end_description(enum session_end_reason reason)
{
    BUG_ON((unsigned)reason >= SESSION_END_COUNT || !reasons[reason].name);
    return reasons[reason].description;
}
