/* systemd's journal. Apart from log.c, because <syslog.h> takes names of our own. */
#ifndef SEGUE_BASE_JOURNAL_H
#define SEGUE_BASE_JOURNAL_H

#include <stdbool.h>

/* Does stderr lead to the journal? As systemd tells services by JOURNAL_STREAM. */
bool journal_has_stderr(void);
/* `priority` as in syslog, 3 error to 7 debug; `subject` may be NULL. False where the journal did
 * not take it. */
bool journal_send(int priority, const char *subject, const char *message);

#endif
