#define SD_JOURNAL_SUPPRESS_LOCATION
#include "journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

bool journal_has_stderr(void)
{
    const char *stream = getenv("JOURNAL_STREAM"); /* "device:inode" */
    struct stat of_stderr;
    unsigned long device, inode;
    return stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &of_stderr) == 0 && of_stderr.st_dev == device &&
           of_stderr.st_ino == inode;
}

bool journal_send(int priority, const char *subject, const char *message)
{
    /* 0 is said also where there is no journal at all */
    if (access("/run/systemd/journal/socket", W_OK) != 0)
        return false;
    if (!subject)
        return sd_journal_send("MESSAGE=%s", message, "PRIORITY=%d", priority,
                               "SYSLOG_IDENTIFIER=segue", NULL) == 0;
    return sd_journal_send("MESSAGE=%s", message, "PRIORITY=%d", priority,
                           "SYSLOG_IDENTIFIER=segue", "SEGUE_SUBJECT=%s", subject, NULL) == 0;
}
