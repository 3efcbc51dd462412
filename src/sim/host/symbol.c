/* symbol.c - return addresses to source lines, by the addr2line that comes with every compiler (binutils), asked once
 * per place and only when there is something to tell. Of inlined calls the innermost line counts that is not in our
 * own headers. Read next: report.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/compile/build.h"
#include "report.h"

extern char **environ;

/* Lines in files of the simulator itself, where the place that matters is the caller. */
static int is_ours(const char *file) {
  return strstr(file, "/src/sim/") || strstr(file, "kernels/ptx") || strstr(file, "/include/c++/") ||
         !strncmp(file, "pah_", 4) || strstr(file, "pah_entries");
}

/* Starts addr2line with its input and output on pipes. Returns its pid or -1. */
static pid_t start(const char *path, FILE **to, FILE **from) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC)) return -1;
  if (pipe2(out, O_CLOEXEC)) return close(in[0]), close(in[1]), -1;
  char *argv[] = {"addr2line", "-a", "-i", "-e", (char *)path, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", 1, 0);
  pid_t pid;
  int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  if (failed) return close(in[1]), close(out[0]), -1;
  *to = fdopen(in[1], "w");
  *from = fdopen(out[0], "r");
  return pid;
}

/* Output with -a: "0x1234" starts an address, then a line "file:line" for each frame, innermost first. */
static void read_places(FILE *from, int n, struct sim_place *places) {
  char line[4096];
  int at = -1;
  while (fgets(line, sizeof line, from)) {
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "0x", 2)) {
      at++;
      continue;
    }
    char *colon = strrchr(line, ':');
    if (at < 0 || at >= n || !colon || line[0] == '?') continue;
    *colon = 0;
    int number = atoi(colon + 1);
    if (number <= 0 || (places[at].line > 0 && !is_ours(places[at].file))) continue;
    size_t length = strlen(line), skip = length >= PAH_FILE_SIZE ? length - PAH_FILE_SIZE + 1 : 0;
    snprintf(places[at].file, sizeof places[at].file, "%s", line + skip);
    places[at].line = number;
  }
}

/* Asks addr2line. */
static void ask(const struct sim_image *image, const void *const *pcs, int n, struct sim_place *places) {
  FILE *to, *from;
  pid_t pid = n ? start(image->path, &to, &from) : -1;
  if (pid < 0) return;
  /* A pipe holds 64 KiB; addresses are written in portions that fit, and addr2line answers as it reads. */
  pid_t writer = fork();
  if (writer == 0) {
    for (int i = 0; i < n; i++) /* the call stands before its return address */
      fprintf(to, "0x%lx\n", (unsigned long)((const uint8_t *)pcs[i] - image->text) - 1);
    fclose(to);
    _exit(0);
  }
  fclose(to);
  read_places(from, n, places);
  fclose(from);
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  while (writer > 0 && waitpid(writer, &status, 0) < 0 && errno == EINTR) continue;
}

/* What has been asked of an object is kept with it: a program that launches a kernel often asks for the same places. */
struct sim_known_places {
  int count;
  struct known {
    const void *pc;
    struct sim_place place;
  } * at;
};

static int known(const struct sim_known_places *k, const void *pc) {
  int i = 0;
  while (i < k->count && k->at[i].pc != pc) i++;
  return i;
}

static int learn(struct sim_known_places *k, const struct sim_image *image, const void *const *pcs, int n) {
  const void **asked = calloc((size_t)n + 1, sizeof *asked);
  struct sim_place *found = calloc((size_t)n + 1, sizeof *found);
  struct known *more = realloc(k->at, (size_t)(k->count + n + 1) * sizeof *more);
  int count = 0;
  if (more) k->at = more;
  for (int i = 0; i < n && asked && found && more; i++)
    if (known(k, pcs[i]) == k->count) asked[count++] = pcs[i];
  if (count) ask(image, asked, count, found);
  for (int i = 0; i < count; i++)
    if (known(k, asked[i]) == k->count) k->at[k->count++] = (struct known){asked[i], found[i]};
  free(asked);
  free(found);
  return more != NULL;
}

void sim_places(const struct sim_image *image, const void *const *pcs, int n, struct sim_place *places) {
  struct sim_known_places *k = image->places;
  memset(places, 0, (size_t)n * sizeof *places);
  if (!learn(k, image, pcs, n)) return;
  for (int i = 0; i < n; i++) {
    const int at = known(k, pcs[i]);
    if (at < k->count) places[i] = k->at[at].place;
  }
}

struct sim_known_places *sim_places_new(void) {
  return calloc(1, sizeof(struct sim_known_places));
}

void sim_places_free(struct sim_known_places *k) {
  if (k) free(k->at);
  free(k);
}
