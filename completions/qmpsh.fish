# Completes qmpsh in fish. The program itself knows the candidates: `qmpsh --complete`.

function __qmpsh_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for line in ($words[1] --complete words $words[2..] "$typed" 2>/dev/null)
        switch $line
            case f
                __fish_complete_path "$typed"
            case d
                __fish_complete_directories "$typed"
            case '*'
                string sub -s 2 -- $line
        end
    end
end

complete -c qmpsh -f -a '(__qmpsh_complete)'
