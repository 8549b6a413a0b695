#include "input.h"

#include "segue/cli/cli.h"

#include "link.h"

#include <errno.h>
#include <stdio.h>

int input_read(const char *subcommand, const char *name, struct text *text)
{
    bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "re");
    if (!file) {
        link_tell(subcommand, strerror(errno), name, NULL);
        return CLI_USAGE;
    }
    char chunk[65536];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        text_add(text, chunk, got);
    bool failed = ferror(file);
    if (failed)
        link_tell(subcommand, strerror(errno), name, NULL);
    if (!standard)
        fclose(file);
    if (failed)
        return CLI_USAGE;
    if (text->overflow || strlen(text->data) != text->length) {
        link_tell(subcommand, "the file is too large, or not text", name, NULL);
        return CLI_USAGE;
    }
    return CLI_OK;
}
