# pah.bash - completion of the command line for bash, installed as share/bash-completion/completions/pah. The program
# says what may follow (lua/pah/cli/words.lua); where it says nothing, file names do.
_pah() {
  local IFS=$'\n'
  COMPREPLY=($("${COMP_WORDS[0]}" __words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _pah pah
