/* compiler.c - the system's C++ compiler for sim: where it is, its flags, running it. Our flags put a call of ours
 * before every load and store (-fsanitize=thread, as an instrumentation only; sim/check/hooks.c) and keep code as it
 * is written. Read next: build.c. */
#define _GNU_SOURCE
#include "compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int sim_find_program(const char *name, char *path, size_t bytes) {
  if (strchr(name, '/')) return snprintf(path, bytes, "%s", name), access(name, X_OK) == 0;
  const char *dirs = getenv("PATH");
  for (const char *p = dirs ? dirs : "/usr/bin:/bin"; *p;) {
    size_t n = strcspn(p, ":");
    snprintf(path, bytes, "%.*s/%s", (int)n, p, name);
    if (n && access(path, X_OK) == 0) return 1;
    p += n + (p[n] == ':');
  }
  return 0;
}

const char *sim_compiler(void) {
  static char path[PATH_MAX];
  const char *asked = getenv("PAH_SIM_CXX");
  if (asked && *asked) return sim_find_program(asked, path, sizeof path) ? path : NULL;
  static const char *const names[] = {"g++", "c++", "clang++"};
  for (int i = 0; i < 3; i++)
    if (sim_find_program(names[i], path, sizeof path)) return path;
  return NULL;
}

int sim_is_clang(const char *compiler) {
  char real[PATH_MAX];
  return strstr(realpath(compiler, real) ? real : compiler, "clang") != NULL;
}

int sim_run_program(char *const argv[], char **output) {
  int fds[2];
  *output = NULL;
  if (pipe2(fds, O_CLOEXEC)) return -1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t pid;
  int failed = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(fds[1]);
  if (failed) return close(fds[0]), -1;
  size_t used = 0, room = 256 * 1024;
  char *text = malloc(room + 1), drain[4096];
  for (;;) {
    int keep = text && used < room;
    ssize_t n = read(fds[0], keep ? text + used : drain, keep ? room - used : sizeof drain);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (keep) used += (size_t)n;
  }
  close(fds[0]);
  if (text) text[used] = 0;
  *output = text;
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void sim_add_word(struct sim_command *c, const char *format, ...) {
  if (c->count == SIM_MAX_WORDS) return;
  va_list args;
  va_start(args, format);
  if (vasprintf(&c->argv[c->count], format, args) < 0) c->argv[c->count] = NULL;
  va_end(args);
  c->count += c->argv[c->count] != NULL;
}

void sim_add_words(struct sim_command *c, const char *const *words) {
  while (*words) sim_add_word(c, "%s", *words++);
}

void sim_drop_command(struct sim_command *c) {
  for (int i = 0; i < c->count; i++) free(c->argv[i]);
}

void sim_add_flags(struct sim_command *c, int arch, const char *compiler, const char *std) {
  static const char *const all[] = {"-O2",
                                    "-gdwarf-4",
                                    "-fPIC",
                                    "-fno-plt", /* hooks are called by their address */
                                    "-fno-exceptions",
                                    "-fno-rtti",
                                    "-fno-strict-aliasing",
                                    "-fno-optimize-sibling-calls", /* the caller's line is in the return address */
                                    "-fsanitize=thread",
                                    "-fsanitize=bounds", /* of arrays with a size of their own: check/notes.c */
                                    "-fsanitize=signed-integer-overflow", /* which also makes sums wrap, as PTX's do */
                                    "-w",
                                    "-ffp-contract=off",
                                    "-fdiagnostics-color=never",
                                    "-DPAH_SIM=1",
                                    "-D__CUDACC__=1"};
  /* A unique symbol would be shared with the modules opened before: its shared memory would be theirs. */
  static const char *const gcc[] = {"-fno-tree-sra", /* a float4 stays one access */
                                    "-fno-tree-vectorize",
                                    "-fno-tree-slp-vectorize",
                                    "-fno-var-tracking", /* lines are wanted, not where variables are */
                                    "-fmax-errors=20",
                                    "-fpermissive", /* of classes nvcc's own parser asks less than g++ */
                                    "-fno-gnu-unique",
                                    "-fwhole-program", /* functions are inlined, and their arrays need no hooks */
                                    "-fno-ipa-icf",    /* each keeps its lines */
                                    "-fno-extern-tls-init",
                                    "--param=tsan-instrument-func-entry-exit=0",
                                    "--param=tsan-distinguish-volatile=1"};
  static const char *const clang[] = {"-fno-sanitize=local-bounds", /* traps, with no words */
                                      "-fno-vectorize",
                                      "-fno-slp-vectorize",
                                      "-mllvm",
                                      "-tsan-instrument-func-entry-exit=0",
                                      "-mllvm",
                                      "-tsan-distinguish-volatile=1"};
  sim_add_word(c, "-std=%s", std);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sim_add_word(c, "%s", all[i]);
  for (size_t i = 0; i < sizeof gcc / sizeof *gcc && !sim_is_clang(compiler); i++) sim_add_word(c, "%s", gcc[i]);
  for (size_t i = 0; i < sizeof clang / sizeof *clang && sim_is_clang(compiler); i++) sim_add_word(c, "%s", clang[i]);
#if defined(__aarch64__)
  if (!sim_is_clang(compiler)) sim_add_word(c, "-mtls-dialect=trad"); /* shared memory by a call: build.c */
#endif
  sim_add_word(c, "-D__CUDA_ARCH__=%d", arch * 10);
  if (arch == 90) sim_add_word(c, "-D__CUDA_ARCH_FEAT_SM90_ALL=1");
}

void sim_add_folders(struct sim_command *c, const struct pah_module *m, const char *headers) {
  sim_add_word(c, "-iquote");
  sim_add_word(c, "%s", m->include[0]);
  sim_add_word(c, "-I%s", headers); /* before any toolkit's headers of the same names */
  for (char **i = m->include; *i; i++) sim_add_word(c, "-I%s", *i);
  sim_add_word(c, "-I%s/cccl", headers); /* stands in for CCCL, unless that is in the user's folders */
}
