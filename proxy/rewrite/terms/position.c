/*
 * Positions count characters; edits are kept in bytes. An error inside the text that a name was
 * replaced by is about that name, and there a plain table would have put it; inside other inserted
 * text there is no such place.
 */
#include "position.h"

#include "../cache/words.h"
#include "segue/sql/parse.h"

static bool is_one_name(struct slice text)
{
    bool quoted = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '"')
            quoted = !quoted;
        else if (!quoted && !word_byte((unsigned char)c) && c != '.' && c != '*')
            return false;
    }
    return text.length > 0;
}

struct slice replaced_name(const struct rewrite_edit *edit, struct slice client_text)
{
    struct slice replaced = {client_text.data + edit->start, edit->end - edit->start};
    return is_one_name(replaced) ? replaced : (struct slice){replaced.data, 0};
}

/* One past the name, keyword or number that begins at a place of a text. */
static size_t word_end(struct slice text, size_t at)
{
    if (at < text.length && text.data[at] == '"') {
        const char *quote = memchr(text.data + at + 1, '"', text.length - at - 1);
        return quote ? (size_t)(quote - text.data) + 1 : at;
    }
    while (at < text.length && word_byte((unsigned char)text.data[at]))
        at++;
    return at;
}

/*
 * A word of a list that was replaced as a whole: where it stands in the client's, if it is there
 * once. Both lists are the client's in what is not about the column, so it is the same word.
 */
static bool find_word(struct slice list, struct slice word, uint32_t *place)
{
    size_t found = 0;
    for (size_t i = 0; i < list.length;) {
        size_t end = word_end(list, i);
        if (end == i) {
            i++;
            continue;
        }
        if (slice_equal((struct slice){list.data + i, end - i}, word)) {
            *place = (uint32_t)i;
            found++;
        }
        i = end;
    }
    return found == 1;
}

/* A place inside inserted text; 0 where it stands for none of the client's. */
static int map_inserted(const struct rewrite *rewrite, const struct rewrite_edit *edit,
                        struct slice client_text, uint32_t offset)
{
    if (replaced_name(edit, client_text).length)
        return sql_position(client_text, edit->start, rewrite->encoding);
    struct slice inserted = {rewrite->text.data + offset, edit->sent_end - offset};
    struct slice word = {inserted.data, word_end(inserted, 0)};
    struct slice list = {client_text.data + edit->start, edit->end - edit->start};
    uint32_t place;
    if (word.length == 0 || !find_word(list, word, &place))
        return 0;
    return sql_position(client_text, edit->start + place, rewrite->encoding);
}

/* The edit at a byte of the sent text, and how far what is behind the edits before it moved. */
static const struct rewrite_edit *find_edit(const struct rewrite *rewrite, uint32_t offset,
                                            int64_t *shift)
{
    *shift = 0;
    for (size_t i = 0; i < rewrite->edit_count; i++) {
        const struct rewrite_edit *edit = &rewrite->edits[i];
        if (offset < edit->sent_start)
            break;
        if (offset < edit->sent_end)
            return edit;
        *shift = (int64_t)edit->end - edit->sent_end;
    }
    return NULL;
}

const struct rewrite_edit *edit_at_position(const struct rewrite *rewrite, int sent_position)
{
    if (sent_position <= 0 || rewrite->outcome != REWRITE_CHANGED)
        return NULL;
    struct slice sent = {rewrite->text.data, rewrite->text.length};
    int64_t shift;
    return find_edit(rewrite, sql_position_offset(sent, sent_position, rewrite->encoding), &shift);
}

int rewrite_map_position(const struct rewrite *rewrite, struct slice client_text, int sent_position)
{
    if (sent_position <= 0 || rewrite->outcome != REWRITE_CHANGED)
        return sent_position;
    uint32_t offset = sql_position_offset((struct slice){rewrite->text.data, rewrite->text.length},
                                          sent_position, rewrite->encoding);
    int64_t shift;
    const struct rewrite_edit *edit = find_edit(rewrite, offset, &shift);
    if (!edit)
        return sql_position(client_text, (uint32_t)(offset + shift), rewrite->encoding);
    return map_inserted(rewrite, edit, client_text, offset);
}

int rewrite_text_position(const struct rewrite *rewrite, int parse_position)
{
    struct slice sent = {rewrite->text.data, rewrite->text.length};
    size_t start = (size_t)(rewrite_parse_text(rewrite).data - sent.data);
    return parse_position + sql_position(sent, (uint32_t)start, rewrite->encoding) - 1;
}
