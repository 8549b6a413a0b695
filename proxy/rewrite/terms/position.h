/* Where a position in the text that was sent lies in the client's. */
#ifndef SEGUE_REWRITE_POSITION_H
#define SEGUE_REWRITE_POSITION_H

#include "segue/rewrite/rewrite.h"

/* The edit whose text is at a position of the sent text; NULL where that is the client's own. */
const struct rewrite_edit *edit_at_position(const struct rewrite *rewrite, int sent_position);
/* The one name, qualified or not, or star, that the edit's text stands for; empty where it stands
 * for anything else. */
struct slice replaced_name(const struct rewrite_edit *edit, struct slice client_text);

#endif
