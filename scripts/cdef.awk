# cdef.awk - the interface headers as the text of ffi.cdef: the lines of the preprocessor are dropped. Used by
# Makefile.am; the result is embedded in the program (src/host/host.c) and read by lua/pah/ffi.lua.
/^#/ { next }
{ print }
