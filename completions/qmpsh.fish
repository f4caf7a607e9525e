complete -c qmpsh -s c -l connect -d 'Connect to ADDRESS; every word left over is the command' -r
complete -c qmpsh -s e -l execute -d 'Run a line, then exit; may be given again' -r
complete -c qmpsh -s f -l file -d 'Run a script file; `-` is standard input' -r -F
complete -c qmpsh -s t -l timeout -d 'How long to wait for each reply [default: as long as it takes]' -r
complete -c qmpsh -l connect-timeout -d 'How long connection and greeting may take [default: 10 for scripts; the prompt waits]' -r
complete -c qmpsh -s o -l output -d 'How to print values' -r -f -a "auto\t'`pretty` on a terminal, `json` elsewhere'
pretty\t'JSON, indented'
json\t'JSON, a value a line'
raw\t'Strings without quotes, other values as JSON'"
complete -c qmpsh -s l -l log -l logfile -d 'Append each message to PATH, as JSON lines with `time`, `dir` and `msg`' -r -F
complete -c qmpsh -l events -d 'Where a script\'s events go, as JSON lines' -r -f -a "none\t''
stderr\t''
stdout\t''"
complete -c qmpsh -l repeat -d 'Run the command N times; 0 is until stopped' -r
complete -c qmpsh -l interval -d 'With --repeat, start one every SECS' -r
complete -c qmpsh -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c qmpsh -s k -l keep-going -d 'Go on with a script after an error; up to 8 commands are then in flight'
complete -c qmpsh -s p -l pretty -d 'The same as -o pretty'
complete -c qmpsh -l envelope -d 'Print whole replies, {"return": …} or {"error": …}, not just the value'
complete -c qmpsh -s n -l dry-run -d 'Print the JSON that would be sent; send nothing, and need no connection'
complete -c qmpsh -s v -l verbose -d 'Echo each message sent and received on standard error'
complete -c qmpsh -l no-history -d 'Neither read nor write the history file'
complete -c qmpsh -l no-config -d 'Read no configuration file (there is none so far)'
complete -c qmpsh -l no-oob -d 'Do not negotiate out-of-band execution'
complete -c qmpsh -l no-reconnect -d 'Do not reconnect (nothing does so far)'
complete -c qmpsh -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qmpsh -s V -l version -d 'Print version'
