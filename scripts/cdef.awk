# cdef.awk - turns src/pah.h into the text of ffi.cdef: drops comments' and the preprocessor's lines, keeps declarations.
# Used by Makefile.am; the result is embedded in the program (src/host.c) and read by lua/pah/ffi.lua.
/^#/ { next }
{ print }
