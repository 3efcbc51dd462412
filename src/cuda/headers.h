/* headers.h - the standard headers that NVRTC lacks, as texts in memory. See headers.c. */
#ifndef PAH_CUDA_HEADERS_H
#define PAH_CUDA_HEADERS_H

/* Names and texts, for nvrtcCreateProgram; `pah_standard.h` among them is included before every source. */
int cuda_header_count(void);
const char *const *cuda_header_names(void);
const char *const *cuda_header_texts(void);

#endif
