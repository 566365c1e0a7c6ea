# Completion of weir for bash; made by: weir completion bash
_weir() {
  local cur="${COMP_WORDS[COMP_CWORD]}" kind word i
  local -a words=() lines=()
  for ((i = 1; i <= COMP_CWORD; i++)); do
    words+=("${COMP_WORDS[i]//[\\\"\']/}")
  done
  mapfile -t lines < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
  COMPREPLY=()
  kind="${lines[0]-}"
  case "$kind" in
    files | directories)
      compopt -o filenames 2>/dev/null
      [[ $cur == "=" ]] && cur=""
      if [[ $kind == files ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      else
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      fi
      ;;
    words)
      for word in "${lines[@]:1}"; do
        word="${word%%$'\t'*}"
        if [[ $cur == [\"\']* ]]; then
          COMPREPLY+=("$word")
        else
          COMPREPLY+=("$(printf '%q' "$word")")
        fi
      done
      ;;
  esac
}
complete -F _weir weir
