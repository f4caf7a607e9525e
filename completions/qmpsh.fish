complete -c qmpsh -s c -l connect -d 'Connect to ADDRESS; every word left over is the command' -r
complete -c qmpsh -l listen -d 'Listen at ADDRESS, a Unix socket\'s path or HOST:PORT, and serve the QEMU that connects; every word left over is the command' -r
complete -c qmpsh -s e -l execute -d 'Run a line, then exit; may be given again' -r
complete -c qmpsh -s f -l file -d 'Run a script file; `-` is standard input' -r -F
complete -c qmpsh -s t -l timeout -d 'How long to wait for each reply [default: as long as it takes]' -r
complete -c qmpsh -l connect-timeout -d 'How long connection and greeting may take [default: 10 for scripts; the prompt waits]' -r
complete -c qmpsh -s o -l output -d 'How to print values' -r -f -a "auto\t'`pretty` on a terminal, `json` elsewhere'
pretty\t'JSON, indented'
json\t'JSON, a value a line'
raw\t'Strings without quotes, other values as JSON'"
complete -c qmpsh -l schema -d 'Type bare words by the schema in PATH, a saved reply to query-qmp-schema' -r -F
complete -c qmpsh -s l -l log -l logfile -d 'Append each message to PATH, as JSON lines with `time`, `dir` and `msg`' -r -F
complete -c qmpsh -l events -d 'Where a script\'s events go, as JSON lines' -r -f -a "none\t''
stderr\t''
stdout\t''"
complete -c qmpsh -l repeat -d 'Run the command N times; 0 is until stopped' -r
complete -c qmpsh -l interval -d 'With --repeat, start one every SECS' -r
complete -c qmpsh -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c qmpsh -l tls-creds -d 'Wrap TCP connections in TLS, with the credentials in DIR' -r -F
complete -c qmpsh -l tls-hostname -d 'The name that the server\'s certificate must be for, instead of the address\'s host' -r
complete -c qmpsh -l reconnect -d 'Seek the connection again when it is not there or ends, for at most SECS [default: at the prompt only, for as long as it takes]' -r
complete -c qmpsh -l monitor -d 'Where its monitor is: a Unix socket\'s path or HOST:PORT, for others too, or `none` [default: ours alone]' -r
complete -c qmpsh -l wrapper -d 'Run QEMU with this, `strace -f` for example; words are split at blanks' -r
complete -c qmpsh -l add-fd -d 'Pass an inherited descriptor on: N[,set=M][,opaque=TEXT] is QEMU\'s -add-fd, in set N unless M is given; may be given again' -r
complete -c qmpsh -l name -d 'Name the VM, and its logs' -r
complete -c qmpsh -l console-log-limit -d 'How large the console\'s log may be: 512K, 64M, 2G; then it is begun anew, and what there was is kept once, as LOG.1; 0 is without a limit [default: 64M]' -r
complete -c qmpsh -l log-dir -d 'Where to put, and leave, the logs of QEMU\'s output and of the console' -r -F
complete -c qmpsh -l temp-dir -d 'Where to make the directory for temporary files, which is removed in the end' -r -F
complete -c qmpsh -l shutdown-timeout -d 'How long QEMU may take to end before it is killed [default: 30]' -r
complete -c qmpsh -l launch -d 'Start a QEMU of our own, `-- QEMU ARG...`, and end it when we end; every word before `--` is the command'
complete -c qmpsh -l list -d 'List the QEMUs that run here: pid, name, QMP sockets, and whether somebody is connected'
complete -c qmpsh -s k -l keep-going -d 'Go on with a script after an error; up to 8 commands are then in flight'
complete -c qmpsh -s p -l pretty -d 'The same as -o pretty'
complete -c qmpsh -l envelope -d 'Print whole replies, {"return": …} or {"error": …}, not just the value'
complete -c qmpsh -s n -l dry-run -d 'Print the JSON that would be sent; send nothing, and need no connection'
complete -c qmpsh -s v -l verbose -d 'Echo each message sent and received on standard error'
complete -c qmpsh -l no-history -d 'Neither read nor write the history file'
complete -c qmpsh -l no-config -d 'Read no configuration file (there is none so far)'
complete -c qmpsh -l no-oob -d 'Do not negotiate out-of-band execution'
complete -c qmpsh -l no-reconnect -d 'Do not seek the connection again'
complete -c qmpsh -l console -d 'Give the guest a serial console, drained into a log; `:console` attaches to it'
complete -c qmpsh -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qmpsh -s V -l version -d 'Print version'
