# pah.fish - completion of the command line for fish, installed in share/fish/vendor_completions.d. The program says
# what may follow (lua/pah/cli/words.lua); file names may as well.
function __pah_words
    set -l typed (commandline -opc)
    $typed[1] __words $typed[2..-1] (commandline -ct) 2>/dev/null
end
complete -c pah -a '(__pah_words)'
