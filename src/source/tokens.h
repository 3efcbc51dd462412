/* tokens.h - the text of a CUDA source as tokens: what every other file of this folder works on. See tokens.c. */
#ifndef PAH_SOURCE_TOKENS_H
#define PAH_SOURCE_TOKENS_H

#include <stddef.h>
#include <stdint.h>

enum pah_token_kind {
  PAH_WORD,      /* an identifier or keyword */
  PAH_NUMBER,    /* of any base, with its suffix */
  PAH_STRING,    /* with its prefix, raw or not; an operator of literals behind it belongs to it */
  PAH_CHARACTER, /* 'x' */
  PAH_MARK,      /* an operator or a bracket; :: -> && || <= >= == != are one, all others single characters */
  PAH_END        /* of the text */
};

struct pah_token {
  const char *at;
  uint32_t length, word; /* word: of a PAH_WORD, its number in the list of words; else 0 */
  uint8_t kind;
  char mark; /* of a PAH_MARK: its character, 'S' of ::, 'A' of ->; else 0 */
};

enum { PAH_AHEAD = 4 };

struct pah_tokens {
  const char *text;
  struct pah_token *list; /* `count` tokens, then PAH_AHEAD of kind PAH_END: so far a look ahead may go */
  int count, room;
  const char **words; /* by number, from 1; not NUL-terminated */
  uint32_t *lengths, *buckets;
  int word_count, word_room, bucket_count;
};

/* Between tokens lies all that is none: blanks, comments, lines of the preprocessor, and the text of the host's
 * headers: `system_of(data, path, flagged)` says whether the line marker `# 1 "path" 3` begins some. NULL: the text has
 * no line markers. Returns a PAH_ code. */
int pah_tokens_read(struct pah_tokens *t, const char *text, int (*system_of)(void *, const char *path, int flagged),
                    void *data);
void pah_tokens_free(struct pah_tokens *t);

/* The number of a word: 0 if no token is it. */
uint32_t pah_tokens_word(const struct pah_tokens *t, const char *word);
int pah_token_is(const struct pah_token *token, const char *text);

/* Does each bracket close the one that it should? A text with branches of #if may have halves of two. */
int pah_tokens_balanced(const struct pah_tokens *t);
/* Past the bracket that closes the one at i, or `last`; of < too, where it opens template arguments. */
int pah_tokens_close(const struct pah_tokens *t, int i, int last);

#endif
