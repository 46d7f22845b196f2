# Completion of switch and mswitch for bash.
#
# bash takes words apart at ":" and "=", which names of queues may contain: they
# are put together again, and what stands before the last ":" is left out of the
# answer, because bash puts the answer behind it.
_switch_complete() {
    local line=${COMP_LINE:0:COMP_POINT} words word rest=() i
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]} - 1]}
    local IFS=$'\n' found
    COMPREPLY=()
    found=$(command "${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null) || return
    for i in $found; do
        i=${i%%$'\t'*}
        case $word in
        *:*) [[ $COMP_WORDBREAKS == *:* ]] && i=${i#"${word%"${word##*:}"}"} ;;
        esac
        rest+=("$(printf '%q' "$i")")
    done
    COMPREPLY=("${rest[@]}")
}
complete -o default -F _switch_complete switch mswitch
