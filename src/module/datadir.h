/* datadir.h - where the files that ship with the program are: lua/, kernels/, sim/. See datadir.c. */
#ifndef PAH_DATA_H
#define PAH_DATA_H

#include <stddef.h>

const char *pah_exe_path(void); /* of this program, links resolved; "" if the system does not tell */
const char *pah_data_dir(void); /* the folder that holds lua/ and kernels/ */
/* "kernels/naive/forward.cu" below the data folder, into `path`, which is returned. */
const char *pah_data_path(char *path, size_t bytes, const char *relative);

#endif
