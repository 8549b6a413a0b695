/*
 * Rewriting a text of SQL for one shape at one snapshot: text in, text and a list of edits out. No
 * I/O. See REWRITE.md and proxy/rewrite/README.md.
 *
 * The order of calls for a text from a client: `name_scan` (cheap; says whether anything need be
 * done at all), then `rewrite_cache_find`, which parses and rewrites only texts it has not seen.
 */
#ifndef SEGUE_REWRITE_REWRITE_H
#define SEGUE_REWRITE_REWRITE_H

#include "segue/base/text.h"
#include "segue/sql/position.h"
#include "segue/sql/resolution.h"
#include "segue/transition/snapshot.h"

/* What decides how a text is rewritten. */
struct rewrite_context {
    const struct snapshot *snapshot;
    const struct resolution *resolution; /* NULL: not known yet */
    uint64_t new_shapes;                 /* shape_list_mask */
    bool standard_conforming_strings;
    /* False: a client-only encoding that hides ASCII bytes inside characters; or names, or what is
     * put in, are not ASCII, and the client's bytes for that are not UTF-8. */
    bool encoding_is_safe;
    /* The transaction has changed what names mean, or the shape: its end may take that back. */
    bool is_until_transaction_ends;
    enum sql_encoding encoding; /* in which positions are counted */
};

enum rewrite_outcome {
    REWRITE_UNTOUCHED,       /* send the client's text */
    REWRITE_CHANGED,         /* send `text` */
    REWRITE_REFUSED,         /* make the server fail, answer `error` */
    REWRITE_NEEDS_RESOLUTION /* enlist first, then ask again */
};

/* [start, end) of the client's text became [sent_start, sent_end) of the sent text; bytes,
 * ascending. */
struct rewrite_edit {
    uint32_t start, end, sent_start, sent_end;
};

/*
 * What RowDescription must say of a computed column instead of zeros (REWRITE.md, trap 5). Of the
 * rows that the statement itself gives, or that EXECUTE or FETCH will show where it is a PREPARE or
 * DECLARE. Ascending by statement, then by column.
 */
struct rewrite_result {
    uint32_t statement; /* which of the text's statements, from 0 */
    uint16_t column;    /* 0-based output column */
    int16_t attnum;
    uint32_t table_oid;
};

/* One statement that names or prepares something the session must remember. */
enum rewrite_fact {
    REWRITE_FACT_PREPARE = 1u << 0, /* SQL PREPARE; `name` */
    REWRITE_FACT_EXECUTE =
        1u << 1, /* SQL EXECUTE, also inside EXPLAIN or CREATE TABLE AS; `name` */
    REWRITE_FACT_DEALLOCATE = 1u << 2, /* `name`, NULL for ALL */
    REWRITE_FACT_SET_SHAPE =
        1u << 3, /* SET [LOCAL] segue.shape; `name` is the value, NULL for RESET / DEFAULT */
    REWRITE_FACT_SET_LOCAL = 1u << 4, /* with SET_SHAPE: only until the transaction ends */
    REWRITE_FACT_IS_HELD = 1u << 5,   /* with EXECUTE: inside a statement that shows other rows */
    REWRITE_FACT_DECLARE = 1u << 6,   /* DECLARE .. CURSOR; `name` */
    REWRITE_FACT_WITH_HOLD = 1u << 7, /* with DECLARE: it outlives the transaction */
    REWRITE_FACT_FETCH = 1u << 8,     /* `name` of the cursor whose rows are shown */
    REWRITE_FACT_CLOSE = 1u << 9,     /* CLOSE; `name`, NULL for ALL */
    REWRITE_FACT_MOVED = 1u << 10,    /* with EXECUTE: behind what changes the meaning of names */
};
/* Facts that any text of the same token shape has, too. */
enum {
    REWRITE_FACTS_OF_CURSORS =
        REWRITE_FACT_DECLARE | REWRITE_FACT_WITH_HOLD | REWRITE_FACT_FETCH | REWRITE_FACT_CLOSE
};
struct rewrite_named {
    uint32_t fact;       /* bits of rewrite_fact */
    uint32_t statement;  /* which of the text's statements, from 0 */
    uint32_t start, end; /* PREPARE: bytes of that statement in the client's text, without its ';',
                            so that the session can prepare it again alone */
    char *name;
};

/*
 * A COPY FROM that goes by way of a temporary table (proxy/rewrite/copy/copy_stage.c). The sent
 * text has all that takes: CREATE, the defaults where there are any, the client's COPY into the
 * temporary table, INSERT, DROP. In the extended protocol, where a text is one statement, only the
 * COPY is sent for it, and the session sends the others around its execution.
 */
struct rewrite_staging {
    uint32_t statement;                      /* which of the client's text's statements, from 0 */
    bool reads_client;                       /* FROM STDIN */
    uint32_t copy_start, copy_end;           /* bytes of the COPY in the sent text */
    char *name;                              /* of the temporary table: nothing else is called so */
    char *schema, *table;                    /* of the client's */
    char *create, *defaults, *insert, *drop; /* `defaults` may be NULL */
};

/*
 * A rewritten text. Immutable, counted per worker (not atomic): the cache holds one reference,
 * whoever keeps it longer than the event at hand takes another.
 */
