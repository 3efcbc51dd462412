# cdef.awk - turns src/pah.h and src/file.h into the text of ffi.cdef: drops the preprocessor's lines, keeps the rest.
# Used by Makefile.am; the result is embedded in the program (src/host.c) and read by lua/pah/ffi.lua.
/^#/ { next }
{ print }
