/* pah_measure.h - the interface of pah, third part: clocks, moments of a device's work, peaks of the cpu and memory to
 * read. The rules of pah.h hold here too. Read next: src/cpu/measure.c, src/event.c, lua/pah/measure/init.lua. */
#ifndef PAH_INTERFACE_MEASURE_H
#define PAH_INTERFACE_MEASURE_H

#include "pah.h"

/* ---- Clocks (src/cpu/measure.c) ---------------------------------------------------------------------------- */
double pah_clock(void);        /* seconds, monotonic */
double pah_cpu_clock(void);    /* seconds of the processors, all threads of this process */
int64_t pah_page_faults(void); /* pages that this process touched for the first time */
int pah_pin_threads(int on);   /* each thread on a processor of its own; 0: where the system puts them, as before */

/* ---- Notices (src/notice.c) --------------------------------------------------------------------------------- */
void pah_notice(const char *text); /* on the terminal until the next one; NULL: what was taking its time is done */

/* ---- Events (src/event.c) ----------------------------------------------------------------------------------
 * A moment in the order of the device's work, for timing it: taken by the GPU itself on cuda; elsewhere calls are done
 * when they return, and it is the clock of the host. elapsed waits for both; seconds from the first to the second. */
struct pah_event; /* opaque: src/event.c; holds a reference on its device */
int pah_event_record(struct pah_device *device, struct pah_event **event);
int pah_event_elapsed(struct pah_event *from, struct pah_event *to, double *seconds);
void pah_event_free(struct pah_event *event);

/* ---- Graphs: launches recorded once, started together ---- */

struct pah_graph; /* opaque: src/graph.c; holds a reference on its device */
/* Between them launches on the device are recorded and not run; what is no launch fails. With graph NULL, end drops
 * what was recorded. A graph repeats launches with the same addresses: what it uses must stay. */
int pah_graph_begin(struct pah_device *device);
int pah_graph_end(struct pah_device *device, struct pah_graph **graph);
int pah_graph_launch(struct pah_graph *graph);
int64_t pah_graph_launches(const struct pah_graph *graph); /* kernels in it */
void pah_graph_free(struct pah_graph *graph);
/* ---- Peaks of the cpu (src/cpu/measure.c) ------------------------------------------------------------------ */
/* Of all threads, over `seconds`, with the instruction set of a cpu device: f32 multiply-adds per second, 2 flops each;
 * products of bf16 by vdpbf16ps or AMX, 0 without them. */
int pah_measure_fma_flops(struct pah_device *device, double seconds, double *flops);
int pah_measure_dots_flops(struct pah_device *device, double seconds, double *flops);

/* ---- Memory that all threads read (src/cpu/measure.c) ------------------------------------------------------
 * With the loads of a cpu device's instruction set. A pass reads it once, in order or (block_bytes above 0) by shuffled
 * blocks; apart: eight pages of 4 KiB at a time. flush writes and reads it: twice the last-level cache makes caches
 * cold. */
struct pah_reader; /* opaque: src/cpu/measure.c */
int pah_reader_new(struct pah_device *device, int64_t bytes, int64_t block_bytes, struct pah_reader **reader);
double pah_reader_pass(struct pah_reader *reader, int64_t passes); /* seconds of all of them */
void pah_reader_apart(struct pah_reader *reader, int on);          /* for the passes to come */
void pah_reader_flush(struct pah_reader *reader);
void pah_reader_free(struct pah_reader *reader);

#endif
