#compdef switch mswitch
# Completion of switch and mswitch for zsh.
_switch_complete() {
    local line
    local -a found
    while IFS= read -r line; do
        found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done < <(command ${words[1]} __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    if (( $#found )); then
        _describe -V 'switch' found
    else
        _files
    fi
}
compdef _switch_complete switch mswitch
