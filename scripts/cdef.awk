# cdef.awk - turns src/pah.h into the text of ffi.cdef: drops the lines of the preprocessor, keeps the declarations.
# Used by Makefile.am; the result is embedded in the program (src/host.c) and read by lua/pah/ffi.lua.
/^#/ { next }
{ print }