struct rewrite {
    uint32_t references;
    enum rewrite_outcome outcome;
    enum sql_encoding encoding; /* of both texts */
    struct text text;           /* CHANGED: what is sent, NUL-terminated */
    size_t edit_count;
    struct rewrite_edit *edits;
    size_t result_count;
    struct rewrite_result *results;
    size_t named_count;
    struct rewrite_named *named;
    size_t staging_count;
    struct rewrite_staging *stagings; /* by statement */
    size_t statement_count;           /* statements in the text; 0 where it could not be parsed */
    uint64_t touched;    /* transitions whose table the text touches, whatever the outcome */
    struct error *error; /* REFUSED; otherwise NULL */
};

struct rewrite *rewrite_get(struct rewrite *rewrite);
void rewrite_put(struct rewrite *rewrite); /* NULL is allowed */

/* Bytes of memory that it holds. */
size_t rewrite_bytes(const struct rewrite *rewrite);

/* Parses and rewrites, always. Never NULL. `text` must be NUL-terminated at text.data[text.length].
 */
struct rewrite *rewrite_text(const struct rewrite_context *context, struct slice text);

/* What a Parse of a CHANGED text sends. */
struct slice rewrite_parse_text(const struct rewrite *rewrite);

/*
 * Where a position in the sent text (1-based, characters, as PostgreSQL counts) lies in the
 * client's text. Inside what stands for one name or star of the client's, it is where that begins;
 * 0 where it falls into other inserted text.
 */
int rewrite_map_position(const struct rewrite *rewrite, struct slice client_text,
                         int sent_position);

/* A position in rewrite_parse_text, in the sent text. */
int rewrite_text_position(const struct rewrite *rewrite, int parse_position);

/*
 * Words looked for in every text, in one pass, without allocation: names of tables in transition
 * and a few keywords after which the session must look closer. A bit may be set wrongly, never left
 * unset wrongly.
 */
enum name_scan_bit {
    NAME_SCAN_TABLE = 1u << 0,    /* a table in transition may be named */
    NAME_SCAN_PREPARED = 1u << 1, /* PREPARE, EXECUTE, DEALLOCATE */
    NAME_SCAN_SHAPE = 1u << 2,    /* segue.shape */
    NAME_SCAN_RESOLUTION =
        1u << 3, /* search_path, set_config, ROLE, AUTHORIZATION, TEMP[ORARY], DISCARD */
    NAME_SCAN_DDL = 1u << 4,    /* CREATE, ALTER, DROP */
    NAME_SCAN_CURSOR = 1u << 5, /* DECLARE, FETCH, CLOSE */
};
struct name_scan; /* immutable, made per snapshot; kept in the worker's state of the database */
struct name_scan *name_scan_new(const struct snapshot *snapshot);
void name_scan_free(struct name_scan *scan);
uint32_t name_scan_text(const struct name_scan *scan, struct slice text);
/* Does the text hold what is not ASCII, and so depends on the client's encoding? */
bool words_are_foreign(struct slice text);

/*
 * The cache: one per worker, bounded in bytes, least recently used out first. Key: everything of
 * the context that decides, and the exact text, or else its token shape: a text that differs from
 * one seen before in its constants only, or in the comments at its edges, is not parsed again. The
 * result is valid until the next call unless taken with rewrite_get.
 */
struct rewrite_cache;
struct rewrite_cache_counters {
    uint64_t hits;       /* of the same text */
    uint64_t shape_hits; /* of a text with other constants */
    uint64_t misses;     /* parsed */
    uint64_t evictions;
    size_t bytes, entries;
};
struct rewrite_cache *rewrite_cache_new(size_t max_bytes);
void rewrite_cache_limit(struct rewrite_cache *cache, size_t max_bytes); /* from now on */
void rewrite_cache_free(struct rewrite_cache *cache);
struct rewrite *rewrite_cache_find(struct rewrite_cache *cache,
                                   const struct rewrite_context *context, struct slice text);
void rewrite_cache_counters(const struct rewrite_cache *cache,
                            struct rewrite_cache_counters *counters);

/*
 * The same for a text so large that the worker's thread should not parse it, nor read its shape:
 * the caller looks whether the very text is in the cache (NULL: it is not), and otherwise makes a
 * job of it, which another thread runs for as long as rewrite_job_advance says so.
 */
struct rewrite *rewrite_cache_look(struct rewrite_cache *cache,
                                   const struct rewrite_context *context, struct slice text);
struct rewrite_job;
/* Copies the text; holds references on what the context points to. */
struct rewrite_job *rewrite_job_new(const struct rewrite_context *context, struct slice text);
/* `resolutions` is the set that the context's resolution is of. NULL for the job is allowed. */
void rewrite_job_free(struct rewrite_job *job, struct resolution_set *resolutions);
bool rewrite_job_is_for(const struct rewrite_job *job, const struct rewrite_context *context,
                        struct slice text);
void rewrite_job_run(struct rewrite_job *job); /* [any thread] */
/* Between two runs. True when there is a result, and nothing more to run. */
bool rewrite_job_advance(struct rewrite_job *job, struct rewrite_cache *cache);
/* Valid until the next look-up unless taken with rewrite_get; may be asked for again. */
struct rewrite *rewrite_job_result(struct rewrite_job *job, struct rewrite_cache *cache);

#endif
