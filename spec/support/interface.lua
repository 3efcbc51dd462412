-- interface.lua - for specs: the paths of the interface headers, as the list INTERFACE of Makefile.am has them.
local paths = {}
for line in io.lines "Makefile.am" do
  for path in (line:match "^INTERFACE = (.*)" or ""):gmatch "%S+" do paths[#paths + 1] = path end
end
return paths
