/* device_source.h - from a CUDA source to what the host's compiler takes: see preprocess.c, words.c, entries.c. */
#ifndef PAH_SIM_DEVICE_SOURCE_H
#define PAH_SIM_DEVICE_SOURCE_H

#include "module/module.h"
#include "source/device_side.h"

/* preprocess.c: the module's source (its own, or made of its PTX) with what it includes, as text; all files in the work
 * folder's "host" stand for headers that are not there, or of the host's side only. *missing: their names, each with an
 * end of line. */
int sim_preprocess(const struct pah_module *m, const char *source, int arch, const char *compiler, const char *headers,
                   const struct pah_work *w, char **text, char **missing);

/* headers.c: files in FOLDER for the headers that are ours to give; with CCCL in a folder of the module's, for
 * cub/cub.cuh too. */
void sim_make_headers(const char *folder, const struct pah_module *m);
/* headers.c: a file FOLDER/name for a header that is not read, with the folders of the name. 0: it cannot be, or is
 * there already. */
int sim_make_missing_header(const char *folder, const char *name);

/* preprocess.c: the module's text with its defines; malloc'ed, NULL: no memory. */
char *sim_whole_source(const struct pah_module *m);
/* preprocess.c: is the header in one of the module's folders? */
int sim_has_header(const struct pah_module *m, const char *name);
/* preprocess.c: is CCCL (CUB, libcu++) in one of the module's folders? */
int sim_has_cccl(const struct pah_module *m);

/* words.c: which text is not to be looked into; for pah_side_read. */
struct sim_origin {
  const struct pah_module *m;
  const char *headers, *work; /* ours, and the work folder */
  char **seen;                /* files of the user's */
  int seen_count;
};
void sim_origin_free(struct sim_origin *origin);
int sim_is_system(void *origin, const char *path, int flagged);

/* words.c: writes tokens of the device's side with CUDA's own words in the host compiler's. NULL: no memory. */
struct sim_writer;
struct sim_writer *sim_writer_new(const struct pah_side *side, int is_clang);
void sim_writer_free(struct sim_writer *w);
char *sim_translate(struct sim_writer *w); /* all of it, each where it stands; malloc'ed, NULL: no memory */
void sim_translate_tokens(struct sim_writer *w, int first, int last, FILE *to); /* those [first, last), in one line */

/* Text that is put behind tokens of a source; meaning.c: conversions and shifts as PTX has them; locals.c: local
 * variables that may be read before they are set. */
struct sim_inserts {
  char **after; /* of each token; NULL: nothing */
  int failed;
};
int sim_inserts_new(struct sim_inserts *inserts, const struct pah_side *side);
void sim_inserts_free(struct sim_inserts *inserts, const struct pah_side *side);
void sim_insert(struct sim_inserts *inserts, int token, const char *text);
void sim_insert_locals(const struct pah_side *side, struct sim_inserts *inserts);
void sim_insert_meaning(const struct pah_side *side, struct sim_inserts *inserts);
void sim_insert_bounds(const struct pah_side *side, struct sim_inserts *inserts); /* bounds.c */
/* meaning.c: tells of atomics whose results nobody takes; after all other inserts, whose statements go before it. */
void sim_insert_reductions(const struct pah_side *side, struct sim_inserts *inserts);
/* indices/indices.c: marks the operators whose results become no address. sim_take_values: takes the marks out of both
 * texts again; the tail with a table of where they were. malloc'ed; NULL: no memory. */
void sim_insert_values(const struct pah_side *side, struct sim_inserts *inserts);
char *sim_take_values(char *translated, char *tail);

/* asm.c: the end of the asm statement at token i, without its semicolon; 0: there is none. */
int sim_asm_end(const struct pah_side *side, int i, int last);
/* asm.c: the C++ statement for it. malloc'ed; NULL: no memory, or it cannot be read. */
char *sim_asm(struct sim_writer *w, const struct pah_side *side, int i, int end);

/* entries.c: what finds the kernels again, and what was left out, as text to stand behind the source. */
char *sim_entries(const struct pah_module *m, const struct pah_side *side, struct sim_writer *w, const char *missing);

#endif
