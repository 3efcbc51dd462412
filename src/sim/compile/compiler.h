/* compiler.h - the system's C++ compiler: command lines for it, and running them. See compiler.c. */
#ifndef PAH_SIM_COMPILER_H
#define PAH_SIM_COMPILER_H

#include "module/module.h"

enum { SIM_MAX_WORDS = 256 };
struct sim_command {
  char *argv[SIM_MAX_WORDS + 1];
  int count;
};

int sim_find_program(const char *name, char *path, size_t bytes); /* in PATH, or a path; 0: there is none */
const char *sim_compiler(void); /* its path: $PAH_SIM_CXX, else g++, c++ or clang++; NULL: none */
int sim_is_clang(const char *compiler);

void sim_add_word(struct sim_command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_add_words(struct sim_command *c, const char *const *words); /* until NULL */
void sim_drop_command(struct sim_command *c);

/* All that a precompiled header and the source have to agree on; the folders that are searched. */
void sim_add_flags(struct sim_command *c, int arch, const char *compiler, const char *std);
void sim_add_folders(struct sim_command *c, const struct pah_module *m, const char *headers);

/* Runs a program and collects what it says. Returns its exit status, or -1; *output is malloc'ed, cut at 256 KiB. */
int sim_run_program(char *const argv[], char **output);

#endif
