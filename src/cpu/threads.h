/* cpu/threads.h - how many threads a kernel gets where nothing is said. Read next: threads.c. */
#ifndef PAH_CPU_THREADS_H
#define PAH_CPU_THREADS_H

/* The processors that the control groups of a process allow, as `list` (/proc/self/cgroup) names them and the files
 * under `root` (/sys/fs/cgroup) say: the least of a group and those above it; 0 without a limit. */
double pah_cgroup_processors(const char *list, const char *root);

#endif
