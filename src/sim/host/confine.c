/* confine.c - a GPU has no system calls, and a kernel under simulation has none to reach other processes or files: a
 * filter in the kernel of the system (seccomp) makes them SIGSYS, which child.c tells as the finding "system-call".
 * Memory, printing and the clock stay allowed, and what one does to oneself (abort). Read next: process.c. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE
static const int never[] = {
#ifdef __NR_fork
    __NR_fork,
    __NR_vfork,
#endif
    __NR_clone,
    __NR_execve,
    __NR_execveat,
    __NR_ptrace,
    __NR_process_vm_writev,
    __NR_setsid,
    __NR_setpgid,
    __NR_rt_sigqueueinfo,
    __NR_unlinkat,
    __NR_renameat,
    __NR_renameat2,
    __NR_truncate,
    __NR_rt_tgsigqueueinfo,
#ifdef __NR_clone3
    __NR_clone3,
#endif
#ifdef __NR_pidfd_send_signal
    __NR_pidfd_send_signal,
#endif
#ifdef __NR_unlink
    __NR_unlink,
    __NR_rmdir,
    __NR_rename,
    __NR_creat,
#endif
};

/* Allowed for oneself: the first argument is this process. */
static const int own[] = {__NR_kill, __NR_tkill, __NR_tgkill};

/* Allowed for reading: where the flags are. */
static const struct {
  int call, argument;
} opening[] = {{__NR_openat, 2},
#ifdef __NR_open
               {__NR_open, 1}
#endif
};

#define LOAD(field)                                                                                                    \
  (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, n) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), 0, n)
#define SKIP_IF(value, n) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), n, 0)
#define SKIP_IF_ANY(bits, n) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (unsigned)(bits), n, 0)
#define RETURN(what) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, what)

#define COUNT(list) (sizeof(list) / sizeof *(list))

void sim_confine(void) {
  struct sock_filter program[6 + 2 * COUNT(never) + 6 * COUNT(own) + 6 * COUNT(opening)];
  unsigned short n = 0;
  program[n++] = LOAD(arch);
  program[n++] = SKIP_IF(ARCHITECTURE, 1); /* another one's calls have other numbers */
  program[n++] = RETURN(SECCOMP_RET_TRAP);
  program[n++] = LOAD(nr);
  for (size_t i = 0; i < COUNT(never); i++) {
    program[n++] = SKIP_UNLESS(never[i], 1);
    program[n++] = RETURN(SECCOMP_RET_TRAP);
  }
  for (size_t i = 0; i < COUNT(own); i++) {
    program[n++] = SKIP_UNLESS(own[i], 4);
    program[n++] = LOAD(args[0]);
    program[n++] = SKIP_UNLESS(getpid(), 1);
    program[n++] = RETURN(SECCOMP_RET_ALLOW);
    program[n++] = RETURN(SECCOMP_RET_TRAP);
  }
  for (size_t i = 0; i < COUNT(opening); i++) {
    program[n++] = SKIP_UNLESS(opening[i].call, 4);
    program[n++] = LOAD(args[opening[i].argument]);
    program[n++] = SKIP_IF_ANY(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1);
    program[n++] = RETURN(SECCOMP_RET_ALLOW);
    program[n++] = RETURN(SECCOMP_RET_TRAP);
  }
  program[n++] = RETURN(SECCOMP_RET_ALLOW);
  struct sock_fprog filter = {.len = n, .filter = program};
  if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}
#else
void sim_confine(void) {}
#endif
