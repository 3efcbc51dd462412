-- .luacheckrc - LuaJIT with the global pah; specs have busted's words.
std = "luajit"
globals = {"pah", "arg"}
max_line_length = 120
exclude_files = {"lua/meta"} -- definitions for editors, made by scripts/manual
files["lua/pah"] = {not_globals = {"pah"}} -- a file of the library requires what it uses
files["spec"] = {std = "luajit+busted"}
