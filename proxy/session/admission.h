/*
 * Admission: how many sessions a user and a database have, over all workers. Taken once a login is
 * done, when the server has said that the name is the client's own: nobody fills another's places.
 */
#ifndef SEGUE_SESSION_ADMISSION_H
#define SEGUE_SESSION_ADMISSION_H

#include <stdbool.h>

enum admission_kind { ADMISSION_USER, ADMISSION_DATABASE };

struct admission;

/* A place among at most `limit` (0: any number); NULL where there is none. [any thread] */
struct admission *admission_take(enum admission_kind kind, const char *name, int limit);
void admission_give_back(struct admission *admission); /* NULL is allowed; [any thread] */

#endif
