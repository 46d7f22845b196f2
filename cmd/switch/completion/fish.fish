# Completion of switch and mswitch for fish. As switch is a word of fish, type
# mswitch, or "command switch".
function __switch_complete
    set -l words (commandline -opc)
    if test "$words[1]" = command
        set -e words[1]
    end
    set -l found (command $words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
    if set -q found[1]
        string join \n -- $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c mswitch -f -a '(__switch_complete)'
complete -c switch -f -a '(__switch_complete)'
