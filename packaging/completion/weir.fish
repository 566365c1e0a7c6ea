# Completion of weir for fish; made by: weir completion fish
function __weir_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] "$word" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$word"
        case directories
            __fish_complete_directories "$word"
        case words
            if test (count $lines) -gt 1
                printf '%s\n' $lines[2..-1]
            end
    end
end
complete -c weir -f -a '(__weir_complete)'
