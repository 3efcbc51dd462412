-- .luacheckrc - LuaJIT with the global pah; specs have busted's words.
std = "luajit"
globals = {"pah", "arg"}
max_line_length = 120
files["spec"] = {std = "luajit+busted"}
